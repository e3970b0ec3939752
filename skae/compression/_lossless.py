"""Lossless compression with a VAE: bits back."""

import hashlib

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skae._sklearn import check_feature_names, check_n_features
from skae._vae import VAETransformer
from skae._validation import check_rows
from skae.compression._coders import import_constriction
from skae.compression._container import DISAGREES, CompressedDataError, Container, Stack
from skae.compression._entries import entry_coder
from skae.compression._integers import (
    ACTIVATION_BITS,
    AFFINE_BITS,
    IntegerNetwork,
    Table,
)

KIND = 1

# Codes lie on a grid with so many bits to the unit, out to so many units: eight are
# beyond any draw from the prior, and the step is small beside a posterior's width.
GRID_BITS, GRID_END = 6, 8
N_SIDE = GRID_END << GRID_BITS

# Rows of one stack. Each stack loses the bits that its first row's code is drawn by,
# many stacks share a pass through the network.
ROWS_PER_STACK, MOST_STACKS = 500, 64

# A code of one component takes 24 of the 32 bits of a word at most. Stacks begin with
# more words than that, for the first rows' codes to be drawn by.
WORDS_PER_COMPONENT = 2

# Standard deviations have so many fractional bits; a log-variance is between those of
# the module.
STD_BITS, LOG_VARS = 10, (-30, 2)
SMALLEST_STD = 1 / 16  # steps of the grid


class LosslessCodec:
    """Compress rows of whole numbers with a fitted VAE, to the last bit.

    A row costs about its negative ELBO, by bits back with asymmetric numeral systems
    [1]_: its code is drawn from the posterior by *decoding* bits of earlier rows, which
    are got back when the row has been decoded. The entropy coder is that of
    constriction [2]_. Networks are computed in whole numbers, so that another machine
    decodes the same rows.

    Parameters
    ----------
    estimator : VAETransformer
        Fitted, with `likelihood="bernoulli"` for zeros and ones, or `Ordinal()` for
        grey levels, say, and networks of dense or convolutional layers.

    Attributes
    ----------
    fingerprint : bytes
        Eight, of the networks: bytes of another model are refused.

    Raises
    ------
    ImportError
        If constriction is not installed.
    ValueError
        If the estimator has another likelihood, or layers that cannot be computed in
        whole numbers.

    References
    ----------
    .. [1] J. Townsend, T. Bird, D. Barber, "Practical Lossless Compression with Latent
       Variables using Bits Back Coding", ICLR 2019, arXiv:1901.04866.
    .. [2] R. Bamler, "Understanding Entropy Coding With Asymmetric Numeral Systems
       (ANS): a Statistician's Perspective", 2022, arXiv:2201.01741.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skae import VAETransformer
    >>> from skae.compression import LosslessCodec
    >>> X = load_digits().data > 8
    >>> vae = VAETransformer(8, likelihood="bernoulli", max_epochs=30, random_state=0)
    >>> codec = LosslessCodec(vae.fit(X[:1000]))
    >>> data = codec.compress(X[1000:])
    >>> bool(np.array_equal(codec.decompress(data), X[1000:]))
    True
    >>> len(data) < X[1000:].size / 8 / 2
    True
    """

    def __init__(self, estimator):
        _check_estimator(estimator)
        self._coders = import_constriction().stream
        models = self._coders.model
        self._entries = _find_entries(estimator, models)
        self._grid = models.QuantizedGaussian(-N_SIDE, N_SIDE)
        self._prior = models.QuantizedGaussian(-N_SIDE, N_SIDE, 0.0, 2.0**GRID_BITS)
        self.estimator = estimator
        module = estimator.module_
        self._encoder = IntegerNetwork(module.encoder, largest=1)
        self._decoder = IntegerNetwork(module.decoder, largest=GRID_END)
        self._stds = posterior_stds()
        digest = hashlib.sha256()
        for part in (self._encoder, self._decoder, self._stds, self._entries):
            part.digest_into(digest)
        self.fingerprint = digest.digest()[:8]

    def compress(self, X):
        """Return rows as bytes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows of zeros and ones, or of levels of `Ordinal`.

        Returns
        -------
        data : bytes
            With a header that holds a checksum and the model's fingerprint.

        Raises
        ------
        ValueError
            If X has other values, or another width than the model.
        """
        X = self._check_rows(X)
        rows = X.astype(np.int32)
        means, stds = self._posteriors(rows)
        coders = [self._new_coder() for _ in range(_n_stacks(len(X)))]
        for numbers in _in_turns(len(X), len(coders)):
            turn = coders[: len(numbers)]
            codes = [
                coder.decode(self._grid, means[i], stds[i])
                for coder, i in zip(turn, numbers, strict=True)
            ]
            self._entries.encode(turn, rows[numbers], self._logits(np.stack(codes)))
            for coder, code in zip(turn, codes, strict=True):
                coder.encode_reverse(code, self._prior)
        stacks = [self._close(coder) for coder in coders]
        dtype = X.dtype.str[1:]
        return Container(KIND, dtype, len(X), self.fingerprint, stacks).to_bytes()

    def decompress(self, data):
        """Return the rows of bytes that `compress` has returned.

        Parameters
        ----------
        data : bytes
            Of this model.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            The rows, bit for bit, of the dtype that they had.

        Raises
        ------
        CompressedDataError
            If the bytes are damaged, of another kind, or of another model.
        """
        content = Container.from_bytes(data, kind=KIND, fingerprint=self.fingerprint)
        coders = [self._reopen(stack) for stack in content.stacks]
        if len(coders) != _n_stacks(content.n_rows):
            raise CompressedDataError(DISAGREES)
        rows = np.empty((content.n_rows, self.estimator.n_features_in_), np.int32)
        for numbers in reversed(_in_turns(content.n_rows, len(coders))):
            turn = coders[: len(numbers)]
            n_components = self.estimator.n_components_
            codes = [coder.decode(self._prior, n_components) for coder in turn]
            rows[numbers] = self._entries.decode(turn, self._logits(np.stack(codes)))
            means, stds = self._posteriors(rows[numbers])
            for coder, code, mean, std in zip(turn, codes, means, stds, strict=True):
                coder.encode_reverse(code, self._grid, mean, std)
        start = self._new_coder().get_compressed()
        if not all(np.array_equal(c.get_compressed(), start) for c in coders):
            raise CompressedDataError(DISAGREES)
        X = rows.astype(content.dtype)
        if not np.array_equal(X, rows):
            raise CompressedDataError(DISAGREES)
        return X

    def _check_rows(self, X):
        """Return X as an array of the law's values and the model's width."""
        estimator = self.estimator
        check_feature_names(estimator, X, reset=False)
        names = getattr(estimator, "feature_names_in_", None)
        X = check_rows(
            X, estimator=estimator, names=names, image_shape=estimator.image_shape
        )
        check_n_features(estimator, X, reset=False)
        self._entries.check(X, names)
        return X

    # -- laws in whole numbers ---------------------------------------------------------

    def _posteriors(self, rows):
        """Return means and standard deviations of codes, in steps of the grid."""
        outputs = self._encoder(self._entries.to_network_space(rows))
        means, log_vars = np.split(outputs, 2, axis=1)
        means = np.ldexp(means, GRID_BITS - AFFINE_BITS)
        stds = np.ldexp(self._stds(log_vars, AFFINE_BITS), -STD_BITS)
        return np.clip(means, -N_SIDE, N_SIDE), stds

    def _logits(self, codes):
        """Return the decoder's outputs for codes on the grid."""
        inputs = np.ldexp(codes.astype(np.float64), ACTIVATION_BITS - GRID_BITS)
        return self._decoder(inputs)

    # -- coders ------------------------------------------------------------------------

    def _first_words(self):
        """Return the words that every stack begins with, for a code to be drawn by."""
        n_words = min(WORDS_PER_COMPONENT * self.estimator.n_components_ + 64, 2**16)
        digest = hashlib.shake_128(b"skae").digest(4 * (n_words - 1))
        return np.frombuffer(digest, "<u4").astype(np.uint32)

    def _new_coder(self):
        return self._coders.stack.AnsCoder(self._first_words(), seal=True)

    def _close(self, coder):
        """Return what a coder holds as a `Stack`."""
        words, first = coder.get_compressed(), self._first_words()
        n = min(len(words), len(first))
        differ = np.flatnonzero(words[:n] != first[:n])
        n_known = int(differ[0]) if len(differ) else n
        return Stack(n_known, words[n_known:])

    def _reopen(self, stack):
        """Return the coder that has been closed as a `Stack`."""
        words = np.concatenate([self._first_words()[: stack.n_known], stack.words])
        return self._coders.stack.AnsCoder(words)


