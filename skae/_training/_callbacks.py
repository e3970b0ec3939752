"""What happens around an epoch, one small skorch callback for each concern."""

import copy
import math

from skorch.callbacks import Callback, EarlyStopping, LRScheduler

# After a loss that is not finite, training goes on from the last good weights with
# the step size times this.
RETRY_FACTOR = 0.1


class Diverged(FloatingPointError):
    """The loss was not finite, and again after one retry."""


class FiniteGuard(Callback):
    """Restore the last good weights when an epoch ends with a loss that is not finite.

    The first time, training goes on with a smaller step; the second time it raises
    `Diverged`.
    """

    def on_train_begin(self, net, **kwargs):
        """Remember the start."""
        self.failure_ = None
        net.retry_is_due_ = False
        self.restore_ = net.flat_.copy()

    def on_epoch_end(self, net, **kwargs):
        """Remember this epoch, or go back."""
        loss = net.history[-1, "train_loss"]
        if math.isfinite(loss) and net.flat_.are_finite():
            net.retry_is_due_ = False
            self.restore_ = net.flat_.copy()
            return
        what = (
            "weights are not finite" if math.isfinite(loss) else f"loss became {loss}"
        )
        lr = net.optimizer_.param_groups[0]["lr"]
        when = f"at epoch {len(net.history)} with lr={lr:g}"
        if self.failure_ is not None:
            raise Diverged(f"training diverged: {self.failure_}, and again {when}")
        self.failure_ = f"the {what} {when}"
        net.retry_is_due_ = True
        self.restore_()
        net.optimizer_.state.clear()  # its moments have seen what led astray
        net.course_.retry(RETRY_FACTOR)

    def on_train_end(self, net, **kwargs):
        """Let go of the copies."""
        del self.restore_


class Patience:
    """Wait for a lower validation loss, but not for ever.

    Parameters
    ----------
    patience : int
        Epochs in a row without improvement after which it is over.
    tol : float
        Smallest improvement that counts, in nats per row. An absolute number: a
        relative one has no meaning for a loss that may be negative.
    loss : float
        The loss at the start, which counts as epoch 0.
    """

    def __init__(self, patience, tol, loss):
        self.patience, self.tol = patience, tol
        self.n_waited, self.mark, self.best = 0, loss, loss

    def improves(self, loss, *, counts):
        """Return whether the loss of an epoch is the lowest so far.

        `counts` says whether one that is not is waited for in vain.
        """
        is_best = loss < self.best
        if is_best:
            self.best = loss
        if loss < self.mark - self.tol:
            self.mark, self.n_waited = loss, 0
        elif counts:
            self.n_waited += 1
        return is_best

    @property
    def is_over(self):
        """Whether to stop."""
        return self.n_waited >= self.patience


class BestWeights(Callback):
    """Keep the weights of the lowest validation loss, and stop when it stays away.

    The start counts as epoch 0: training that helps no held-out row changes nothing.

    Parameters
    ----------
    patience : int
        Epochs in a row without improvement after which training stops.
    tol : float
        Smallest improvement that counts, in nats per row.
    """

    def __init__(self, patience, tol):
        self.patience = patience
        self.tol = tol

    def on_train_begin(self, net, **kwargs):
        """Remember the start."""
        self.patience_ = Patience(self.patience, self.tol, net.start_["valid_loss"])
        self.restore_best_ = net.flat_.copy()

    def on_epoch_end(self, net, **kwargs):
        """Compare this epoch with the best; stop when patience is over."""
        loss = net.history[-1, "valid_loss"]
        if self.patience_.improves(loss, counts=net.warmup_.is_over):
            self.restore_best_ = net.flat_.copy()
        if self.patience_.is_over:
            net.request_stop()

    def on_train_end(self, net, **kwargs):
        """Put the best weights back."""
        self.restore_best_()
        del self.restore_best_


