"""How much more or less one codec needs for the same quality."""

import numpy as np
from scipy.interpolate import PchipInterpolator
from sklearn.utils import check_array


def bjontegaard_rate(rates, qualities, other_rates, other_qualities):
    """Return how much more the other codec needs for the same quality, as a share.

    Bjontegaard's difference of rates, "BD-rate" [1]_: the mean difference of the
    logarithms of rates, over all qualities that both codecs reach.

    Parameters
    ----------
    rates : array-like of shape (n_points,)
        What the first codec needs at some settings, in any unit: bytes, bits a pixel,
        nats a row. Positive; at least two points, in any order.
    qualities : array-like of shape (n_points,)
        How good it is then, the higher the better, such as the peak signal-to-noise
        ratio in decibels. Put a minus before an error.
    other_rates : array-like of shape (n_other_points,)
        Those of the other codec.
    other_qualities : array-like of shape (n_other_points,)
        And its qualities.

    Returns
    -------
    difference : float
        -0.25 if the other codec needs a quarter less for the same quality, 1.0 if it
        needs twice as much.

    Raises
    ------
    ValueError
        If rates are not positive, qualities of a codec repeat, or no quality is reached
        by both codecs.

    Notes
    -----
    Between its points the logarithm of the rate is a piecewise cubic that does not
    swing over, as usual today; the first proposal was one cubic through four points,
    see [2]_. With other and other way round exchanged, `1 + difference` becomes its
    inverse. Units of rates, shifts and units of qualities do not matter.

    References
    ----------
    .. [1] G. Bjontegaard, "Calculation of average PSNR differences between RD-curves",
       ITU-T VCEG-M33, 2001.
    .. [2] N. Barman, M. G. Martini, Y. Reznik, "Bjontegaard Delta (BD): A Tutorial
       Overview of the Metric, Evolution, Challenges, and Recommendations", 2024,
       arXiv:2401.04039.

    Examples
    --------
    >>> from skae.metrics import bjontegaard_rate
    >>> rates, qualities = [1.0, 2.0, 4.0, 8.0], [30.0, 33.0, 36.0, 39.0]
    >>> round(bjontegaard_rate(rates, qualities, [0.5, 1, 2, 4], qualities), 3)
    -0.5
    """
    ours = _check_curve(rates, qualities, "rates", "qualities")
    other = _check_curve(other_rates, other_qualities, "other_rates", "other_qualities")
    low = max(ours[1][0], other[1][0])
    high = min(ours[1][-1], other[1][-1])
    if low >= high:
        raise ValueError(
            f"qualities are from {ours[1][0]:g} to {ours[1][-1]:g} and other_qualities "
            f"from {other[1][0]:g} to {other[1][-1]:g}, which do not overlap; measure "
            "both codecs at settings with about the same quality"
        )
    areas = [
        PchipInterpolator(quality, np.log(rate)).integrate(low, high)
        for rate, quality in (ours, other)
    ]
    return float(np.expm1((areas[1] - areas[0]) / (high - low)))


def _check_curve(rates, qualities, rate_name, quality_name):
    """Return rates and qualities of a codec, in the order of qualities."""
    rate, quality = (
        check_array(
            values,
            dtype=np.float64,
            ensure_2d=False,
            allow_nd=True,
            ensure_min_samples=2,
            input_name=name,
        )
        for values, name in ((rates, rate_name), (qualities, quality_name))
    )
    if rate.ndim != 1 or rate.shape != quality.shape:
        raise ValueError(
            f"{rate_name} has shape {rate.shape} and {quality_name} {quality.shape}, "
            "expected (n_points,) of both: one rate and one quality for each setting"
        )
    if rate.min() <= 0:
        raise ValueError(
            f"{rate_name} has {rate.min():g}, expected positive rates, whose "
            "logarithms are compared"
        )
    order = np.argsort(quality)
    rate, quality = rate[order], quality[order]
    is_repeated = np.diff(quality) == 0
    if is_repeated.any():
        raise ValueError(
            f"{quality_name} has {quality[1:][is_repeated][0]:g} twice, so that there "
            "are two rates for it; keep the lower one"
        )
    return rate, quality
