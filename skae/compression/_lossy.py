"""Lossy compression with an autoencoder: codes, rounded."""

import hashlib

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skae._base import BaseAutoencoder
from skae._sklearn import InvalidParameterError, Real
from skae._validation import check_overflow
from skae.compression._axes import code_axes
from skae.compression._coders import import_constriction
from skae.compression._container import DISAGREES, CompressedDataError, Container, Stack
from skae.compression._laws import AxisLaw

KIND = 2

# A value of this size, in steps, is rounded to 1 and not to 0: bits are dear where
# most values are small.
EDGE = 0.6

# Codes as far out as this are not of any row; as many halves of a word hold them.
LARGEST, HALF = 2**31 - 1, 2**16


class LossyCodec:
    """Compress rows to a few bits with a fitted autoencoder.

    The code of a row is rounded along axes on which an error costs alike, and the
    whole numbers are stored by the law that they follow [1]_: the rarer, the more
    bits. The entropy coder is that of constriction [2]_. What comes back is what the
    decoder makes of the rounded code.

    Parameters
    ----------
    estimator : AutoencoderTransformer or VAETransformer
        Fitted. Codes of its training rows, which it has kept, tell the laws.
    step : float
        From one value of a rounded code to the next, in the units of X: about so far
        apart are the rows that the two stand for. Larger steps take fewer bytes and
        lose more. Pixels in [0, 1] may begin with 0.3.

    Attributes
    ----------
    fingerprint : bytes
        Eight, of network, step and laws: bytes of another model are refused.

    Raises
    ------
    ImportError
        If constriction is not installed.
    TypeError, ValueError
        If the estimator has no code, or `step` is not positive.

    References
    ----------
    .. [1] V. Goyal, "Theoretical Foundations of Transform Coding", IEEE Signal
       Processing Magazine 18, 2001, doi:10.1109/79.952802.
    .. [2] R. Bamler, "Understanding Entropy Coding With Asymmetric Numeral Systems
       (ANS): a Statistician's Perspective", 2022, arXiv:2201.01741.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoencoderTransformer
    >>> from skae.compression import LossyCodec
    >>> X = load_digits().data
    >>> ae = AutoencoderTransformer(16, max_epochs=30, random_state=0).fit(X[:1000])
    >>> data = LossyCodec(ae, step=8.0).compress(X[1000:])
    >>> 8 * len(data) < 0.5 * X[1000:].size  # half a bit a pixel
    True
    >>> restored = LossyCodec(ae, step=8.0).decompress(data)
    >>> bool(((restored - X[1000:]) ** 2).mean() < 0.3 * X[1000:].var(axis=0).mean())
    True
    """

    def __init__(self, estimator, step):
        _check_arguments(estimator, step)
        self._coders = import_constriction().stream
        self.estimator, self.step = estimator, float(step)
        kept = estimator._kept_codes.mean
        self._axes = code_axes(estimator.inverse_transform, kept)
        values = self._axes.to_axes(kept) / self.step  # (n_kept, n_axes)
        self._laws = [AxisLaw(column, rounded, EDGE) for column in values.T]
        self._models = [
            self._coders.model.Categorical(law.probabilities, perfect=False)
            for law in self._laws
        ]
        likeliest = [law.probabilities.max() for law in self._laws]
        self._fewest_bits = -np.log2(likeliest).sum()
        self._half = self._coders.model.Uniform(HALF)
        self.fingerprint = self._digest()

    def compress(self, X):
        """Return rows as bytes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows. Missing values come back filled.

        Returns
        -------
        data : bytes
            With a header that holds a checksum and the model's fingerprint.

        Raises
        ------
        ValueError
            If X has another width than the model, or a row is so far out that its
            code in steps is no 32-bit number.
        """
        codes = self.estimator.transform(X)
        X = self.estimator._check_rows(X)
        values = self._axes.to_axes(codes.astype(np.float64)) / self.step
        numbers = rounded(values)  # (n_rows, n_axes)
        check_overflow(np.where(np.abs(numbers) > LARGEST, np.inf, numbers), X)
        coder = self._coders.stack.AnsCoder()
        for column, law, model in zip(
            reversed(numbers.T), reversed(self._laws), reversed(self._models),
            strict=True,
        ):  # fmt: skip
            self._push(coder, column, law, model)
        stack = Stack(0, coder.get_compressed())
        dtype = X.dtype.str[1:]
        return Container(KIND, dtype, len(X), self.fingerprint, [stack]).to_bytes()

    def decompress(self, data):
        """Return the rows of bytes that `compress` has returned.

        Parameters
        ----------
        data : bytes
            Of this model and this step.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            Of the dtype that the rows had; whole numbers are rounded.

        Raises
        ------
        CompressedDataError
            If the bytes are damaged, of another kind, or of another model.
        """
        content = Container.from_bytes(data, kind=KIND, fingerprint=self.fingerprint)
        if len(content.stacks) != 1:
            raise CompressedDataError(DISAGREES)
        words = content.stacks[0].words
        # before memory is asked for: no row takes fewer bits than the likeliest one
        if content.n_rows * self._fewest_bits > 32 * (len(words) + 2):
            raise CompressedDataError(DISAGREES)
        coder = self._coders.stack.AnsCoder(words)
        values = np.empty((content.n_rows, len(self._laws)))
        for j, (law, model) in enumerate(zip(self._laws, self._models, strict=True)):
            values[:, j] = self._pop(coder, content.n_rows, law, model)
        if not coder.is_empty():
            raise CompressedDataError(DISAGREES)
        codes = self._axes.to_codes(values * self.step)
        dtype = np.dtype(content.dtype)
        rows = self.estimator.inverse_transform(codes.astype(_float_of(dtype)))
        return _as_dtype(rows, dtype)

    # -- whole numbers and words -------------------------------------------------------

    def _push(self, coder, numbers, law, model):
        """Put the numbers of all rows along one axis on a stack."""
        escapes = np.abs(numbers) > law.most
        far = numbers[escapes].astype(np.int64) + 2**31
        symbols = np.where(escapes, law.most + 1, numbers) + law.most
        coder.encode_reverse((far % HALF).astype(np.int32), self._half)
        coder.encode_reverse((far // HALF).astype(np.int32), self._half)
        coder.encode_reverse(symbols.astype(np.int32), model)

    def _pop(self, coder, n_rows, law, model):
        """Return the values of all rows along one axis, in steps, from a stack."""
        symbols = coder.decode(model, n_rows)
        escapes = symbols == 2 * law.most + 1
        high, low = (coder.decode(self._half, int(escapes.sum())) for _ in range(2))
        values = np.append(law.middles, 0.0)[symbols]
        values[escapes] = high.astype(np.float64) * HALF + low - 2**31
        return values

    def _digest(self):
        """Return the fingerprint."""
        digest = hashlib.sha256(repr(self.step).encode())
        module = self.estimator.module_
        digest.update(f"{module.architecture!r} {module.likelihood!r}".encode())
        for name, tensor in module.state_dict().items():
            digest.update(name.encode() + tensor.cpu().numpy().tobytes())
        for part in (self._axes, *self._laws):
            part.digest_into(digest)
        return digest.digest()[:8]


def rounded(values):
    """Return values in steps as whole numbers, of a size of at least `EDGE` each."""
    return np.sign(values) * np.floor(np.abs(values) + 1 - EDGE)


def _float_of(dtype):
    return np.float32 if dtype == np.float32 else np.float64


def _as_dtype(rows, dtype):
    """Return rows of floats in another dtype, rounded and cut to its range."""
    if dtype.kind == "b":
        return rows > 0.5
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        # float64 has no 2 ** 63 - 1, and 2 ** 63 is too large
        highest = min(float(limits.max), np.nextafter(2.0**63, 0))
        rows = np.rint(rows).clip(limits.min, highest)
    return rows.astype(dtype)


def _check_arguments(estimator, step):
    """Raise unless this is a fitted estimator with a code, and a size of steps."""
    if not isinstance(estimator, BaseAutoencoder):
        raise TypeError(
            "estimator must be an AutoencoderTransformer or a VAETransformer, got "
            f"{type(estimator).__name__}"
        )
    check_is_fitted(estimator)
    if getattr(estimator, "_kept_codes", None) is None:
        raise ValueError(
            f"architecture={estimator.architecture!r} has no bottleneck, and so no "
            "code that is smaller than a row; use one with a bottleneck"
        )
    if estimator.is_categorical_ is not None:
        raise ValueError(
            "the estimator was fitted on a table with categories, and LossyCodec takes "
            "rows of numbers; encode the categories first, for instance with "
            "sklearn.preprocessing.OneHotEncoder"
        )
    if isinstance(step, bool) or not isinstance(step, Real) or not 0 < step < np.inf:
        raise InvalidParameterError(
            f"step must be a positive float, a length in the units of X, got {step!r}"
        )
