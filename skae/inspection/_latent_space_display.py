"""Where rows are among the codes, as a picture."""

import numpy as np
from sklearn.decomposition import PCA
from sklearn.utils import check_array
from sklearn.utils.multiclass import type_of_target

from skae._sklearn import InvalidParameterError
from skae._validation import check_components
from skae.inspection._panels import make_axes, make_panels

KINDS = ("auto", "scatter", "density", "pairs")

# More classes than this have a scale of colours in place of a legend.
MOST_CLASSES = 20

# Bars of a histogram, and hexagons along one side of a density.
N_BARS = 30
N_HEXAGONS = 40


class LatentSpaceDisplay:
    """Codes of rows as points, coloured by y, or how dense they are.

    Of more than two components, principal axes of the codes are shown, or all pairs of
    components. A single component is a histogram.

    It is recommended to use `LatentSpaceDisplay.from_estimator` or
    `LatentSpaceDisplay.from_codes`.

    Parameters
    ----------
    Z : ndarray of shape (n_samples, n_shown)
        What is shown of the codes.
    y : ndarray of shape (n_samples,) or None, default=None
        Classes, or numbers, of the rows.
    names : list of str
        Names of the columns of `Z`.
    kind : {"scatter", "density", "pairs"}, default="scatter"
        What to draw.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it has been drawn.
    axes_ : ndarray of matplotlib Axes or None
        The panels of "pairs"; below the diagonal are points, on it histograms.
    figure_ : matplotlib Figure
        The figure of it.
    colorbar_ : matplotlib Colorbar or None
        The scale of a y of numbers, or of the density.

    See Also
    --------
    LatentTraversalDisplay : What the components do.
    skae.metrics : How well codes agree with known factors, in numbers.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_iris
    >>> from skae import VAETransformer
    >>> from skae.inspection import LatentSpaceDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> vae = VAETransformer(2, max_epochs=20, random_state=0).fit(X)
    >>> display = LatentSpaceDisplay.from_estimator(vae, X, y)
    >>> [text.get_text() for text in display.ax_.get_legend().get_texts()]
    ['0', '1', '2']
    >>> plt.close(display.figure_)
    """

    def __init__(self, Z, y=None, *, names, kind="scatter"):
        self.Z = Z
        self.y = y
        self.names = names
        self.kind = kind

    @classmethod
    def from_estimator(
        cls, estimator, X, y=None, *, components=None, kind="auto", ax=None, cmap=None
    ):
        """Draw the codes that a fitted transformer gives rows.

        Parameters
        ----------
        estimator : estimator with `transform`
            Fitted; of skae or another.
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or None, default=None
            Classes, or numbers, by which to colour.
        components : list of int or None, default=None
            Which components to show; None for all.
        kind : {"auto", "scatter", "density", "pairs"}, default="auto"
            "scatter" has a point for each row, "density" the number of rows around.
            More than two components are projected to the two principal axes of their
            codes, but shown two by two by "pairs". "auto" is "scatter".
        ax : matplotlib Axes or None, default=None
            Where to draw; None for a new figure.
        cmap : str or Colormap, default=None
            Colours of a y of numbers, or of the density.

        Returns
        -------
        display : LatentSpaceDisplay
        """
        return cls.from_codes(
            np.asarray(estimator.transform(X)),
            y,
            components=components,
            kind=kind,
            ax=ax,
            cmap=cmap,
        )

    @classmethod
    def from_codes(cls, Z, y=None, *, components=None, kind="auto", ax=None, cmap=None):
        """Draw codes.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_components)
            Codes.
        y, components, kind, ax, cmap : object
            As for `from_estimator`.

        Returns
        -------
        display : LatentSpaceDisplay
        """
        if kind not in KINDS:
            raise InvalidParameterError(f"kind must be in {list(KINDS)}, got {kind!r}")
        Z = check_array(Z, dtype=float, input_name="Z")
        if y is not None:
            y = np.asarray(y)
            if y.shape != (len(Z),):
                raise ValueError(
                    f"y must have the shape ({len(Z)},), an entry a row, got {y.shape}"
                )
        shown = check_components(components, Z.shape[1])
        Z, names = Z[:, shown], [f"component {j}" for j in shown]
        kind = "scatter" if kind == "auto" else kind
        if Z.shape[1] > 2 and kind != "pairs":
            pca = PCA(2).fit(Z)
            shares = pca.explained_variance_ratio_
            Z = pca.transform(Z)
            names = [f"axis {k} of the codes ({s:.0%})" for k, s in enumerate(shares)]
        return cls(Z, y, names=names, kind=kind).plot(ax=ax, cmap=cmap)

    def plot(self, ax=None, *, cmap=None):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None for a new figure.
        cmap : str or Colormap, default=None
            Colours of a y of numbers, or of the density.

        Returns
        -------
        display : LatentSpaceDisplay
            This one, with what has been drawn as attributes.
        """
        n_shown = self.Z.shape[1]
        side = 1.5 * n_shown + 1 if self.kind == "pairs" else 5
        ax = make_axes(ax, figsize=(side + 1, side))
        self.ax_, self.figure_ = ax, ax.figure
        self.axes_ = self.colorbar_ = None
        if self.kind == "pairs":
            self._draw_pairs(ax, cmap)
        elif n_shown == 1:
            self._draw_histogram(ax, 0)
            ax.set(xlabel=self.names[0], ylabel="rows")
        else:
            draw = self._draw_density if self.kind == "density" else self._draw_points
            self._add_legend(ax, draw(ax, 0, 1, cmap))
            ax.set(xlabel=self.names[0], ylabel=self.names[1])
        return self

    def _classes(self):
        """Return the values of y if these are classes, else None."""
        if self.y is None:
            return None
        if self.y.dtype.kind == "f" and type_of_target(self.y) == "continuous":
            return None
        classes = np.unique(self.y)
        return classes if len(classes) <= MOST_CLASSES else None

    def _draw_points(self, ax, x, y, cmap):
        """Draw two columns as points, and return what has a scale, if anything does."""
        size = np.clip(20000 / len(self.Z), 4, 30)
        style = {"s": size, "alpha": 0.7, "linewidths": 0}
        classes, points = self._classes(), self.Z[:, [x, y]]
        if classes is not None:
            for one in classes:
                ax.scatter(*points[self.y == one].T, label=str(one), **style)
            return None
        drawn = ax.scatter(*points.T, c=self.y, cmap=cmap, **style)
        return None if self.y is None else drawn

    def _draw_density(self, ax, x, y, cmap):
        return ax.hexbin(
            *self.Z[:, [x, y]].T, gridsize=N_HEXAGONS, mincnt=1, cmap=cmap, bins="log"
        )

    def _draw_histogram(self, ax, j):
        classes, column = self._classes(), self.Z[:, j]
        edges = np.histogram_bin_edges(column, N_BARS)
        if classes is None:
            ax.hist(column, edges)
            return
        for one in classes:
            ax.hist(column[self.y == one], edges, alpha=0.6, label=str(one))
        if self.kind != "pairs":
            ax.legend()

    def _draw_pairs(self, ax, cmap):
        n = self.Z.shape[1]
        self.axes_ = make_panels(ax, n, n, gap=0.08)
        scaled = None
        for i, j in np.ndindex(n, n):
            panel = self.axes_[i, j]
            panel.set(xticks=[], yticks=[])
            if j > i:
                panel.set_axis_off()
                continue
            if i == j:
                self._draw_histogram(panel, i)
            else:
                scaled = self._draw_points(panel, j, i, cmap)
            if j == 0:
                panel.set_ylabel(self.names[i])
            if i == n - 1:
                panel.set_xlabel(self.names[j])
        if n > 1:
            self._add_legend(ax, scaled, *self.axes_[1, 0].get_legend_handles_labels())

    def _add_legend(self, ax, scaled, *handles):
        """Add the scale of what has one, or the names of the classes."""
        if scaled is not None:
            label = "y" if self.kind != "density" else "rows"
            self.colorbar_ = ax.figure.colorbar(scaled, ax=ax, label=label)
        elif self._classes() is not None and self.kind != "density":
            ax.legend(*handles, loc="upper right" if handles else "best", markerscale=2)
