"""Rows before and after a model, as a picture."""

import numpy as np

from skae._validation import check_count
from skae.inspection._images import (
    as_images,
    find_image_shape,
    middles,
    mosaic,
    show_mosaic,
    value_range,
)
from skae.inspection._panels import make_axes, room_for
from skae.inspection._rows import as_numbers, spread_of

# Standard deviations at which the colours of a table end.
MOST_SPREADS = 3


class ReconstructionDisplay:
    """Rows before and after a model, and how far apart these are.

    Images stand below each other: as they were, as they came back, and the absolute
    difference. Rows of a table are lines of a heat map, in standard deviations of each
    column about its mean.

    It is recommended to use `ReconstructionDisplay.from_estimator` or
    `ReconstructionDisplay.from_predictions`.

    Parameters
    ----------
    before, after : ndarray of shape (n_rows, n_features)
        Rows that were given, and what came of them.
    truth : ndarray of shape (n_rows, n_features) or None, default=None
        What should have come of them; None for what was given.
    image_shape : tuple of int or None, default=None
        (channels, height, width) of the image in a row; None for a table.
    feature_names : list of str or None, default=None
        Names of the columns of a table.
    center, spread : ndarray of shape (n_features,) or None, default=None
        Mean and standard deviation of the columns of a table.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it has been drawn.
    figure_ : matplotlib Figure
        The figure of it.
    image_ : matplotlib AxesImage
        The picture of all rows.
    colorbar_ : matplotlib Colorbar or None
        The scale of a table's colours.

    See Also
    --------
    LatentTraversalDisplay : Rows along one component of the code.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoencoderTransformer
    >>> from skae.inspection import ReconstructionDisplay
    >>> X = load_digits().data
    >>> ae = AutoencoderTransformer(8, image_shape=(1, 8, 8), architecture="mlp")
    >>> ae.set_params(max_epochs=5, random_state=0).fit(X)
    AutoencoderTransformer(...)
    >>> display = ReconstructionDisplay.from_estimator(ae, X, n_rows=5)
    >>> display.image_.get_array().shape  # three lines of five images, 1 between them
    (26, 44)
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        before,
        after,
        *,
        truth=None,
        image_shape=None,
        feature_names=None,
        center=None,
        spread=None,
    ):
        self.before = before
        self.after = after
        self.truth = truth
        self.image_shape = image_shape
        self.feature_names = feature_names
        self.center = center
        self.spread = spread

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        X_true=None,
        n_rows=8,
        image_shape=None,
        ax=None,
        cmap=None,
    ):
        """Draw the first rows of X, and what a fitted model makes of them.

        Parameters
        ----------
        estimator : estimator
            With `reconstruct`, or with `transform` and `inverse_transform`, such as PCA
            or a Pipeline; fitted.
        X : array-like of shape (n_samples, n_features)
            Rows. Columns with categories are not drawn.
        X_true : array-like of shape (n_samples, n_features) or None, default=None
            The rows without what has been done to X, such as noise.
        n_rows : int, default=8
            Number of rows to draw.
        image_shape : tuple of int or None, default=None
            (channels, height, width) or (height, width) of the image in a row; None for
            that of the estimator.
        ax : matplotlib Axes or None, default=None
            Where to draw; None for a new figure.
        cmap : str or Colormap, default=None
            Colours of grey levels, or of a table.

        Returns
        -------
        display : ReconstructionDisplay
        """
        check_count("n_rows", n_rows)
        shape = find_image_shape(image_shape, estimator)
        if hasattr(estimator, "reconstruct"):
            after = estimator.reconstruct(X[:n_rows])
        else:
            after = estimator.inverse_transform(estimator.transform(X[:n_rows]))
        return cls.from_predictions(
            X, after, X_true=X_true, n_rows=n_rows, image_shape=shape, ax=ax, cmap=cmap
        )

    @classmethod
    def from_predictions(
        cls,
        X,
        X_reconstructed,
        *,
        X_true=None,
        n_rows=8,
        image_shape=None,
        ax=None,
        cmap=None,
    ):
        """Draw the first rows of X, and of what has come of them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows; all of them give the mean and standard deviation of a column.
        X_reconstructed : array-like of shape (n_reconstructed, n_features)
            What has come of the first of them.
        X_true, n_rows, image_shape, ax, cmap : object
            As for `from_estimator`.

        Returns
        -------
        display : ReconstructionDisplay
        """
        check_count("n_rows", n_rows)
        shape = find_image_shape(image_shape)
        rows, names = as_numbers(X)
        after, _ = as_numbers(X_reconstructed, "X_reconstructed")
        truth = None if X_true is None else as_numbers(X_true, "X_true")[0]
        n_rows = min(n_rows, len(rows))
        for name, other in (("X_reconstructed", after), ("X_true", truth)):
            if other is None:
                continue
            if other.shape[1] != rows.shape[1]:
                raise ValueError(
                    f"{name} has {other.shape[1]} features, but X has {rows.shape[1]}"
                )
            n_rows = min(n_rows, len(other))
        everything = rows if truth is None else truth
        if shape is not None:
            as_images(rows[:1], shape)
        display = cls(
            rows[:n_rows],
            after[:n_rows],
            truth=None if truth is None else truth[:n_rows],
            image_shape=shape,
            feature_names=names,
            center=np.nanmean(everything, axis=0),
            spread=spread_of(everything),
        )
        return display.plot(ax=ax, cmap=cmap)

    def plot(self, ax=None, *, cmap=None):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None for a new figure.
        cmap : str or Colormap, default=None
            Colours of grey levels, or of a table.

        Returns
        -------
        display : ReconstructionDisplay
            This one, with what has been drawn as attributes.
        """
        n_rows = len(self.before)
        if self.image_shape is not None:
            n_lines = 3 if self.truth is None else 4
            ax = make_axes(ax, figsize=(0.9 * n_rows + 0.8, 0.9 * n_lines))
            draw = self._draw_images
        else:
            width = min(12, 3 + 0.35 * self.before.shape[1])
            height = 0.5 + 0.8 * n_rows + room_for(self.feature_names)
            ax = make_axes(ax, figsize=(width, height))
            draw = self._draw_table
        self.ax_, self.figure_, self.colorbar_ = ax, ax.figure, None
        draw(ax, cmap)
        return self

    def _lines(self):
        """Return what is drawn of each row, by name, the difference last."""
        wanted = self.before if self.truth is None else self.truth
        lines = {"before": self.before, "after": self.after}
        if self.truth is not None:
            lines["truth"] = self.truth
        return lines | {"error": self.after - wanted}

    def _draw_images(self, ax, cmap):
        lines = self._lines()
        error = np.abs(lines.pop("error"))
        low, high = value_range(np.concatenate(list(lines.values())))
        lines = {name: (rows - low) / (high - low) for name, rows in lines.items()}
        lines["error"] = 1 - error / (high - low)  # nothing is white
        images = as_images(np.stack(list(lines.values())), self.image_shape)
        picture = mosaic(images, low=0, high=1)
        self.image_ = show_mosaic(ax, picture, "gray" if cmap is None else cmap)
        ax.set_yticks(middles(len(lines), images.shape[2]), list(lines))
        ax.tick_params(length=0)

    def _draw_table(self, ax, cmap):
        lines = self._lines()
        error = lines.pop("error") / self.spread
        units = [(rows - self.center) / self.spread for rows in lines.values()]
        blocks = np.stack([*units, error], axis=1)  # (n_rows, n_lines, n_features)
        n_rows, n_lines, n_features = blocks.shape
        gap = np.full((n_rows, 1, n_features), np.nan)
        heat = np.concatenate([blocks, gap], axis=1).reshape(-1, n_features)[:-1]
        self.image_ = ax.imshow(
            heat,
            cmap="RdBu_r" if cmap is None else cmap,
            vmin=-MOST_SPREADS,
            vmax=MOST_SPREADS,
            aspect="auto",
            interpolation="nearest",
        )
        labels = [*lines, "error"] * n_rows
        places = np.arange(n_rows)[:, None] * (n_lines + 1) + np.arange(n_lines)
        ax.set_yticks(places.ravel(), labels)
        ax.set_xticks(range(n_features), self.feature_names, rotation=90)
        ax.tick_params(length=0)
        self.colorbar_ = ax.figure.colorbar(
            self.image_, ax=ax, label="standard deviations", extend="both"
        )
