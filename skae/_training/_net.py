"""The skorch net that every estimator trains."""

from contextlib import nullcontext, suppress
from copy import deepcopy
from functools import partial

import torch
from skorch import NeuralNet
from skorch.callbacks import EpochTimer, PrintLog
from skorch.utils import TeeGenerator

from skae._random import Rng
from skae._training._batches import LoaderBatches, NetworkRows, TensorBatches
from skae._training._callbacks import (
    BestWeights,
    FiniteGuard,
    is_stop_signal,
    listens_to_batches,
)
from skae._training._course import ConstantCourse, Course, Warmup
from skae._training._cuda import exact_float32
from skae._training._flat import FlatParameters
from skae._training._gradients import gradients_for, stack_terms
from skae._training._optimizer_names import OPTIMIZERS
from skae._training._optimizers import (
    FusedStep,
    is_state_of,
    optimizer_class,
    optimizer_options,
)
from skae._training._progress import ProgressLine
from skae._training._threads import threads_for

# Validation meets the same noise at every epoch, so that epochs can be compared.
VALIDATION_SEED = 0

# Rows of a batch without gradients, at least.
VALIDATION_BATCH = 1024


class StopTraining(Exception):
    """Raised at the end of an epoch to end training as planned."""


class AutoencoderNet(NeuralNet):
    """A skorch net whose module knows its own loss and whose rows are in memory.

    Parameters
    ----------
    module : AutoencoderModule
        What to train.
    plan : TrainingPlan
        How to train it.
    callbacks : list
        skorch callbacks, after the net's own.
    """

    def __init__(self, module, plan, callbacks=()):
        optimizer = optimizer_class(plan.optimizer)
        options = optimizer_options(plan.optimizer, optimizer, plan.weight_decay)
        batches = TensorBatches
        if plan.data_loader is not None:
            batches = partial(LoaderBatches, loader=plan.data_loader)
        super().__init__(
            module,
            criterion=torch.nn.Identity,  # the loss belongs to the module
            optimizer=optimizer,
            lr=plan.lr,
            max_epochs=plan.max_epochs,
            batch_size=plan.batch_size,
            iterator_train=batches,
            iterator_train__rng=module.rng,
            iterator_train__min_rows=module.architecture.min_batch_rows,
            iterator_valid=batches,
            iterator_valid__batch_size=max(plan.batch_size, VALIDATION_BATCH),
            train_split=None,
            callbacks=list(callbacks),
            verbose=plan.verbose,
            device=plan.device,
            **{f"optimizer__{name}": value for name, value in options.items()},
        )
        self.plan = plan

    @property
    def _default_callbacks(self):
        callbacks = [("epoch_timer", EpochTimer()), ("finite_guard", FiniteGuard())]
        if self.plan.patience is not None:
            best_weights = BestWeights(self.plan.patience, self.plan.tol)
            callbacks.append(("best_weights", best_weights))
        if self.verbose == 1:
            callbacks.append(("progress_line", ProgressLine()))
        elif self.verbose:
            callbacks.append(("print_log", PrintLog()))
        return callbacks

    # -- the course of training ------------------------------------------------

    def partial_fit(self, rows, y=None, classes=None, **fit_params):
        """Train on `TrainingRows` as planned, or until a callback stops it.

        Unlike skorch's, it lets a KeyboardInterrupt of the user through.
        """
        if not self.initialized_:
            self.initialize()
        # forward, and twice as much backward
        n_operations = 6 * self.module_.n_operations * self.batch_size
        device = torch.device(self.device)
        with threads_for(n_operations), exact_float32(device):
            self.notify("on_train_begin", X=rows)
            with suppress(StopTraining):
                self.fit_loop(rows, epochs=self._n_epochs_to_come())
                if self.retry_is_due_:  # the last epoch diverged
                    self.fit_loop(rows, epochs=1)
            self.notify("on_train_end", X=rows)
        return self.settle()

    @property
    def most_epochs(self):
        """How many epochs there are if nothing ends training earlier."""
        plan = self.plan
        return plan.max_epochs if plan.n_epochs is None else plan.n_epochs

    def _n_epochs_to_come(self):
        """Return how many epochs there are at most, after those of a checkpoint."""
        best_weights = dict(self.callbacks_).get("best_weights")
        if best_weights is not None and best_weights.patience_.is_over:
            return 0
        return self.most_epochs - len(self.history)

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        """Count steps, and evaluate the start on the validation rows."""
        self.stop_requested_ = False
        self.datasets_ = None  # they are those of X from now on
        self.batch_listeners_ = False  # the start is no epoch of theirs
        train, valid = self.get_split_datasets(X)
        n_batches = len(self.get_iterator(train, training=True))
        n_steps = n_batches * self.max_epochs
        self.warmup_ = Warmup(self.module_, self.plan.warmup * n_steps)
        self._choose_course(train, n_steps)
        self.start_ = {}
        if valid is not None:
            self.start_ = self._mean_terms(
                self.get_iterator(valid), False, "valid", self.validation_step
            )
        self.batch_listeners_ = any(listens_to_batches(c) for _, c in self.callbacks_)

    def notify(self, method_name, **cb_kwargs):
        """Call a method of every callback; stop at the end of an epoch if asked to."""
        getattr(self, method_name)(self, **cb_kwargs)
        for _, callback in self.callbacks_:
            try:
                getattr(callback, method_name)(self, **cb_kwargs)
            except KeyboardInterrupt:
                if not is_stop_signal(callback, method_name):
                    raise
                self.request_stop()
        if method_name == "on_epoch_end" and self.stop_requested_:
            raise StopTraining

    def request_stop(self):
        """End training when all callbacks have seen the end of this epoch."""
        self.stop_requested_ = True

    def initialize_optimizer(self, triggered_directly=None):
        """Make the optimiser; those with a name get all weights as one vector."""
        self.flat_ = FlatParameters(self.module_)
        weights = self.module_.named_parameters()
        if self.plan.optimizer in OPTIMIZERS:
            weights = [("weights", self.flat_.vector)]
        args, kwargs = self.get_params_for_optimizer("optimizer", weights)
        self.optimizer_ = self.optimizer(*args, **kwargs)
        return self

    def takes_state(self, state):
        """Return whether the state of an optimiser is one of the weights of this net.

        A callback may have frozen some of them when it was made.
        """
        one_vector = self.plan.optimizer in OPTIMIZERS
        return not one_vector or is_state_of(self.flat_.vector, state)

    def _choose_course(self, train, n_steps):
        """Prepare for a course of training, and for gradients as it needs them."""
        if self.plan.schedule == "constant":
            self.course_ = ConstantCourse(self.optimizer_)
        else:
            # noise on a whole image would be one more corruption to undo
            jitters = self.module_.architecture.has_bottleneck
            self.course_ = Course(
                self.optimizer_,
                self.flat_,
                n_steps,
                train.spread() if jitters else 0.0,
                self.module_.rng,
            )
        self._choose_gradients()

    def _choose_gradients(self):
        train, _ = self.datasets_
        self.gradients_ = gradients_for(
            self.flat_,
            device=torch.device(self.device),
            precision=self.plan.precision,
            corrupted=self.course_.jitters or self.module_.corruption is not None,
            has_holes=train.has_holes,
        )

    def _follow_freezing(self):
        """Train other weights than before, because a callback has frozen some."""
        self.flat_ = FlatParameters(self.module_)
        if self.plan.optimizer in OPTIMIZERS:  # the moments are those of a vector
            self.optimizer_.param_groups[0]["params"] = [self.flat_.vector]
            self.optimizer_.state.clear()
        self.course_.follow(self.flat_)
        self._choose_gradients()

    def settle(self):
        """Return this net ready for inference, without what only training needs."""
        self.flat_.release()
        self.module_.eval()
        self.datasets_ = self.gradients_ = self.course_ = None
        return self

    def snapshot(self):
        """Return a net with a copy of the module as it is now, ready for inference."""
        return self.with_module(deepcopy(self.module_))

    def with_module(self, module):
        """Return a net that has trained as this one has, with another module."""
        twin = AutoencoderNet(module, self.plan).initialize()
        twin.history_, twin.start_ = deepcopy(self.history), self.start_
        return twin.settle()

    def forget(self, callbacks, *, moments):
        """Let go of callbacks, and of the moments of the optimiser if asked."""
        self.callbacks_ = [pair for pair in self.callbacks_ if pair[1] not in callbacks]
        self.callbacks = [c for c in self.callbacks if c not in callbacks]
        if moments:
            self.optimizer_.state.clear()

    # -- data ------------------------------------------------------------------

    def get_split_datasets(self, X, y=None, **fit_params):
        """Return the training and the validation rows of `TrainingRows`."""
        if self.datasets_ is None:
            device = torch.device(self.device)
            rows = partial(
                NetworkRows, X.X, self.module_, device, has_holes=X.has_holes
            )
            valid = None if X.valid is None else rows(X.valid)
            self.datasets_ = rows(X.train, weights=X.weights), valid
        return self.datasets_

    # -- one epoch, one step ---------------------------------------------------

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Run an epoch and record the mean loss and its terms, in nats per row."""
        if iterator is None:
            return
        if training and not self.flat_.is_current():
            self._follow_freezing()
        if training:
            self.course_.begin_epoch()
        record = self._mean_terms(iterator, training, prefix, step_fn)
        if training:
            self.course_.end_epoch()
        record[f"{prefix}_batch_count"] = len(iterator)
        if training:
            record["lr"] = self.optimizer_.param_groups[0]["lr"]
            record |= self.module_.schedule()
        self.history[-1].update(record)

    def _mean_terms(self, iterator, training, prefix, step_fn):
        """Return the mean over rows of the loss and its terms."""
        if self.module_.training != training:  # it takes a while
            self._set_training(training)
        if not training:
            self.evaluation_rng_ = Rng(VALIDATION_SEED)
        names = ("loss", *self.module_.terms)
        # Sums stay on the device, and are read once: reading waits for it.
        sums = self.flat_.vector.new_zeros(len(names), 1)
        with self._without_autograd():
            if training and self._nobody_watches():
                self._run_steps(iterator, sums)
            else:
                self._run_watched(iterator, sums, training, prefix, step_fn)
        n_rows = len(iterator.dataset)
        return {
            f"{prefix}_{name}": total / n_rows
            for name, total in zip(names, sums[:, 0].tolist(), strict=True)
        }

    def _nobody_watches(self):
        """Return whether steps may go by without a word, as far as callbacks go."""
        return not self.batch_listeners_ and isinstance(self.optimizer_, FusedStep)

    def _run_steps(self, iterator, sums):
        """Do what `train_step` does for every batch, and nothing else."""
        warm_up, run = self.warmup_.step, self.gradients_.run
        take_step, course = self.optimizer_.step, self.course_
        module, rng = self.module_, self.module_.rng
        observe, corrupt = module.likelihood.observe, module.corrupt
        for U, known in iterator:
            warm_up()
            target = observe(U, rng)
            encoded = course.begin_step(corrupt(target, rng, known))
            sums.add_(run(encoded, target, known), alpha=len(U))
            course.before_update()
            take_step()
            course.after_update()

    def _run_watched(self, iterator, sums, training, prefix, step_fn):
        """Run all batches as skorch does, and tell the callbacks that listen."""
        for batch in iterator:
            if self.batch_listeners_:
                self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch)
            sums.add_(step["terms"], alpha=len(batch[0]))
            if self.batch_listeners_:
                self.history.record_batch(f"{prefix}_loss", step["loss"].item())
                self.history.record_batch(f"{prefix}_batch_size", len(batch[0]))
                self.notify("on_batch_end", batch=batch, training=training, **step)

    def _without_autograd(self):
        """Return the context of an epoch: autograd off, as far as its parts allow."""
        if self.batch_listeners_:
            return nullcontext()
        if self.gradients_.without_autograd and self._nobody_watches():
            return torch.inference_mode()
        return torch.no_grad()  # what an optimiser keeps must outlive the epoch

    def train_step(self, batch, **fit_params):
        """Take one step of the optimiser, at the warm-up that is due."""
        self.warmup_.step()
        module, rng = self.module_, self.module_.rng
        target = module.likelihood.observe(batch[0], rng)
        encoded = self.course_.begin_step(module.corrupt(target, rng, batch[1]))
        batch = encoded, target, batch[1]
        step = {}

        def closure():
            step["terms"] = self.train_step_single(batch)
            self.course_.before_update()
            step["loss"] = step["terms"][0]
            return step["loss"]

        self.optimizer_.step(closure)
        self.course_.after_update()
        if self.batch_listeners_:
            step["y_pred"] = self.gradients_.output()
        return step

    def train_step_single(self, batch, **fit_params):
        """Return the loss and its terms on a batch, with gradients computed."""
        terms = self.gradients_.run(*batch, keep_output=self.batch_listeners_)
        if self.batch_listeners_:
            weights = TeeGenerator(self.module_.named_parameters())
            self.notify(
                "on_grad_computed", named_parameters=weights, batch=batch, training=True
            )
        return terms

    def validation_step(self, batch, **fit_params):
        """Return the loss and its terms on a batch, at the full weight of each."""
        with torch.no_grad():
            module, rng = self.module_, self.evaluation_rng_
            U = module.likelihood.observe(batch[0], rng)
            output = self.infer(module.corrupt(U, rng, batch[1]), rng=rng)
            loss, terms = module.loss(output, U, batch[1])
        terms = stack_terms(self.module_, loss, terms)
        return {"loss": loss, "y_pred": output, "terms": terms}


def train(module, rows, plan, callbacks=(), optimizer_state=None):
    """Return the trained `AutoencoderNet`.

    Parameters
    ----------
    module : AutoencoderModule
        What to train; changed in place.
    rows : TrainingRows
        Rows to train and to validate on.
    plan : TrainingPlan
        How to train.
    callbacks : list
        skorch callbacks.
    optimizer_state : dict or None, default=None
        State of the optimiser to go on from, if it is one of the same weights.
    """
    net = AutoencoderNet(module, plan, callbacks).initialize()
    if optimizer_state is not None and net.takes_state(optimizer_state):
        net.optimizer_.load_state_dict(optimizer_state)
        for group in net.optimizer_.param_groups:  # they may have changed since
            group["lr"] = plan.lr
            if "weight_decay" in group:
                group["weight_decay"] = plan.weight_decay
    return net.partial_fit(rows)
