"""How the entries of rows are coded, given the decoder's output, in whole numbers."""

import numpy as np

from skae._validation import name_column
from skae.compression._integers import ACTIVATION_BITS, AFFINE_BITS, Table
from skae.likelihoods import Bernoulli, Ordinal

# Probabilities have so many fractional bits; a logit beyond the bound is as good as it.
PROBABILITY_BITS, LARGEST_LOGIT = 22, 12

# The same for the probability that a level is below another one: their differences are
# what counts.
SHARE_BITS, LARGEST_DISTANCE = 30, 20


def entry_coder(likelihood, parameters, models):
    """Return what codes entries under a likelihood, or None if nothing does.

    Parameters
    ----------
    likelihood : Likelihood
        Of a fitted module.
    parameters : dict of str to Tensor
        Learned with it.
    models : module
        `constriction.stream.model`.
    """
    if isinstance(likelihood, Bernoulli):
        return BinaryEntries(models)
    if isinstance(likelihood, Ordinal):
        return OrdinalEntries(likelihood, parameters["offsets"], models)
    return None


class BinaryEntries:
    """Zeros and ones, with the decoder's outputs as logits.

    Parameters
    ----------
    models : module
        `constriction.stream.model`.
    """

    def __init__(self, models):
        self._bernoulli = models.Bernoulli(perfect=False)
        self._probabilities = probabilities()

    def digest_into(self, digest):
        """Feed all that the probabilities depend on to a hash."""
        self._probabilities.digest_into(digest)

    def check(self, X, names):
        """Raise ValueError if X has other values than these."""
        wrong = (X != 0) & (X != 1)
        _refuse(X, wrong, names, "zeros and ones", "compress X > 0.5, say")

    def to_network_space(self, rows):
        """Return rows as whole numbers with `ACTIVATION_BITS`, float64."""
        return np.ldexp(rows.astype(np.float64), ACTIVATION_BITS)

    def encode(self, coders, rows, logits):
        """Put each row on a coder of its own."""
        for coder, row, share in zip(coders, rows, self._shares(logits), strict=True):
            coder.encode_reverse(row, self._bernoulli, share)

    def decode(self, coders, logits):
        """Take a row from each coder, int32."""
        shares = self._shares(logits)
        pairs = zip(coders, shares, strict=True)
        return np.stack([coder.decode(self._bernoulli, s) for coder, s in pairs])

    def _shares(self, logits):
        shares = self._probabilities(logits, AFFINE_BITS)
        return np.ldexp(shares, -PROBABILITY_BITS)


