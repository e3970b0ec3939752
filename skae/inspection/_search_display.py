"""Scores of a search over its parameters, as a picture."""

from numbers import Real

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skae.inspection._pyplot import import_pyplot

# Scores that are 0.001 apart and others that are 1000 read well with so many digits.
DIGITS = 4


class SearchDisplay:
    """Mean held-out scores of a search over the parameters that it varied.

    Two parameters make a heat map, more of them parallel coordinates: a line for each
    candidate, through its value of every parameter and its score. Where the heat map is
    over two of several parameters, it shows the best of the others.

    It is recommended to use `SearchDisplay.from_estimator`.

    Parameters
    ----------
    results : dict of ndarray
        `cv_results_` of a search.
    score : str
        Which score, by its name in `results` after `mean_test_`.
    parameters : list of str
        Names of the parameters to show: two for a heat map, those of the columns and of
        the rows, any number for parallel coordinates.
    kind : {"heatmap", "parallel"}
        What to draw.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it has been drawn.
    figure_ : matplotlib Figure
        The figure of it.
    image_ : matplotlib AxesImage or None
        The heat map.
    lines_ : list of matplotlib Line2D or None
        The lines, in the order of the candidates.
    colorbar_ : matplotlib Colorbar
        The scale of the scores.

    See Also
    --------
    skae.model_selection.GridSearchCV : A search whose networks train together.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_iris
    >>> from skae import VAETransformer
    >>> from skae.inspection import SearchDisplay
    >>> from skae.model_selection import GridSearchCV
    >>> vae = VAETransformer(max_epochs=5, random_state=0)
    >>> grid = {"n_components": [1, 2], "beta": [0.1, 0.5]}
    >>> search = GridSearchCV(vae, grid, cv=2).fit(load_iris().data)
    >>> display = SearchDisplay.from_estimator(search)
    >>> display.ax_.get_xlabel(), display.ax_.get_ylabel()
    ('beta', 'n_components')
    >>> plt.close(display.figure_)
    """

    def __init__(self, results, score, parameters, kind):
        self.results = results
        self.score = score
        self.parameters = parameters
        self.kind = kind

    @classmethod
    def from_estimator(
        cls, search, *, score=None, parameters=None, kind="auto", ax=None, cmap=None
    ):
        """Draw the results of a fitted search.

        Parameters
        ----------
        search : estimator with `cv_results_`
            `GridSearchCV`, `RandomizedSearchCV` or `VAETransformerCV`, fitted.
        score : str or None, default=None
            Which score, where there are several; None for the first.
        parameters : list of str or None, default=None
            Names of parameters to show, those of the columns first; the part after the
            last double underscore will do. None for all that vary.
        kind : {"auto", "heatmap", "parallel"}, default="auto"
            What to draw; "auto" is a heat map of one or two parameters.
        ax : matplotlib Axes or None, default=None
            Where to draw; None for a new figure.
        cmap : str or Colormap, default=None
            Colours of the scores.

        Returns
        -------
        display : SearchDisplay
        """
        check_is_fitted(search, "cv_results_")
        results = search.cv_results_
        return cls.from_results(
            results, score=score, parameters=parameters, kind=kind, ax=ax, cmap=cmap
        )

    @classmethod
    def from_results(
        cls, results, *, score=None, parameters=None, kind="auto", ax=None, cmap=None
    ):
        """Draw `cv_results_`.

        Parameters
        ----------
        results : dict of ndarray
            `cv_results_` of a search.
        score, parameters, kind, ax, cmap : object
            As for `from_estimator`.

        Returns
        -------
        display : SearchDisplay
        """
        score = find_score(results, score)
        names = find_parameters(results, parameters)
        if kind not in ("auto", "heatmap", "parallel"):
            raise ValueError(
                f"kind must be 'auto', 'heatmap' or 'parallel', got {kind!r}"
            )
        if kind == "auto":
            kind = "heatmap" if len(names) <= 2 else "parallel"
        if kind == "heatmap" and len(names) > 2:
            raise ValueError(
                f"a heat map has two parameters, but {names} vary; choose two with "
                "parameters=[...], or draw kind='parallel'"
            )
        return cls(results, score, names, kind).plot(ax=ax, cmap=cmap)

    def plot(self, ax=None, *, cmap=None):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None for a new figure.
        cmap : str or Colormap, default=None
            Colours of the scores.

        Returns
        -------
        display : SearchDisplay
            This one, with what has been drawn as attributes.
        """
        plt = import_pyplot()
        if ax is None:
            _, ax = plt.subplots(layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        self.image_ = self.lines_ = None
        draw = self._draw_heatmap if self.kind == "heatmap" else self._draw_parallel
        draw(ax, plt.get_cmap(cmap))
        return self

    # -- the two kinds -----------------------------------------------------------------

    @property
    def _scores(self):
        return np.asarray(self.results[f"mean_test_{self.score}"], dtype=float)

    def _places(self, name):
        """Return the values of a parameter in order, and each candidate's place."""
        column = np.ma.getdata(self.results[f"param_{name}"])
        is_missing = np.ma.getmaskarray(self.results[f"param_{name}"])
        values = [
            None if missing else value
            for value, missing in zip(column, is_missing, strict=True)
        ]
        known = []
        for value in values:  # they may be of any kind: no sorting but of numbers
            if value not in known:
                known.append(value)
        if all(isinstance(value, Real) for value in known):
            known.sort()
        return known, np.array([known.index(value) for value in values])

    def _draw_heatmap(self, ax, cmap):
        columns, x = self._places(self.parameters[0])
        rows, y = [None], np.zeros(len(x), dtype=int)
        if len(self.parameters) == 2:
            rows, y = self._places(self.parameters[1])
        best = np.full((len(rows), len(columns)), np.nan)
        for i, j, score in zip(y, x, self._scores, strict=True):
            best[i, j] = np.fmax(best[i, j], score)
        self.image_ = ax.imshow(best, cmap=cmap, aspect="auto", origin="lower")
        self.colorbar_ = ax.figure.colorbar(self.image_, ax=ax, label=self._label)
        ax.set_xticks(range(len(columns)), [label_of(value) for value in columns])
        ax.set_yticks(range(len(rows)), [label_of(value) for value in rows])
        ax.set_xlabel(self.parameters[0])
        if len(self.parameters) == 2:
            ax.set_ylabel(self.parameters[1])
        else:
            ax.set_yticks([])
        for (i, j), score in np.ndenumerate(best):
            if np.isnan(score):
                continue
            shade = np.mean(cmap(self.image_.norm(score))[:3])
            color = "black" if shade > 0.5 else "white"
            text = f"{score:.{DIGITS}g}"
            ax.text(j, i, text, ha="center", va="center", color=color)

    def _draw_parallel(self, ax, cmap):
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        scores = self._scores
        norm = Normalize(np.nanmin(scores), np.nanmax(scores))
        heights = []
        for k, name in enumerate(self.parameters):
            values, places = self._places(name)
            height = places / max(1, len(values) - 1)
            heights.append(height)
            for place, value in enumerate(values):
                ax.text(
                    k, place / max(1, len(values) - 1), label_of(value),
                    ha="right", va="center", zorder=3,
                    bbox={"facecolor": "white", "alpha": 0.7, "edgecolor": "none"},
                )  # fmt: skip
            ax.axvline(k, color="0.8", zorder=0)
        ax.axvline(len(heights), color="0.8", zorder=0)
        heights.append(norm(scores))
        self.lines_ = [None] * len(scores)
        for candidate in np.argsort(np.nan_to_num(scores, nan=-np.inf)):
            if np.isnan(scores[candidate]):
                continue
            path = [height[candidate] for height in heights]
            (self.lines_[candidate],) = ax.plot(
                path, color=cmap(norm(scores[candidate]))
            )
        ax.set_xticks(range(len(heights)), [*self.parameters, "score"])
        ax.set_yticks([])
        ax.set_xlim(-0.25, len(heights) - 0.9)  # room for the values
        mappable = ScalarMappable(norm, cmap)
        self.colorbar_ = ax.figure.colorbar(mappable, ax=ax, label=self._label)

    @property
    def _label(self):
        return "mean held-out score" if self.score == "score" else self.score


def find_score(results, score):
    """Return the name of a score in results."""
    names = [
        name.removeprefix("mean_test_") for name in results if "mean_test_" in name
    ]
    if score is None:
        return names[0]
    if score not in names:
        raise ValueError(f"score={score!r} is none of the scores {names}")
    return score


def find_parameters(results, parameters):
    """Return full names of parameters of results; of all that vary for None."""
    names = [name.removeprefix("param_") for name in results if name[:6] == "param_"]
    if parameters is None:
        varies = [
            n for n in names if len({repr(p.get(n)) for p in results["params"]}) > 1
        ]
        return varies or names[:1]
    found = []
    for wanted in parameters:
        matches = [n for n in names if wanted in (n, n.rpartition("__")[2])]
        if len(matches) != 1:
            raise ValueError(
                f"parameters has {wanted!r}, which is not one of the parameters {names}"
            )
        found += matches
    return found


def label_of(value):
    """Return what stands at a tick for the value of a parameter."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.{DIGITS}g}"
    return str(value)
