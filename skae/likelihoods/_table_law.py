"""The law of a row of columns that have laws of their own."""

from typing import NamedTuple

import numpy as np

from skae._storage import storable
from skae.likelihoods._base import Likelihood, Surrogate
from skae.likelihoods._column_scales import ColumnScales


@storable
class Part(NamedTuple):
    """Columns of one law, side by side in network space."""

    law: Likelihood
    columns: tuple  # their positions in X
    width: int  # entries of each in network space
    codes: tuple | None  # which category each of its entries stands for

    @property
    def n_entries(self):
        """How many entries of a row are theirs."""
        return len(self.columns) * self.width


@storable
class TableLaw(Likelihood):
    """Laws of columns, put together: their log-probabilities add up, in nats.

    An entry of a row in network space is a number of X, or whether a column of X has a
    certain category.

    Parameters
    ----------
    parts : list of Part
        Those of numbers first. Every column is in one of them.
    """

    def __init__(self, parts):
        self.parts = parts

    @property
    def n_columns(self):
        """Number of columns of X."""
        return sum(len(part.columns) for part in self.parts)

    @property
    def n_entries(self):
        """Width of a row in network space."""
        return sum(part.n_entries for part in self.parts)

    @property
    def slices(self):
        """Which entries are those of each part."""
        stops = np.cumsum([part.n_entries for part in self.parts]).tolist()
        return [
            slice(stop - part.n_entries, stop)
            for part, stop in zip(self.parts, stops, strict=True)
        ]

    def entries(self):
        """Return the column of X that every entry belongs to, and its category.

        Returns
        -------
        columns : ndarray of int, of shape (n_entries,)
        codes : ndarray of shape (n_entries,)
            NaN where the entry is the number itself.
        """
        columns, codes = [], []
        for part in self.parts:
            columns.append(np.repeat(part.columns, part.width))
            of_one = np.full(part.width, np.nan) if part.codes is None else part.codes
            codes.append(np.tile(of_one, len(part.columns)))
        return np.concatenate(columns).astype(int), np.concatenate(codes).astype(float)

    def fitted_to(self, statistics):
        """Return this law with those of the parts told the statistics of theirs."""
        return TableLaw(
            [
                part._replace(law=part.law.fitted_to(statistics.take(entries)))
                for part, entries in zip(self.parts, self.slices, strict=True)
            ]
        )

    @property
    def densities(self):
        """Which entries have a density: 1, or 0 where they have probabilities."""
        return self._per_entry(lambda law: float(law.scalable))

    @property
    def units(self):
        """What each entry is divided by where its law takes no other scaling."""
        return self._per_entry(lambda law: law.unit)

    def _per_entry(self, value_of):
        values = np.empty(self.n_entries)
        for part, entries in zip(self.parts, self.slices, strict=True):
            values[entries] = value_of(part.law)
        return values

    def pooled(self, variances):
        """Return variances as the laws have them: one of each column, or of all."""
        variances = variances.copy()
        for part, entries in zip(self.parts, self.slices, strict=True):
            if not isinstance(part.law, ColumnScales):
                variances[entries] = variances[entries].mean()
        return variances

    # -- the learned parameters, one namespace for each part -----------------------

    def initial_parameters(self, noise_variance=1.0):
        """Return the learned parameters of all parts at the start.

        The variance is that of each entry, or of all.
        """
        variances = np.broadcast_to(noise_variance, self.n_entries)
        start = {}
        for i, (part, entries) in enumerate(zip(self.parts, self.slices, strict=True)):
            law, own = part.law, variances[entries]
            if not isinstance(law, ColumnScales):
                own = float(own.mean())
            values = law.initial_parameters(own)
            for name, value in values.items():
                if name in law.per_feature:
                    value = np.broadcast_to(value, part.n_entries).copy()
                start[_name_in(i, name)] = value
        return start

    @property
    def mean_parameters(self):
        """Names of the learned parameters that `mean` takes."""
        return tuple(
            _name_in(i, name)
            for i, part in enumerate(self.parts)
            for name in part.law.mean_parameters
        )

    def _each(self, learned, *tensors):
        """Yield each law, what it has learned, and its entries of the tensors."""
        for i, (part, entries) in enumerate(zip(self.parts, self.slices, strict=True)):
            start = _name_in(i, "")
            own = {
                name.removeprefix(start): value
                for name, value in learned.items()
                if name.startswith(start)
            }
            yield part.law, own, *(t[..., entries] for t in tensors)

    # -- the law -------------------------------------------------------------------

    def observe(self, X, rng):
        """Return rows to train on, as each part will have them."""
        if not any(getattr(part.law, "binarize", False) for part in self.parts):
            return X
        return _joined(law.observe(own, rng) for law, _, own in self._each({}, X))

    def log_prob(self, params, X, **learned):
        """Return the log-probability that stands at every entry, in nats."""
        return _joined(
            law.log_prob(p, x, **own)
            for law, own, p, x in self._each(learned, params, X)
        )

    def backward(self, params, X, *, weight, out, parameters, gradients, known=None):
        """Return the operations from decoder outputs to the gradient by them."""
        outs = params.new_empty(len(self.parts), len(params))  # (n_parts, K)
        parts = self._each(parameters, params, X, X if known is None else known)
        slopes = [own for _, own in self._each(gradients)]
        operations = []
        for i, (law, own, p, x, seen) in enumerate(parts):
            operations += law.backward(
                p,
                x,
                weight=weight,
                out=outs[i],
                parameters=own,
                gradients=slopes[i],
                known=None if known is None else seen,
            )
        return [*operations, lambda: out.copy_(outs.sum(0))]

    def mean(self, params, **learned):
        """Return the mean of every entry: of categories, their probabilities."""
        return _joined(
            law.mean(p, **own) for law, own, p in self._each(learned, params)
        )

    def sample(self, params, rng, **learned):
        """Return one draw of every column."""
        return _joined(
            law.sample(p, rng, **own) for law, own, p in self._each(learned, params)
        )

    def surrogate(self, means):
        """Return the `Surrogate` of all parts; NaN is a variance to be estimated."""
        bias, gain, noise = np.empty((3, self.n_entries))
        for part, entries in zip(self.parts, self.slices, strict=True):
            own = part.law.surrogate(means[entries])
            variance = own.noise_variance
            bias[entries], gain[entries] = own.bias, own.gain
            noise[entries] = np.nan if variance is None else variance
        return Surrogate(bias, gain, noise)


def _name_in(i, name):
    """Return what a learned parameter of part `i` is called here."""
    return f"part{i}_{name}"


def _joined(tensors):
    import torch

    return torch.cat(list(tensors), dim=-1)