class OrdinalEntries:
    """Levels in an order, with cut points on the logits.

    A level is told by questions: is it the lowest, and then, which half of those that
    are left is it in? All open questions of all rows are asked at once.

    Parameters
    ----------
    likelihood : Ordinal
        The law.
    offsets : Tensor of shape (n_levels - 1,)
        Learned, of the cut points.
    models : module
        `constriction.stream.model`.
    """

    def __init__(self, likelihood, offsets, models):
        self.n_levels = likelihood.n_levels
        cuts, _ = likelihood.cut_points(offsets.detach().cpu().double())
        self._cuts = np.rint(np.ldexp(cuts.numpy(), AFFINE_BITS))
        self._table = shares_below()
        self._bernoulli = models.Bernoulli(perfect=False)

    def digest_into(self, digest):
        """Feed all that the probabilities depend on to a hash."""
        digest.update(self._cuts.tobytes())
        self._table.digest_into(digest)

    def check(self, X, names):
        """Raise ValueError if X has other values than these."""
        highest = self.n_levels - 1
        wrong = (X < 0) | np.greater(X, highest)
        if X.dtype.kind == "f":
            wrong |= np.floor(X) != X
        wanted = f"whole numbers from 0 to {highest}"
        _refuse(X, wrong, names, wanted, "round and clip X, say")

    def to_network_space(self, rows):
        """Return rows as whole numbers with `ACTIVATION_BITS`, float64."""
        return np.rint(rows * 2.0**ACTIVATION_BITS / (self.n_levels - 1))

    def encode(self, coders, rows, logits):
        """Put each row on a coder of its own."""
        levels, asked = rows.ravel(), []

        def answer(entries, middles, shares):
            answers = levels[entries] >= middles
            asked.append((entries, answers, shares))
            return answers

        self._ask(logits.ravel(), answer)
        entries, answers, shares = map(np.concatenate, zip(*asked, strict=True))
        owners = entries // rows.shape[1]
        order = np.argsort(owners, kind="stable")  # by row, then in the order asked
        answers, shares = answers[order].astype(np.int32), shares[order]
        bounds = np.searchsorted(owners[order], np.arange(len(coders) + 1))
        for coder, start, end in zip(coders, bounds, bounds[1:], strict=False):
            coder.encode_reverse(
                answers[start:end], self._bernoulli, shares[start:end]
            )  # fmt: skip

    def decode(self, coders, logits):
        """Take a row from each coder, int32."""
        starts = np.arange(len(coders) + 1) * logits.shape[1]

        def answer(entries, middles, shares):
            bounds = np.searchsorted(entries, starts)
            answers = np.empty(len(entries), bool)
            for coder, start, end in zip(coders, bounds, bounds[1:], strict=False):
                if end > start:
                    part = coder.decode(self._bernoulli, shares[start:end])
                    answers[start:end] = part
            return answers

        return self._ask(logits.ravel(), answer).reshape(logits.shape)

    def _ask(self, logits, answer):
        """Return the levels of entries that the answers to all questions come to.

        Parameters
        ----------
        logits : ndarray of shape (n_entries,)
            Decoder outputs.
        answer : callable
            From numbers of entries, in order, levels, and probabilities that an entry
            has that level or a higher one, to whether it has.
        """
        levels = np.zeros(len(logits), np.int32)
        entries = np.arange(len(logits))
        low, high = np.zeros_like(levels), np.full_like(levels, self.n_levels)
        # of 2 ** SHARE_BITS, and one for each level lest any be impossible
        below_low = np.zeros(len(logits))
        below_high = np.full(len(logits), 2.0**SHARE_BITS + self.n_levels)
        middles = np.ones_like(levels)
        while len(entries):
            distances = self._cuts[middles - 1] - logits[entries]
            below = self._table.between(distances, AFFINE_BITS) + middles
            shares = _quotients(below_high - below, below_high - below_low)
            yes = answer(entries, middles, shares)
            low, high = np.where(yes, middles, low), np.where(yes, high, middles)
            below_low = np.where(yes, below, below_low)
            below_high = np.where(yes, below_high, below)
            is_open = high - low > 1
            levels[entries] = low
            entries, low, high, below_low, below_high = (
                values[is_open]
                for values in (entries, low, high, below_low, below_high)
            )
            middles = (low + high) // 2
        return levels


def probabilities():
    """Return the table from logits to probabilities."""
    return Table(
        _logistic, -LARGEST_LOGIT, LARGEST_LOGIT, entry_bits=8, bits=PROBABILITY_BITS
    )


def shares_below():
    """Return the table from distances to a cut point to the share below it."""
    return Table(
        _logistic, -LARGEST_DISTANCE, LARGEST_DISTANCE, entry_bits=8, bits=SHARE_BITS
    )


def _logistic(logits):
    return 1 / (1 + np.exp(-logits))


def _quotients(parts, wholes):
    """Return parts of wholes as probabilities with `PROBABILITY_BITS`, never 0 or 1."""
    largest = 2.0**PROBABILITY_BITS
    shares = np.floor(parts * largest / wholes)
    return np.ldexp(np.clip(shares, 1, largest - 1), -PROBABILITY_BITS)


def _refuse(X, wrong, names, wanted, way_out):
    """Raise ValueError for the first entry of X that is marked."""
    if not wrong.any():
        return
    i, j = np.argwhere(wrong)[0]
    raise ValueError(
        f"X must be {wanted}, but {name_column(j, names)} has {X[i, j]} in row {i} "
        f"({wrong.sum()} such values in all); {way_out}"
    )