class RecalledValidation(Callback):
    """Tell callbacks of a refit the validation losses that decided on its length.

    Callbacks that look at them then do in the refit what they did before.

    Parameters
    ----------
    history : dict of ndarray
        The history of the training with held-out rows, from epoch 0 on.
    """

    def __init__(self, history):
        self.losses = {
            name.replace("validation_", "valid_"): column
            for name, column in history.items()
            if name.startswith("validation_")
        }

    def on_epoch_end(self, net, **kwargs):
        """Record the losses of this epoch, as far as there are any."""
        epoch = len(net.history)
        for name, column in self.losses.items():
            if epoch < len(column):
                net.history.record(name, float(column[epoch]))


class SklearnCallbackBridge(Callback):
    """Report every epoch to the scikit-learn callbacks of an estimator.

    Parameters
    ----------
    estimator : estimator
        Whose callbacks to call.
    context : sklearn.callback.CallbackContext
        The context of its `fit`.
    X : ndarray
        The rows of `fit`.
    fitted_attributes : callable
        Maps a net to the attributes that the estimator would have if training
        stopped now.
    """

    def __init__(self, estimator, context, X, fitted_attributes):
        self.estimator = estimator
        self.context = context
        self.X = X
        self.fitted_attributes = fitted_attributes

    def on_epoch_begin(self, net, **kwargs):
        """Open the context of this epoch; a retry goes on in the one that failed."""
        if net.retry_is_due_:
            return
        self.epoch_ = self.context.subcontext("epoch")
        self.epoch_.call_on_fit_task_begin(estimator=self.estimator, X=self.X)

    def on_epoch_end(self, net, **kwargs):
        """Close the context of this epoch; stop if a callback says so."""
        if net.retry_is_due_:
            return
        stop = self.epoch_.call_on_fit_task_end(
            estimator=self.estimator,
            X=self.X,
            reconstruction_attributes=lambda: self.fitted_attributes(net.snapshot()),
        )
        if stop:
            net.request_stop()


def is_stop_signal(callback, method_name):
    """Return whether a KeyboardInterrupt from a callback means "stop training".

    skorch's own early stopping says so in this way; every other KeyboardInterrupt
    is the user's.
    """
    return (
        isinstance(callback, EarlyStopping)
        and method_name == "on_epoch_end"
        and callback.misses_ == callback.patience
    )


def listens_to_batches(callback):
    """Return whether a callback does anything at batches."""
    hooks = ("on_batch_begin", "on_batch_end", "on_grad_computed")
    return any(
        getattr(type(callback), hook) is not getattr(Callback, hook) for hook in hooks
    )


def check_skorch_callbacks(callbacks, plan):
    """Return independent copies of a user's skorch callbacks.

    Parameters
    ----------
    callbacks : list or None
        What the user gave.
    plan : TrainingPlan
        What they must agree with.

    Raises
    ------
    TypeError
        If `callbacks` is not a list of skorch callbacks or (name, callback) pairs.
    ValueError
        If one of them sets the step size, and the plan does too.
    """
    if callbacks is None:
        return []
    copies = []
    for i, item in enumerate(callbacks):
        callback = item[1] if isinstance(item, tuple) and len(item) == 2 else item
        is_class = isinstance(callback, type) and issubclass(callback, Callback)
        named = not isinstance(item, tuple) or isinstance(item[0], str)
        if not (named and (isinstance(callback, Callback) or is_class)):
            raise TypeError(
                f"callbacks[{i}] must be a skorch callback or a (name, callback) pair, "
                f"got {item!r}; scikit-learn's callbacks are set with set_callbacks"
            )
        kind = callback if is_class else type(callback)
        if plan.schedule == "auto" and issubclass(kind, LRScheduler):
            raise ValueError(
                f"callbacks[{i}] sets the step size, and so does schedule='auto'; use "
                "schedule='constant' with it, or leave it out"
            )
        copies.append(copy.deepcopy(item))
    return copies
