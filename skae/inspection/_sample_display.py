"""Rows that a model makes up, as a picture."""

import numpy as np
import pandas as pd

from skae._sklearn import InvalidParameterError
from skae._validation import check_count
from skae.inspection._images import (
    as_images,
    find_image_shape,
    mosaic,
    show_mosaic,
    value_range,
)
from skae.inspection._panels import make_axes, make_panels
from skae.inspection._rows import as_numbers

# Features that are drawn if the user has not said which.
MOST_FEATURES = 12
N_COLUMNS = 4
N_BARS = 30


class SampleDisplay:
    """New rows from a model: images in a grid, or a table's columns as histograms.

    Histograms of real rows stand behind those of new ones.

    It is recommended to use `SampleDisplay.from_estimator`.

    Parameters
    ----------
    samples : ndarray of shape (n_samples, n_features)
        New rows.
    X : ndarray of shape (n_rows, n_features) or None, default=None
        Real rows, to compare.
    image_shape : tuple of int or None, default=None
        (channels, height, width) of the image in a row; None for a table.
    feature_names : list of str or None, default=None
        Names of the columns of a table.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it has been drawn.
    axes_ : ndarray of matplotlib Axes or None
        The panels of a table, a column each.
    figure_ : matplotlib Figure
        The figure of it.
    image_ : matplotlib AxesImage or None
        The picture of all images.

    See Also
    --------
    skae.metrics.classifier_two_sample_test : Whether new rows look like real ones.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_iris
    >>> from skae import VAETransformer
    >>> from skae.inspection import SampleDisplay
    >>> X = load_iris(as_frame=True).data
    >>> vae = VAETransformer(2, max_epochs=20, random_state=0).fit(X)
    >>> display = SampleDisplay.from_estimator(vae, X, n_samples=150, random_state=0)
    >>> [ax.get_title() for ax in display.axes_[:2]]
    ['sepal length (cm)', 'sepal width (cm)']
    >>> plt.close(display.figure_)
    """

    def __init__(self, samples, X=None, *, image_shape=None, feature_names=None):
        self.samples = samples
        self.X = X
        self.image_shape = image_shape
        self.feature_names = feature_names

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X=None,
        *,
        n_samples=None,
        density=None,
        temperature=1.0,
        random_state=None,
        features=None,
        image_shape=None,
        ax=None,
        cmap=None,
    ):
        """Draw rows drawn from a fitted autoencoder.

        An image is what a drawn code decodes to; a row of a table of a VAE has the
        noise of p(x | z) too.

        Parameters
        ----------
        estimator : AutoencoderTransformer or VAETransformer
            Fitted.
        X : array-like of shape (n_rows, n_features) or None, default=None
            Real rows, to compare: as many images beside the new ones.
        n_samples : int or None, default=None
            Number of new rows; None for 40 images, or 1,000 rows of a table.
        density : {"prior", "aggregate", "mixture"} or None, default=None
            The law of codes, as for `sample_codes`.
        temperature : float, default=1.0
            As for `sample`.
        random_state : int, RandomState or None, default=None
            Source of the draws.
        features : list of str or int, or None, default=None
            Which columns of a table to draw, by name or number; None for the first 12.
        image_shape : tuple of int or None, default=None
            (channels, height, width) or (height, width) of the image in a row; None for
            that of the estimator.
        ax : matplotlib Axes or None, default=None
            Where to draw; None for a new figure.
        cmap : str or Colormap, default=None
            Colours of grey levels.

        Returns
        -------
        display : SampleDisplay
        """
        shape = find_image_shape(image_shape, estimator)
        if n_samples is None:
            n_samples = 40 if shape is not None else 1000
        check_count("n_samples", n_samples)
        if shape is not None:
            codes = estimator.sample_codes(
                n_samples, random_state, density, temperature
            )
            samples = estimator.inverse_transform(codes)
        else:
            law = {} if density is None else {"density": density}
            samples = estimator.sample(
                n_samples, random_state, temperature=temperature, **law
            )
        names = getattr(estimator, "feature_names_in_", None)
        if names is not None and not hasattr(samples, "columns"):
            samples = pd.DataFrame(samples, columns=names)
        return cls.from_samples(
            samples, X, features=features, image_shape=shape, ax=ax, cmap=cmap
        )

    @classmethod
    def from_samples(
        cls, samples, X=None, *, features=None, image_shape=None, ax=None, cmap=None
    ):
        """Draw new rows.

        Parameters
        ----------
        samples : array-like of shape (n_samples, n_features)
            New rows, of any model. Columns with categories are not drawn.
        X, features, image_shape, ax, cmap : object
            As for `from_estimator`.

        Returns
        -------
        display : SampleDisplay
        """
        shape = find_image_shape(image_shape)
        samples, names = as_numbers(samples, "samples")
        rows = None if X is None else as_numbers(X)[0]
        if rows is not None and rows.shape[1] != samples.shape[1]:
            raise ValueError(
                f"X has {rows.shape[1]} columns of numbers, but the new rows have "
                f"{samples.shape[1]}"
            )
        if shape is not None:
            as_images(samples, shape)
        else:
            shown = choose_features(features, names)
            samples, names = samples[:, shown], [names[j] for j in shown]
            rows = rows if rows is None else rows[:, shown]
        display = cls(samples, rows, image_shape=shape, feature_names=names)
        return display.plot(ax=ax, cmap=cmap)

    def plot(self, ax=None, *, cmap=None):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None for a new figure.
        cmap : str or Colormap, default=None
            Colours of grey levels.

        Returns
        -------
        display : SampleDisplay
            This one, with what has been drawn as attributes.
        """
        self.axes_ = self.image_ = None
        if self.image_shape is not None:
            self._draw_images(ax, cmap)
        else:
            self._draw_table(ax)
        self.figure_ = self.ax_.figure
        return self

    def _draw_images(self, ax, cmap):
        n = len(self.samples)
        n_columns = int(np.ceil(np.sqrt(1.6 * n)))
        blocks = [self.samples]
        if self.X is not None:
            blocks.append(self.X[:n])
        low, high = value_range(blocks[-1])  # real rows, if there are any
        n_rows = int(np.ceil(n / n_columns))
        pictures = []
        for block in blocks:
            cells = np.full((n_rows * n_columns, block.shape[1]), np.nan)
            cells[: len(block)] = block
            images = as_images(cells, self.image_shape)
            grid = images.reshape(n_rows, n_columns, *images.shape[1:])
            pictures.append(mosaic(grid, low=low, high=high))
        self.ax_ = make_axes(
            ax, figsize=(0.6 * n_columns * len(blocks) + 0.5, 0.6 * n_rows + 0.5)
        )
        height, width, n_channels = pictures[0].shape
        gap = np.full((height, width // n_columns, n_channels), np.nan)
        if len(pictures) == 2:
            pictures.insert(1, gap)
        picture = np.concatenate(pictures, axis=1)
        self.image_ = show_mosaic(self.ax_, picture, "gray" if cmap is None else cmap)
        ticks = [width / 2, width * 1.5 + gap.shape[1]][: len(blocks)]
        self.ax_.set_xticks(ticks, ["new", "real"][: len(blocks)])
        self.ax_.tick_params(length=0)

    def _draw_table(self, ax):
        n_features = self.samples.shape[1]
        n_columns = min(N_COLUMNS, n_features)
        n_rows = int(np.ceil(n_features / n_columns))
        self.ax_ = make_axes(ax, figsize=(2.6 * n_columns, 2 * n_rows + 0.3))
        panels = make_panels(self.ax_, n_rows, n_columns, labels=0.22).ravel()
        self.axes_ = panels[:n_features]
        for panel in panels[n_features:]:
            panel.set_axis_off()
        for j, panel in enumerate(self.axes_):
            new = self.samples[:, j]
            values = new if self.X is None else np.concatenate([new, self.X[:, j]])
            edges = np.histogram_bin_edges(values[~np.isnan(values)], N_BARS)
            if self.X is not None:
                panel.hist(
                    self.X[:, j], edges, density=True, color="0.75", label="real"
                )
            panel.hist(
                new, edges, density=True, histtype="step", color="tab:blue",
                linewidth=1.5, label="new",
            )  # fmt: skip
            panel.set_title(self.feature_names[j], fontsize="medium")
            panel.set_yticks([])
        self.axes_[0].legend(fontsize="small")


def choose_features(features, names):
    """Return the numbers of columns by name or number; of the first ones for None."""
    if features is None:
        return list(range(min(len(names), MOST_FEATURES)))
    shown = []
    for feature in np.atleast_1d(np.asarray(features, dtype=object)):
        if feature in names:
            shown.append(names.index(feature))
        elif isinstance(feature, int) and 0 <= feature < len(names):
            shown.append(feature)
        else:
            raise InvalidParameterError(
                f"features has {feature!r}, which is none of the columns {names}"
            )
    return shown
