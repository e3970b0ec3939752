"""Losses over the epochs of a fit, as a picture."""

from sklearn.utils.validation import check_is_fitted

from skae._sklearn import InvalidParameterError
from skae.inspection._panels import make_axes

SETS = {"train": "tab:blue", "validation": "tab:orange"}
STYLES = ("--", ":", "-.")


class LossCurveDisplay:
    """Losses on training and on held-out rows, epoch by epoch, and the best epoch.

    It is recommended to use `LossCurveDisplay.from_estimator`.

    Parameters
    ----------
    history : DataFrame
        `history_` of an estimator: a row an epoch.
    best_epoch : int or None, default=None
        The epoch whose weights were kept.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it has been drawn.
    figure_ : matplotlib Figure
        The figure of it.
    lines_ : dict of matplotlib Line2D
        The curves, by the names of their columns in `history`.
    best_line_ : matplotlib Line2D or None
        The line at the best epoch.

    See Also
    --------
    ActiveUnitsDisplay : Which components of a VAE are used.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_iris
    >>> from skae import VAETransformer
    >>> from skae.inspection import LossCurveDisplay
    >>> vae = VAETransformer(2, max_epochs=20, random_state=0).fit(load_iris().data)
    >>> display = LossCurveDisplay.from_estimator(vae, terms=["kl"])
    >>> sorted(display.lines_)
    ['train_kl', 'train_loss', 'validation_kl', 'validation_loss']
    >>> plt.close(display.figure_)
    """

    def __init__(self, history, best_epoch=None):
        self.history = history
        self.best_epoch = best_epoch

    @classmethod
    def from_estimator(cls, estimator, *, terms=None, ax=None):
        """Draw the losses of a fitted autoencoder.

        Parameters
        ----------
        estimator : estimator with `history_`
            `AutoencoderTransformer` or `VAETransformer`, fitted; or a Pipeline that
            ends in one.
        terms : "all", list of str or None, default=None
            Terms of the loss to draw beside it, such as "reconstruction" and "kl".
        ax : matplotlib Axes or None, default=None
            Where to draw; None for a new figure.

        Returns
        -------
        display : LossCurveDisplay
        """
        check_is_fitted(estimator)
        last = estimator[-1] if hasattr(estimator, "steps") else estimator
        if not hasattr(last, "history_"):
            raise ValueError(
                f"{type(last).__name__} has no history_; draw an "
                "AutoencoderTransformer or a VAETransformer"
            )
        return cls(last.history_, last.best_epoch_).plot(terms=terms, ax=ax)

    def plot(self, ax=None, *, terms=None):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None for a new figure.
        terms : "all", list of str or None, default=None
            Terms of the loss to draw beside it.

        Returns
        -------
        display : LossCurveDisplay
            This one, with what has been drawn as attributes.
        """
        terms = self._check_terms(terms)
        ax = make_axes(ax)
        self.ax_, self.figure_ = ax, ax.figure
        self.lines_, self.best_line_ = {}, None
        for rows, color in SETS.items():
            self._draw(f"{rows}_loss", f"{rows} loss", color, "-")
            for k, term in enumerate(terms):
                style = STYLES[k % len(STYLES)]
                self._draw(f"{rows}_{term}", f"{rows} {term}", color, style)
        if self.best_epoch is not None:
            self.best_line_ = ax.axvline(
                self.best_epoch, color="0.6", zorder=0, label="best epoch"
            )
        ax.set_xlabel("epoch")
        ax.set_ylabel("nats per row")
        ax.legend()
        return self

    def _draw(self, column, label, color, style):
        """Draw a column of the history if it has numbers."""
        if column not in self.history or self.history[column].isna().all():
            return
        curve = self.history[["epoch", column]].dropna()
        (self.lines_[column],) = self.ax_.plot(
            *curve.to_numpy().T, style, color=color, label=label
        )

    def _check_terms(self, terms):
        known = [
            name.removeprefix("train_")
            for name in self.history
            if name.startswith("train_") and name != "train_loss"
        ]
        if terms is None:
            return []
        if isinstance(terms, str) and terms == "all":
            return known
        for term in [terms] if isinstance(terms, str) else terms:
            if term not in known:
                raise InvalidParameterError(
                    f"terms must be 'all' or a list of names among {known}, got "
                    f"{terms!r}"
                )
        return [terms] if isinstance(terms, str) else list(terms)
