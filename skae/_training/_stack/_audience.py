"""Members of a stack that see the same rows and the same noise."""

import pickle

import numpy as np
import torch

from skae._random import Rng
from skae._training._batches import NetworkRows, TensorBatches
from skae._training._course import jittered
from skae._training._net import VALIDATION_BATCH, VALIDATION_SEED


class Audience:
    """Members side by side to whom the same batches are shown, with the same noise.

    Candidates of a search have one seed, and those of one fold have one table: what is
    gathered and drawn for one of them does for all.

    Parameters
    ----------
    members : list of Member
        Members for which `same_audience` is the same.
    """

    def __init__(self, members):
        self.members = members
        first = members[0]
        self.module, rows, plan = first.module_, first.rows, first.plan
        # a stream of its own: members leave with its state, and it goes on
        self.rng = Rng(0).set_state(self.module.rng.get_state())

        def in_network_space(numbers, weights=None):
            return NetworkRows(
                rows.X, self.module, torch.device(plan.device), numbers,
                has_holes=rows.has_holes, weights=weights,
            )  # fmt: skip

        train = in_network_space(rows.train, rows.weights)
        fewest = self.module.architecture.min_batch_rows
        self.batches = TensorBatches(train, plan.batch_size, self.rng, fewest)
        jitters = self.module.architecture.has_bottleneck
        self.spread = train.spread() if jitters else 0.0
        self.judged = []
        if rows.valid is not None:
            size = max(plan.batch_size, VALIDATION_BATCH)
            valid = TensorBatches(in_network_space(rows.valid), size)
            self.judged = list(self._judged(valid))

    def _judged(self, batches):
        """Yield batches to validate on: encoded rows, targets, what is known, noise."""
        rng, module = Rng(VALIDATION_SEED), self.module
        for rows, known in batches:
            target = module.likelihood.observe(rows, rng)
            encoded = module.corrupt(target, rng, known)
            noise = None
            if hasattr(module, "n_draws"):
                shape = module.n_draws * len(rows), module.n_components
                noise = rng.normal_like(rows.new_empty(shape))
            yield encoded, target, known, noise

    def show(self, step, members, batch, share):
        """Put a batch into a training step for some of its members.

        Parameters
        ----------
        step : DenseStep
            Where to.
        members : slice
            Which members of the step.
        batch : tuple
            Rows in network space, and what is known of them.
        share : float or None
            Of the highest step size, which noise on the rows goes with; None for none.
        """
        rows, known = batch
        target = self.module.likelihood.observe(rows, self.rng)
        encoded = self.module.corrupt(target, self.rng, known)
        if share is not None:
            encoded = jittered(encoded, self.spread, share, self.rng)
        step.fill_members(members, encoded, target, known)


def same_audience(member):
    """Return bytes that agree for members to whom the same may be shown."""
    module, rows = member.module_, member.rows
    scaler = [
        (name, np.asarray(value).tobytes())
        for name, value in module.scaler.state_dict().items()
    ]
    numbers = [
        None if part is None else part.tobytes()
        for part in (rows.train, rows.valid, rows.weights)
    ]
    width = module.n_components if hasattr(module, "n_draws") else 0
    return pickle.dumps(
        (
            _where(rows.X),
            numbers,
            scaler,
            module.rng.get_state(),
            width,
            module.corruption,
        )
    )


def _where(X):
    """Return what two arrays agree in that are the same memory."""
    return X.__array_interface__["data"][0], X.shape, X.strides, X.dtype.str
