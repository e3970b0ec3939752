"""Which components of a VAE carry information, as a picture."""

import numpy as np
from sklearn.utils import check_array

from skae._diagnosis import ACTIVE_VARIANCE
from skae.inspection._panels import make_axes


class ActiveUnitsDisplay:
    """The KL term of each component of a VAE, those that are active in colour.

    A component is active if its posterior mean varies from row to row by more than 0.01
    [1]_; of one that is not, the decoder learns nothing about a row.

    It is recommended to use `ActiveUnitsDisplay.from_estimator` or
    `ActiveUnitsDisplay.from_predictions`.

    Parameters
    ----------
    kl : ndarray of shape (n_components,)
        Mean KL term of each component, in nats.
    is_active : ndarray of bool of shape (n_components,)
        Which of them are active.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it has been drawn.
    figure_ : matplotlib Figure
        The figure of it.
    bars_ : matplotlib BarContainer
        The bars, in the order of the components.

    See Also
    --------
    skae.metrics.active_units : How many there are.

    References
    ----------
    .. [1] Y. Burda, R. Grosse, R. Salakhutdinov, "Importance Weighted Autoencoders",
       ICLR 2016, arXiv:1509.00519.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_iris
    >>> from skae import VAETransformer
    >>> from skae.inspection import ActiveUnitsDisplay
    >>> X = load_iris().data
    >>> vae = VAETransformer(3, max_epochs=20, random_state=0).fit(X)
    >>> display = ActiveUnitsDisplay.from_estimator(vae, X)
    >>> len(display.bars_)
    3
    >>> plt.close(display.figure_)
    """

    def __init__(self, kl, is_active):
        self.kl = kl
        self.is_active = is_active

    @classmethod
    def from_estimator(cls, estimator, X, *, ax=None):
        """Draw what a fitted VAE says about rows.

        Parameters
        ----------
        estimator : VAETransformer
            Fitted.
        X : array-like of shape (n_samples, n_features)
            Rows.
        ax : matplotlib Axes or None, default=None
            Where to draw; None for a new figure.

        Returns
        -------
        display : ActiveUnitsDisplay
        """
        if not hasattr(estimator, "encode_distribution"):
            raise ValueError(
                f"{type(estimator).__name__} has no posterior, and so no KL term; draw "
                "a VAETransformer"
            )
        return cls.from_predictions(*estimator.encode_distribution(X), ax=ax)

    @classmethod
    def from_predictions(cls, mean, std, *, ax=None):
        """Draw posteriors.

        Parameters
        ----------
        mean, std : array-like of shape (n_samples, n_components)
            Of the independent normal laws of the components, a row each.
        ax : matplotlib Axes or None, default=None
            Where to draw; None for a new figure.

        Returns
        -------
        display : ActiveUnitsDisplay
        """
        mean = check_array(mean, dtype=float, input_name="mean", ensure_min_samples=2)
        std = check_array(std, dtype=float, input_name="std")
        if mean.shape != std.shape:
            raise ValueError(
                f"mean and std must have one shape, got {mean.shape} and {std.shape}"
            )
        if not (std > 0).all():
            raise ValueError(f"std must be positive, got {std.min():g}")
        kl = (mean**2 + std**2 - 1 - 2 * np.log(std)) / 2  # (n_samples, n_components)
        is_active = mean.var(axis=0) > ACTIVE_VARIANCE
        return cls(kl.mean(axis=0), is_active).plot(ax=ax)

    def plot(self, ax=None):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None for a new figure.

        Returns
        -------
        display : ActiveUnitsDisplay
            This one, with what has been drawn as attributes.
        """
        ax = make_axes(ax)
        self.ax_, self.figure_ = ax, ax.figure
        order = np.arange(len(self.kl))
        colors = np.where(self.is_active, "tab:blue", "0.75")
        self.bars_ = ax.bar(order, self.kl, color=colors)
        n_active = int(np.sum(self.is_active))
        ax.set_title(f"{n_active} of {len(self.kl)} components are active")
        ax.set(xlabel="component", ylabel="KL term (nats)")
        ax.xaxis.get_major_locator().set_params(integer=True)
        return self
