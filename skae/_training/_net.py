"""The skorch net that every estimator trains."""

from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from inspect import signature

import torch
from skorch import NeuralNet
from skorch.callbacks import EpochTimer, PrintLog

from skae._random import Rng
from skae._training._batches import RowSubset, TensorBatches, as_tensor
from skae._training._callbacks import (
    BestWeights,
    FiniteGuard,
    is_stop_signal,
    listens_to_batches,
)
from skae._training._threads import count_weights, threads_for

OPTIMIZERS = {
    "adadelta": torch.optim.Adadelta,
    "adagrad": torch.optim.Adagrad,
    "adam": torch.optim.Adam,
    "adamax": torch.optim.Adamax,
    "adamw": torch.optim.AdamW,
    "nadam": torch.optim.NAdam,
    "radam": torch.optim.RAdam,
    "rmsprop": torch.optim.RMSprop,
    "sgd": torch.optim.SGD,
}

# One call updates all weights, where torch's default makes several for each.
FUSED = {"adagrad", "adam", "adamw", "sgd"}

# Validation meets the same noise at every epoch, so that epochs can be compared.
VALIDATION_SEED = 0


class StopTraining(Exception):
    """Raised at the end of an epoch to end training as planned."""


@dataclass(frozen=True)
class TrainingPlan:
    """How to train: every choice made, nothing left to resolve but the optimiser."""

    optimizer: str | type
    lr: float
    weight_decay: float
    max_epochs: int
    batch_size: int
    patience: int | None  # None: no early stopping
    tol: float
    kl_warmup: float
    device: str
    verbose: int


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
        optimizer = OPTIMIZERS.get(plan.optimizer, plan.optimizer)
        options = {"optimizer__fused": True} if plan.optimizer in FUSED else {}
        # Some optimisers know no weight decay; others have one by default.
        if plan.weight_decay or "weight_decay" in signature(optimizer).parameters:
            options["optimizer__weight_decay"] = plan.weight_decay
        super().__init__(
            module,
            criterion=torch.nn.Identity,  # the loss belongs to the module
            optimizer=optimizer,
            lr=plan.lr,
            max_epochs=plan.max_epochs,
            batch_size=plan.batch_size,
            iterator_train=TensorBatches,
            iterator_train__rng=module.rng,
            iterator_train__min_rows=module.architecture.min_batch_rows,
            iterator_valid=TensorBatches,
            train_split=None,
            callbacks=list(callbacks),
            verbose=plan.verbose,
            device=plan.device,
            **options,
        )
        self.plan = plan

    @property
    def _default_callbacks(self):
        callbacks = [("epoch_timer", EpochTimer()), ("finite_guard", FiniteGuard())]
        if self.plan.patience is not None:
            best_weights = BestWeights(self.plan.patience, self.plan.tol)
            callbacks.append(("best_weights", best_weights))
        if self.verbose:
            callbacks.append(("print_log", PrintLog()))
        return callbacks

    # -- the course of training ------------------------------------------------

    def partial_fit(self, rows, y=None, classes=None, **fit_params):
        """Train on `TrainingRows` for `max_epochs`, or until a callback stops it.

        Unlike skorch's, it lets a KeyboardInterrupt of the user through.
        """
        if not self.initialized_:
            self.initialize()
        # forward, and twice as much backward
        with threads_for(6 * count_weights(self.module_) * self.batch_size):
            self.notify("on_train_begin", X=rows)
            with suppress(StopTraining):
                self.fit_loop(rows)
                if self.retry_is_due_:  # the last epoch diverged
                    self.fit_loop(rows, epochs=1)
            self.notify("on_train_end", X=rows)
        self.module_.eval().zero_grad()  # gradients would double its memory
        return self

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        """Count steps, and evaluate the start on the validation rows."""
        self.n_steps_ = 0
        self.stop_requested_ = False
        self.batch_listeners_ = False  # the start is no epoch of theirs
        train, valid = self.get_split_datasets(X)
        n_batches = len(self.get_iterator(train, training=True))
        self.warmup_steps_ = self.plan.kl_warmup * n_batches * self.max_epochs
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

    @property
    def warmup_is_over(self):
        """Whether the KL term has reached its full weight."""
        return self.n_steps_ >= self.warmup_steps_

    def snapshot(self):
        """Return a net with a copy of the module as it is now, ready for inference."""
        twin = AutoencoderNet(deepcopy(self.module_).eval(), self.plan).initialize()
        twin.history_, twin.start_ = deepcopy(self.history), self.start_
        return twin

    def forget(self, callback, *, moments):
        """Let go of a callback, and of the moments of the optimiser if asked."""
        self.callbacks_ = [pair for pair in self.callbacks_ if pair[1] is not callback]
        self.callbacks = [c for c in self.callbacks if c is not callback]
        if moments:
            self.initialize_optimizer()

    # -- data ------------------------------------------------------------------

    def get_split_datasets(self, X, y=None, **fit_params):
        """Return the training and the validation rows of `TrainingRows`."""
        device = torch.device(self.device)
        everything = as_tensor(X.X).to(device)  # no copy on the CPU
        return tuple(
            None if rows is None else RowSubset(everything, torch.from_numpy(rows))
            for rows in (X.train, X.valid)
        )

    # -- one epoch, one step ---------------------------------------------------

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Run an epoch and record the mean loss and its terms, in nats per row."""
        if iterator is None:
            return
        means = self._mean_terms(iterator, training, prefix, step_fn)
        for name, value in means.items():
            self.history.record(name, value)
        self.history.record(f"{prefix}_batch_count", len(iterator))
        if training:
            self.history.record("lr", self.optimizer_.param_groups[0]["lr"])
            for name, value in self.module_.schedule().items():
                self.history.record(name, value)

    def _mean_terms(self, iterator, training, prefix, step_fn):
        """Return the mean over rows of the loss and its terms."""
        self._set_training(training)
        self.evaluation_rng_ = Rng(VALIDATION_SEED)
        # Sums stay tensors, read once: reading a number waits for the device.
        sums = dict.fromkeys(("loss", *self.module_.terms), 0.0)
        for batch in iterator:
            if self.batch_listeners_:
                self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch)
            n_rows = len(batch[0])
            for name in sums:
                sums[name] = sums[name] + n_rows * step[name]
            if self.batch_listeners_:
                self.history.record_batch(f"{prefix}_loss", step["loss"].item())
                self.history.record_batch(f"{prefix}_batch_size", n_rows)
                self.notify("on_batch_end", batch=batch, training=training, **step)
        n_rows = len(iterator.dataset)
        return {f"{prefix}_{k}": float(total) / n_rows for k, total in sums.items()}

    def train_step(self, batch, **fit_params):
        """Take one step of the optimiser, at the warm-up that is due."""
        due = self.n_steps_ / self.warmup_steps_ if self.warmup_steps_ else 1.0
        self.module_.set_warmup(min(1.0, due))
        self.n_steps_ += 1
        return super().train_step(batch)

    def train_step_single(self, batch, **fit_params):
        """Return the loss and its terms on a batch, with gradients computed."""
        U = self.module_.to_network_space(batch[0])
        output = self.infer(U)
        loss, terms = self.module_.loss(output, U)
        loss.backward()
        return {"loss": loss.detach(), "y_pred": output, **terms}

    def validation_step(self, batch, **fit_params):
        """Return the loss and its terms on a batch, at the full weight of each."""
        with torch.no_grad():
            U = self.module_.to_network_space(batch[0])
            output = self.infer(U, rng=self.evaluation_rng_)
            loss, terms = self.module_.loss(output, U)
        return {"loss": loss, "y_pred": output, **terms}


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
        State of the optimiser to go on from.
    """
    net = AutoencoderNet(module.train(), plan, callbacks).initialize()
    if optimizer_state is not None:
        net.optimizer_.load_state_dict(optimizer_state)
        for group in net.optimizer_.param_groups:  # they may have changed since
            group["lr"] = plan.lr
            if "weight_decay" in group:
                group["weight_decay"] = plan.weight_decay
    return net.partial_fit(rows)
