"""How far reconstructions are off, in decibels."""

from numbers import Real

import numpy as np
from sklearn.utils import check_scalar

from skae.metrics._checks import check_same_shape


def peak_signal_to_noise_ratio(X, X_reconstructed, *, data_range, per_row=False):
    """Return the peak signal-to-noise ratio of reconstructions, in decibels.

    It is `10 * log10(data_range ** 2 / mean_squared_error)`: 10 dB more are a tenth of
    the squared error.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Rows.
    X_reconstructed : array-like of shape (n_samples, n_features)
        What became of them.
    data_range : float
        The highest value there can be, less the lowest: 255 for bytes, 1 for values in
        [0, 1]. It is not guessed from X, whose own values may not reach so far.
    per_row : bool, default=False
        Whether to return the ratio of each row. Their mean is what papers on images
        report; it is at least the ratio of all rows together, and infinite if a single
        row is exact.

    Returns
    -------
    psnr : float or ndarray of shape (n_samples,)
        In decibels; infinite where nothing differs.

    Raises
    ------
    ValueError
        If an array is not as described, or their shapes differ.

    Examples
    --------
    >>> import numpy as np
    >>> from skae.metrics import peak_signal_to_noise_ratio
    >>> X = np.zeros((2, 4))
    >>> round(peak_signal_to_noise_ratio(X, X + 0.1, data_range=1.0), 6)
    20.0
    """
    X, X_reconstructed = check_same_shape(X, X_reconstructed, ("X", "X_reconstructed"))
    check_scalar(
        data_range, "data_range", Real, min_val=0, include_boundaries="neither"
    )
    error = np.square(X - X_reconstructed).mean(axis=1 if per_row else None)
    with np.errstate(divide="ignore"):  # of what is exact
        ratio = 20 * np.log10(data_range) - 10 * np.log10(error)
    return ratio if per_row else float(ratio)
