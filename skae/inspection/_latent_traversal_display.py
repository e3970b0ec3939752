"""What the components of a code do, one at a time, as a picture."""

import numpy as np

from skae._validation import check_components
from skae.inspection._images import (
    as_images,
    find_image_shape,
    middles,
    mosaic,
    show_mosaic,
    value_range,
)
from skae.inspection._panels import make_axes, make_panels, room_for
from skae.inspection._rows import as_numbers, spread_of

# Rows drawn to learn how much a feature varies, and the seed of the draw.
N_DRAWN = 1000
SEED = 0


class LatentTraversalDisplay:
    """A row, while one component of its code changes and the others stay.

    Images stand in lines, a component each. Rows of a table are profiles, a panel a
    component: how far each feature is from where it was, in standard deviations of rows
    drawn from the model.

    It is recommended to use `LatentTraversalDisplay.from_estimator`.

    Parameters
    ----------
    rows : ndarray of shape (n_traversed, n_steps, n_features)
        The rows.
    components : list of int
        Which component changes in each line.
    values : ndarray of shape (n_steps,)
        Where it is, in standard deviations about its mean.
    image_shape : tuple of int or None, default=None
        (channels, height, width) of the image in a row; None for a table.
    feature_names : list of str or None, default=None
        Names of the columns of a table.
    spread : ndarray of shape (n_features,) or None, default=None
        Standard deviation of each column of a table.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it has been drawn.
    axes_ : ndarray of matplotlib Axes or None
        The panels of a table.
    figure_ : matplotlib Figure
        The figure of it.
    image_ : matplotlib AxesImage or None
        The picture of all images.
    lines_ : ndarray of matplotlib Line2D or None
        The profiles, (n_traversed, n_steps).

    See Also
    --------
    skae.VAETransformer.traverse : The rows.
    LatentSpaceDisplay : Where rows are among the codes.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_wine
    >>> from skae import VAETransformer
    >>> from skae.inspection import LatentTraversalDisplay
    >>> X = load_wine(as_frame=True).data
    >>> vae = VAETransformer(2, max_epochs=20, random_state=0).fit(X)
    >>> display = LatentTraversalDisplay.from_estimator(vae)
    >>> display.lines_.shape
    (2, 7)
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        rows,
        *,
        components,
        values,
        image_shape=None,
        feature_names=None,
        spread=None,
    ):
        self.rows = rows
        self.components = components
        self.values = values
        self.image_shape = image_shape
        self.feature_names = feature_names
        self.spread = spread

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X=None,
        *,
        components=None,
        n_steps=7,
        span=2.0,
        image_shape=None,
        ax=None,
        cmap=None,
    ):
        """Draw what the components of a fitted autoencoder do.

        Parameters
        ----------
        estimator : AutoencoderTransformer or VAETransformer
            Fitted, to rows of numbers.
        X : array-like of shape (1, n_features) or None, default=None
            The row to start from; None for the mean of the training codes.
        components : list of int or None, default=None
            Which components to change; None for each.
        n_steps : int, default=7
            Number of values of each.
        span : float, default=2.0
            They are spread evenly over so many standard deviations of the component
            about its mean, either way.
        image_shape : tuple of int or None, default=None
            (channels, height, width) or (height, width) of the image in a row; None for
            that of the estimator.
        ax : matplotlib Axes or None, default=None
            Where to draw; None for a new figure.
        cmap : str or Colormap, default=None
            Colours of grey levels, or of the steps.

        Returns
        -------
        display : LatentTraversalDisplay
        """
        shape = find_image_shape(image_shape, estimator)
        rows = estimator.traverse(X, components, n_steps=n_steps, span=span)
        if rows.dtype == object:
            raise ValueError(
                "the rows have categories, which have no place on an axis; look at "
                "estimator.traverse(X) as a table"
            )
        spread = names = None
        if shape is None:
            drawn, names = as_numbers(estimator.sample(N_DRAWN, random_state=SEED))
            spread = spread_of(drawn)
            names = getattr(estimator, "feature_names_in_", names)
        else:
            as_images(rows, shape)
        return cls(
            rows,
            components=check_components(components, estimator.n_components_),
            values=np.linspace(-span, span, n_steps),
            image_shape=shape,
            feature_names=names,
            spread=spread,
        ).plot(ax=ax, cmap=cmap)

    def plot(self, ax=None, *, cmap=None):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None for a new figure.
        cmap : str or Colormap, default=None
            Colours of grey levels, or of the steps.

        Returns
        -------
        display : LatentTraversalDisplay
            This one, with what has been drawn as attributes.
        """
        n_traversed, n_steps, n_features = self.rows.shape
        self.axes_ = self.image_ = self.lines_ = None
        if self.image_shape is not None:
            ax = make_axes(ax, figsize=(0.8 * n_steps + 1, 0.8 * n_traversed + 0.6))
            draw = self._draw_images
        else:
            width = min(14, 4 + 0.25 * n_features)
            height = 0.5 + 1.3 * n_traversed + room_for(self.feature_names)
            ax = make_axes(ax, figsize=(width, height))
            draw = self._draw_profiles
        self.ax_, self.figure_ = ax, ax.figure
        draw(ax, cmap)
        return self

    def _draw_images(self, ax, cmap):
        images = as_images(self.rows, self.image_shape)
        low, high = value_range(self.rows)
        picture = mosaic(images, low=low, high=high)
        self.image_ = show_mosaic(ax, picture, "gray" if cmap is None else cmap)
        n_traversed, n_steps, height, width, _ = images.shape
        ax.set_xticks(middles(n_steps, width), [f"{v:+.1f}" for v in self.values])
        ax.set_yticks(middles(n_traversed, height), self.components)
        ax.set(xlabel="standard deviations from its mean", ylabel="component")
        ax.tick_params(length=0)

    def _draw_profiles(self, ax, cmap):
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        n_traversed, n_steps, n_features = self.rows.shape
        norm = Normalize(self.values[0], self.values[-1])
        colors = ScalarMappable(norm, "coolwarm" if cmap is None else cmap)
        change = (self.rows - self.rows.mean(axis=1, keepdims=True)) / self.spread
        most = 1.05 * max(np.abs(change).max(), np.finfo(float).tiny)
        self.axes_ = make_panels(ax, n_traversed, 1, gap=0.1)[:, 0]
        self.lines_ = np.empty((n_traversed, n_steps), dtype=object)
        for i, panel in enumerate(self.axes_):
            for k, value in enumerate(self.values):
                (self.lines_[i, k],) = panel.plot(
                    change[i, k], ".-", color=colors.to_rgba(value)
                )
            panel.axhline(0, color="0.8", zorder=0)
            panel.set(ylim=(-most, most), xticks=[])
            panel.text(
                *(0.01, 0.95, f"component {self.components[i]}"),
                transform=panel.transAxes,
                va="top",
            )
        panel.set_xticks(range(n_features), self.feature_names, rotation=90)
        self.axes_[0].set_title(
            "change of each feature, in its standard deviations", fontsize="medium"
        )
        label = "component, in standard deviations"
        ax.figure.colorbar(colors, ax=ax, label=label)
