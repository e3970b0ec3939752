"""Axes of the space of codes along which an error costs alike."""

from typing import NamedTuple

import numpy as np

# Codes at which the decoder is differentiated, by differences of so many standard
# deviations of a component either way: about as far as quantising moves it.
N_PROBES, SPAN = 32, 0.1

# Axes along which the decoder returns less than this share of the most are none.
SMALLEST_GAIN = 1e-9

# Axes are told apart by so many binary digits, fewer than machines agree on.
DIGEST_BITS = 16


class CodeAxes(NamedTuple):
    """A linear change of codes, and the way back.

    A step of 1 along any axis changes the decoded row by about 1, in the units of X,
    and values along different axes are uncorrelated: transform coding.
    """

    center: np.ndarray  # (n_components,)
    forward: np.ndarray  # (n_axes, n_components)
    backward: np.ndarray  # (n_components, n_axes)

    def to_axes(self, Z):
        """Return values along the axes of codes Z, (n_rows, n_axes)."""
        return (Z - self.center) @ self.forward.T

    def to_codes(self, values):
        """Return the codes of values along the axes, (n_rows, n_components)."""
        return self.center + values @ self.backward.T

    def digest_into(self, digest):
        """Feed the axes to a hash, as far as all machines find the same ones."""
        largest = np.abs(self.forward).max(axis=1, keepdims=True)
        shares = np.rint(np.ldexp(self.forward / largest, DIGEST_BITS))
        digest.update((shares + 0.0).tobytes())  # no negative zeros


def code_axes(decode, codes):
    """Return the `CodeAxes` of a decoder.

    Parameters
    ----------
    decode : callable
        From codes (n_rows, n_components) to rows (n_rows, n_features).
    codes : ndarray of shape (n_codes, n_components)
        Codes like those to come.
    """
    codes = codes.astype(np.float64)
    center, deviations = codes.mean(axis=0), codes - codes.mean(axis=0)
    metric = _mean_metric(decode, codes)  # squared length of what a change decodes to
    gains, directions = np.linalg.eigh(metric)
    known = gains > SMALLEST_GAIN * max(gains.max(), np.finfo(float).tiny)
    lengths, directions = np.sqrt(gains[known]), directions[:, known]
    isometric = lengths[:, None] * directions.T  # (n_axes, n_components)
    moved = deviations @ isometric.T
    _, rotation = np.linalg.eigh(moved.T @ moved / len(codes))
    rotation = rotation[:, ::-1]  # the widest axis first
    forward = rotation.T @ isometric
    backward = (directions / lengths) @ rotation
    # an axis may as well point the other way: not here
    strongest = np.abs(forward).argmax(axis=1)
    signs = np.sign(forward[np.arange(len(forward)), strongest])
    return CodeAxes(center, signs[:, None] * forward, signs * backward)


def _mean_metric(decode, codes):
    """Return the mean of J'J over some codes, J the Jacobian of the decoder."""
    n_components = codes.shape[1]
    steps = SPAN * codes.std(axis=0)
    steps = np.where(steps > 0, steps, SPAN)
    probes = np.linspace(0, len(codes) - 1, min(len(codes), N_PROBES)).astype(int)
    metric = np.zeros((n_components, n_components))
    for code in codes[probes]:
        moved = [code + sign * np.diag(steps) for sign in (1, -1)]
        ahead, behind = (decode(codes).astype(np.float64) for codes in moved)
        jacobian = (ahead - behind) / (2 * steps[:, None])  # (n_components, n_features)
        metric += jacobian @ jacobian.T
    return metric / len(probes)
