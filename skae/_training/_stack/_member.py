"""One of the networks of a stack: what it needs to know, and what comes of it."""

import pickle

import torch
from skorch.history import History

from skae._config import get_config
from skae._training._callbacks import Patience
from skae._training._course import Warmup
from skae._training._dense import is_dense
from skae._training._net import AutoencoderNet
from skae._training._optimizer_names import OPTIMIZERS
from skae._training._optimizers import FusedStep, optimizer_class

# A step of more floating-point operations keeps a processor busy on its own, and many
# of them do not fit in its cache. See examples/benchmarks/search.py.
MOST_OPERATIONS = 100e6


class Member:
    """A network that is trained in a stack, as `train` would train it alone.

    Parameters
    ----------
    module : AutoencoderModule
        What to train; changed in place.
    rows : TrainingRows
        Rows to train and to validate on.
    plan : TrainingPlan
        How to train.

    Attributes
    ----------
    start_, history, module_ : object
        As those of an `AutoencoderNet`.
    has_failed : bool
        Whether its loss was not finite. Its weights are of no use then.
    """

    def __init__(self, module, rows, plan):
        self.module_, self.rows, self.plan = module, rows, plan
        self.history, self.start_ = History(), {}
        self.has_failed = False
        self.lr = plan.lr
        self.n_operations = n_operations(module, plan)

    def begin(self, n_steps, start):
        """Get ready for a course of so many steps, with the terms at the start."""
        self.module_.train()
        self.warmup = Warmup(self.module_, self.plan.warmup * n_steps)
        self.start_, self.patience = start, None
        if self.plan.patience is not None:
            loss = start["valid_loss"]
            self.patience = Patience(self.plan.patience, self.plan.tol, loss)

    def record(self, share, terms):
        """Write down an epoch; return whether it is the best so far."""
        self.history.new_epoch()
        self.lr = self.plan.lr * share
        epoch = {"epoch": len(self.history), "lr": self.lr, **terms}
        self.history[-1].update(epoch | self.module_.schedule())
        if self.patience is None:
            return False
        is_waiting = self.warmup.is_over
        return self.patience.improves(terms["valid_loss"], counts=is_waiting)

    @property
    def is_done(self):
        """Whether there is no epoch to come."""
        most = self.plan.n_epochs
        most = self.plan.max_epochs if most is None else most
        if self.has_failed or len(self.history) >= most:
            return True
        return self.patience is not None and self.patience.is_over

    def net(self):
        """Return the `AutoencoderNet` that has been trained."""
        net = AutoencoderNet(self.module_, self.plan).initialize()
        net.history_, net.start_ = self.history, self.start_
        net.optimizer_.param_groups[0]["lr"] = self.lr
        return net.settle()


def stack_key(module, rows, plan):
    """Return what must agree for networks to train as one stack; None if alone.

    Parameters
    ----------
    module : AutoencoderModule
        The network.
    rows : TrainingRows
        Its rows.
    plan : TrainingPlan
        How it is to be trained.
    """
    if not _may_stack(module, plan):
        return None
    try:
        parts = pickle.dumps((module.architecture, module.likelihood))
    except Exception:  # whatever a user's part of a network raises
        return None
    objective = ()
    if hasattr(module, "elbo_estimate"):
        # a free component has a gradient where the KL term is that of the draws
        is_padded = module.elbo_estimate == "analytic"
        width = None if is_padded else module.n_components
        objective = module.elbo_estimate, module.n_draws, width
    return (
        type(module), module.n_features, parts, *objective,
        plan.optimizer, plan.schedule, plan.batch_size, plan.max_epochs, plan.device,
        rows.n_train, None if rows.valid is None else len(rows.valid), rows.has_holes,
        module.corruption is None,
    )  # fmt: skip


def n_operations(module, plan):
    """Return the floating-point operations of a step: forward, and twice backward."""
    return 6 * module.n_operations * plan.batch_size


def _may_stack(module, plan):
    return (
        get_config()["engine"] == "auto"
        and plan.precision == "float32"
        and plan.data_loader is None
        and not plan.verbose
        and torch.device(plan.device).type == "cpu"
        and plan.optimizer in OPTIMIZERS
        and issubclass(optimizer_class(plan.optimizer), FusedStep)
        and n_operations(module, plan) <= MOST_OPERATIONS
        and is_dense(module)
    )
