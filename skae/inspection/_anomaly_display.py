"""How strange rows are, and by what, as a picture."""

import numpy as np
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.validation import check_is_fitted

from skae._sklearn import Real
from skae._validation import check_count
from skae.inspection._panels import make_axes, make_panels

N_BARS = 40


class AnomalyDisplay:
    """Scores of rows with the threshold, and the features to blame for outliers.

    It is recommended to use `AnomalyDisplay.from_estimator` or
    `AnomalyDisplay.from_predictions`.

    Parameters
    ----------
    scores : ndarray of shape (n_samples,)
        Higher is more usual.
    threshold : float
        Rows below it are outliers.
    reference : ndarray of shape (n_reference,) or None, default=None
        Scores of usual rows.
    blame : Series or None, default=None
        Mean share of each of the top features in the strangeness of the outliers, the
        highest first.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it has been drawn.
    axes_ : ndarray of matplotlib Axes
        The panel of the scores, and that of the features if there is `blame`.
    figure_ : matplotlib Figure
        The figure of it.
    threshold_line_ : matplotlib Line2D
        The threshold.
    bars_ : matplotlib BarContainer or None
        The bars of the features.

    See Also
    --------
    skae.AutoencoderOutlierDetector : `set_threshold`, `explain`.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_wine
    >>> from skae import AutoencoderOutlierDetector, AutoencoderTransformer
    >>> from skae.inspection import AnomalyDisplay
    >>> X, y = load_wine(return_X_y=True, as_frame=True)
    >>> ae = AutoencoderTransformer(4, max_epochs=20)
    >>> detector = AutoencoderOutlierDetector(ae, random_state=0).fit(X[y == 0])
    >>> display = AnomalyDisplay.from_estimator(detector, X[y != 0], n_features=5)
    >>> len(display.bars_)
    5
    >>> plt.close(display.figure_)
    """

    def __init__(self, scores, threshold, *, reference=None, blame=None):
        self.scores = scores
        self.threshold = threshold
        self.reference = reference
        self.blame = blame

    @classmethod
    def from_estimator(cls, estimator, X, *, n_features=8, ax=None):
        """Draw what a fitted detector says about rows.

        Parameters
        ----------
        estimator : AutoencoderOutlierDetector
            Fitted. Another outlier detector of scikit-learn's kind will do, without the
            features.
        X : array-like of shape (n_samples, n_features)
            Rows.
        n_features : int, default=8
            Number of features to show.
        ax : matplotlib Axes or None, default=None
            Where to draw; None for a new figure.

        Returns
        -------
        display : AnomalyDisplay
        """
        check_count("n_features", n_features)
        check_is_fitted(estimator)
        parts = None
        scores, threshold = estimator.score_samples(X), float(estimator.offset_)
        if hasattr(estimator, "explain") and (scores < threshold).any():
            is_outlier = scores < threshold
            rows = X.loc if hasattr(X, "loc") else np.asarray(X)
            parts = estimator.explain(rows[is_outlier])
            parts.columns = [
                f"x{name}" if isinstance(name, int) else name for name in parts.columns
            ]
        return cls._from_scores(
            scores,
            threshold,
            reference=getattr(estimator, "training_scores_", None),
            parts=parts,
            n_features=n_features,
            ax=ax,
        )

    @classmethod
    def from_predictions(
        cls, scores, threshold, *, reference=None, parts=None, n_features=8, ax=None
    ):
        """Draw scores.

        Parameters
        ----------
        scores : array-like of shape (n_samples,)
            Higher is more usual.
        threshold : float
            Rows below it are outliers.
        reference : array-like of shape (n_reference,) or None, default=None
            Scores of usual rows, drawn behind.
        parts : DataFrame of shape (n_outliers, n_features) or None, default=None
            Parts of the features in the strangeness of outliers, as `explain` has them.
        n_features : int, default=8
            Number of features to show.
        ax : matplotlib Axes or None, default=None
            Where to draw; None for a new figure.

        Returns
        -------
        display : AnomalyDisplay
        """
        check_count("n_features", n_features)
        scores = check_scores(scores, "scores")
        if not isinstance(threshold, Real):
            raise ValueError(f"threshold must be a number, got {threshold!r}")
        if reference is not None:
            reference = check_scores(reference, "reference")
        return cls._from_scores(
            scores, threshold, reference=reference, parts=parts,
            n_features=n_features, ax=ax,
        )  # fmt: skip

    @classmethod
    def _from_scores(cls, scores, threshold, *, reference, parts, n_features, ax):
        blame = None
        if parts is not None and len(parts):
            blame = parts.abs().mean().sort_values(ascending=False).head(n_features)
        return cls(scores, threshold, reference=reference, blame=blame).plot(ax=ax)

    def plot(self, ax=None):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None for a new figure.

        Returns
        -------
        display : AnomalyDisplay
            This one, with what has been drawn as attributes.
        """
        n_panels = 1 if self.blame is None else 2
        ax = make_axes(ax, figsize=(5.5 * n_panels, 3.8))
        self.ax_, self.figure_, self.bars_ = ax, ax.figure, None
        self.axes_ = np.array([ax], dtype=object)
        if n_panels == 2:
            self.axes_ = make_panels(ax, 1, 2, gap=0.1)[0]
            self._draw_features(self.axes_[1])
        self._draw_scores(self.axes_[0])
        return self

    def _draw_scores(self, ax):
        everything = self.scores
        if self.reference is not None:
            everything = np.concatenate([self.scores, self.reference])
        # strangeness has a long tail, which would leave one bar for all else
        low = min(np.quantile(everything, 0.02), self.threshold)
        span = np.ptp(everything[everything >= low]) or 1.0
        edges = np.linspace(low - 0.05 * span, everything.max(), N_BARS + 1)
        shares = {"rows": (self.scores, "tab:blue")}
        if self.reference is not None:
            shares = {"training rows": (self.reference, "0.7"), **shares}
        for label, (scores, color) in shares.items():
            ax.hist(
                np.clip(scores, edges[0], None), edges, color=color, alpha=0.75,
                weights=np.full(len(scores), 100 / len(scores)), label=label,
            )  # fmt: skip
        share = np.mean(self.scores < self.threshold)
        self.threshold_line_ = ax.axvline(
            self.threshold, color="tab:red", label=f"threshold: {share:.1%} below"
        )
        ax.set(xlabel="score (left: stranger)", ylabel="% of rows")
        ax.legend(fontsize="small")

    def _draw_features(self, ax):
        names = [str(name) for name in self.blame.index]
        places = np.arange(len(names))
        self.bars_ = ax.barh(places, 100 * self.blame, color="tab:red", alpha=0.4)
        for place, name in zip(places, names, strict=True):
            ax.text(0, place, f" {name}", va="center")
        ax.set_yticks([])
        ax.invert_yaxis()
        ax.set(xlabel="% of an outlier's strangeness, on average")


def check_scores(scores, name):
    """Return finite scores of at least one row."""
    scores = column_or_1d(scores, dtype=float)
    return check_array(scores[:, None], input_name=name)[:, 0]