def posterior_stds():
    """Return the table from log-variances to standard deviations in steps."""
    return Table(
        lambda log_vars: np.maximum(np.exp(log_vars / 2) * 2**GRID_BITS, SMALLEST_STD),
        *LOG_VARS, entry_bits=6, bits=STD_BITS,
    )  # fmt: skip


def _n_stacks(n_rows):
    return int(np.clip(-(-n_rows // ROWS_PER_STACK), 1, MOST_STACKS))


def _in_turns(n_rows, n_stacks):
    """Return which rows go to the stacks in each turn, one to a stack."""
    starts = range(0, n_rows, n_stacks)
    return [np.arange(start, min(start + n_stacks, n_rows)) for start in starts]


def _check_estimator(estimator):
    """Raise unless this is a fitted VAE."""
    if not isinstance(estimator, VAETransformer):
        raise TypeError(
            f"estimator must be a VAETransformer, got {type(estimator).__name__}; a "
            "plain autoencoder gives no probabilities to code by"
        )
    check_is_fitted(estimator)


def _find_entries(estimator, models):
    """Return what codes entries, or raise ValueError if the likelihood cannot."""
    module = estimator.module_
    entries = entry_coder(module.likelihood, module.likelihood_parameters, models)
    if entries is None:
        raise ValueError(
            f"likelihood={estimator.likelihood!r} gives no probability of whole "
            "numbers; fit VAETransformer(likelihood='bernoulli') to zeros and ones, or "
            "VAETransformer(likelihood=Ordinal()) to grey levels"
        )
    return entries
