"""New rows from a fitted model: drawn, between two rows, along a component."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skae._code_density import draw_codes, linear_path, spherical_path
from skae._random import draw_seed
from skae._sklearn import InvalidParameterError, Real
from skae._validation import check_components, check_count

PATHS = {"linear": linear_path, "spherical": spherical_path}


class GenerationMixin:
    """Methods that decode codes of no row.

    An estimator has `transform`, `inverse_transform`, and `_kept_codes` from its fit;
    `_code_densities` are the laws of codes that it knows, its own one first.
    """

    def sample_codes(
        self, n_samples=1, random_state=None, density=None, temperature=1.0
    ):
        """Return new codes, whose rows `inverse_transform` gives.

        Parameters
        ----------
        n_samples : int, default=1
            Number of codes.
        random_state : int, RandomState or None, default=None
            Source of the draws.
        density : {"prior", "aggregate", "mixture"} or None, default=None
            The law of codes. "mixture" is a mixture of normal laws, one around each of
            the codes of at most 10,000 training rows, along the ways to its nearest
            neighbours [1]_. For a VAE also "prior", N(0, I), and "aggregate", the
            posterior of a training row drawn at random. None is the prior of a VAE,
            else "mixture".
        temperature : float, default=1.0
            Factor of the standard deviations of these normal laws: below 1 new rows
            are more typical and differ less.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components_)
            Codes, float64.

        References
        ----------
        .. [1] P. Vincent, Y. Bengio, "Manifold Parzen Windows", NeurIPS 2002.
        """
        self._check_code()
        check_count("n_samples", n_samples)
        _check_positive("temperature", temperature)
        density = self._code_densities[0] if density is None else density
        if density not in self._code_densities:
            raise InvalidParameterError(
                f"density must be None or among {list(self._code_densities)} for "
                f"{type(self).__name__}, got {density!r}"
            )
        seed = draw_seed(random_state)
        return draw_codes(self._kept_codes, density, n_samples, seed, temperature)

    def interpolate(self, X_start, X_end, n_steps=8, path="linear"):
        """Return rows on the way from some rows to others, through their codes.

        Parameters
        ----------
        X_start, X_end : array-like of shape (n_samples, n_features)
            Rows from which, and to which.
        n_steps : int, default=8
            Rows on each way, its ends included: reconstructions of the given rows.
        path : {"linear", "spherical"}, default="linear"
            Lines between codes, or arcs about the mean of the training codes (zero for
            a VAE), on which codes keep their length.

        Returns
        -------
        X : ndarray of shape (n_samples, n_steps, n_features_in_)
            In the units of X; of objects where X has categories that are no numbers.
        """
        self._check_code()
        check_count("n_steps", n_steps)
        if path not in PATHS:
            raise InvalidParameterError(f"path must be in {list(PATHS)}, got {path!r}")
        start, end = self._encode(X_start), self._encode(X_end)
        if len(start) != len(end):
            raise ValueError(
                f"X_start has {len(start)} rows and X_end {len(end)}; every row needs "
                "one to go to"
            )
        center = self._middle_of_codes()
        shares = np.linspace(0, 1, n_steps)
        codes = center + PATHS[path](start - center, end - center, shares)
        return self._decode(codes)

    def traverse(self, X=None, components=None, n_steps=7, span=2.0):
        """Return what becomes of a row when one component of its code changes.

        Parameters
        ----------
        X : array-like of shape (1, n_features) or None, default=None
            The row; None is the mean of the training codes.
        components : array-like of int or None, default=None
            Which components to change, one at a time; None is each.
        n_steps : int, default=7
            Number of values.
        span : float, default=2.0
            They are spread evenly over so many standard deviations of the component
            about its mean, either way.

        Returns
        -------
        X : ndarray of shape (n_traversed, n_steps, n_features_in_)
            In the units of X; of objects where X has categories that are no numbers.
        """
        self._check_code()
        check_count("n_steps", n_steps)
        _check_positive("span", span)
        components = check_components(components, self.n_components_)
        center, spread = self._kept_codes.center(), self._kept_codes.spread()
        origin = center[None] if X is None else self._encode(X)
        if len(origin) != 1:
            raise ValueError(
                f"X has {len(origin)} rows, expected one to start from: X[:1], or None "
                "for the mean of the training codes"
            )
        codes = np.tile(origin, (len(components), n_steps, 1))
        shares = np.linspace(-span, span, n_steps)
        for i, j in enumerate(components):
            codes[i, :, j] = center[j] + spread[j] * shares
        return self._decode(codes)

    def _check_code(self):
        """Raise unless there is a fitted model whose codes mean something."""
        check_is_fitted(self)
        if self._kept_codes is None:
            raise ValueError(
                f"architecture={self.architecture!r} has no bottleneck, and so no "
                "codes to draw or to vary; use one with a bottleneck, such as 'conv'"
            )

    def _middle_of_codes(self):
        """Return the code about which arcs go."""
        return self._kept_codes.center()

    def _encode(self, X):
        return self._map(X, "transform").astype(np.float64)

    def _decode(self, codes):
        rows = self._rows_of(codes.reshape(-1, codes.shape[-1]))
        rows = rows.reshape(*codes.shape[:-1], -1)
        return rows if self._columns is None else self._columns.values(rows)


def _check_positive(name, value):
    """Raise unless an argument is a positive number."""
    if not isinstance(value, Real) or not 0 < value < np.inf:
        raise InvalidParameterError(f"{name} must be a positive float, got {value!r}")
