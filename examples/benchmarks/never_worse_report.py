"""The report of never_worse_than_pca.py: a line for each table, and the targets."""

from collections.abc import Callable
from itertools import chain
from typing import NamedTuple

import numpy as np
from speed_report import SIGNS, table_text

# -- tables ----------------------------------------------------------------------------


class Trial(NamedTuple):
    """What was measured with a table and a seed."""

    shape: tuple[int, int]  # (n_rows, n_features) of the table
    n_components: int
    scaling: str
    figures: dict[str, float]  # NaN where a fit failed; absent where PCA has no figure
    notes: list[str]


def values_of(trials, figure):
    """Return a figure of every trial that has it."""
    return np.array([t.figures[figure] for t in trials if figure in t.figures])


def largest(values):
    """Return the value that is farthest from zero."""
    return values[np.abs(values).argmax()]


# header: (figure, how the seeds are summed up, format)
COLUMNS = {
    "ratio": ("ratio", np.mean, ".3f"),
    "worst ratio": ("ratio", np.max, ".3f"),
    "gain": ("gain", np.mean, ".2f"),
    "worst gain": ("gain", np.min, ".2f"),
    "over random": ("over random", np.mean, ".2f"),
    "start - PCA.score": ("start - PCA.score", largest, ".1e"),
    "AE s": ("AE s", np.mean, ".1f"),
    "VAE s": ("VAE s", np.mean, ".1f"),
    "random s": ("random s", np.mean, ".1f"),
}


def tables_text(results):
    """Return a table with a line for each table."""
    every = [trial for trials in results.values() for trial in trials]
    columns = {h: c for h, c in COLUMNS.items() if len(values_of(every, c[0]))}
    lines = []
    for name, trials in results.items():
        (n_rows, n_features), n_components, scaling, *_ = trials[0]
        line = [name, n_rows, n_features, n_components, scaling]
        for figure, summary, form in columns.values():
            values = values_of(trials, figure)
            line.append(format(summary(values), form) if len(values) else "")
        notes = dict.fromkeys(chain.from_iterable(trial.notes for trial in trials))
        lines.append([*line, "; ".join(notes)])
    return table_text(["table", "n", "d", "k", "scaling", *columns, "notes"], lines)


class Target(NamedTuple):
    """What is asked of a figure over all tables."""

    name: str
    figure: str
    of_table: Callable  # figures of every seed -> a number
    of_tables: Callable  # these numbers -> what is reached
    sign: str
    limit: float
    each: bool  # whether it is asked of every table

    def text(self, results):
        """Return the cells of the target's line: name to where it is missed."""
        values = {
            name: self.of_table(values_of(trials, self.figure))
            for name, trials in results.items()
            if len(values_of(trials, self.figure))
        }
        reached = self.of_tables(list(values.values()))

        def is_met(value):
            return SIGNS[self.sign](value, self.limit)

        verdict = "met"
        if not is_met(reached):
            verdict = f"missed by {abs(reached - self.limit):.2g}"
        where = [name for name, value in values.items() if not is_met(value)]
        asked = f"{self.sign} {self.limit:g}"
        cells = [self.name, len(values), f"{reached:.4g}", asked, verdict]
        return [*cells, ", ".join(where) if self.each else ""]


def geometric_mean(values):
    return np.exp(np.mean(np.log(values)))


def farthest(values):
    return np.max(np.abs(values))


def is_positive(values):
    return float(np.mean(values) >= 0)


TARGETS = [
    Target("ratio, worst", "ratio", np.max, np.max, "<=", 1.005, True),
    Target(
        "ratio, geometric mean", "ratio", geometric_mean, geometric_mean, "<=", 0.45,
        False,
    ),
    Target("gain, worst", "gain", np.min, np.min, ">=", -0.1, True),
    Target("gain, median", "gain", np.mean, np.median, ">=", 4, False),
    Target(
        "over random, share of tables", "over random", is_positive, np.mean, ">=", 0.8,
        True,
    ),
    Target(
        "start - PCA.score, farthest", "start - PCA.score", farthest, np.max, "<=",
        1e-3, True,
    ),
]  # fmt: skip


def targets_text(results, *, quick=False):
    """Return a table of the targets that were measured, with verdicts."""
    headers = ["target", "tables", "reached", "asked", "verdict", "where not"]
    every = list(chain.from_iterable(results.values()))
    lines = [t.text(results) for t in TARGETS if len(values_of(every, t.figure))]
    if quick:
        lines = [[*cells[:4], "", ""] for cells in lines]
    return table_text(headers, lines)
