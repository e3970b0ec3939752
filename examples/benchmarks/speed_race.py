"""What the contenders of speed.py train, and how their times are taken."""

import gc
import time
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

import numpy as np


@dataclass(frozen=True)
class Setting:
    """What is trained, and how: the same for every contender."""

    hidden: tuple[int, ...]  # widths of the encoder; the decoder mirrors them
    n_components: int
    batch_size: int
    max_epochs: int
    lr: float = 1e-3
    variational: bool = False
    threads: int = 1

    def encoder_sizes(self, n_features):
        """Return the widths of the encoder's layers, a VAE's mean and log-variance."""
        n_codes = (1 + self.variational) * self.n_components
        return (n_features, *self.hidden, n_codes)

    def decoder_sizes(self, n_features):
        """Return the widths of the decoder's layers."""
        return (self.n_components, *self.hidden[::-1], n_features)


# -- times -----------------------------------------------------------------------------


def timed(call, *args):
    """Return what `call(*args)` returns, and its wall and CPU time in seconds."""
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    result = call(*args)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return result, {"wall": wall, "cpu": cpu}


def timed_fit(fit, X, setting):
    """Return the times of `fit(X)`, and the error of the reconstruction it returns."""
    reconstruct, times = timed(fit, X)
    if reconstruct is None:
        return times
    error = np.square(reconstruct(X) - X).mean(dtype=np.float64)
    return {**times, "error": float(error), "epochs": setting.max_epochs}


def timed_call(call, *args, times=1):
    """Return the seconds of a call, times a number."""
    _, seconds = timed(call, *args)
    return {name: times * value for name, value in seconds.items()}


# -- races -----------------------------------------------------------------------------


class Row(NamedTuple):
    """A contender, and what each of its runs measured."""

    name: str
    runs: list[dict]
    note: str = ""

    def values(self, measure):
        """Return a measure of every run that has it."""
        return [run[measure] for run in self.runs if measure in run]

    def median(self, measure):
        """Return the median of a measure over the runs, or None without any."""
        values = self.values(measure)
        return median(values) if values else None

    @property
    def spread(self):
        """How far the seconds of the runs are apart, as a share of their median."""
        seconds = self.values("wall")
        if len(seconds) < 2:
            return None
        return (max(seconds) - min(seconds)) / median(seconds)


class Section(NamedTuple):
    """A table of the report: what was measured, and sentences about it."""

    title: str
    rows: list[Row]
    lines: list[str] = []
    compete: bool = True  # whether the ratios of all rows to the first tell something


def race(contenders, n_repeats, *, warm_up=True, notes=None):
    """Return a `Row` of each contender: all run once in turn, again and again.

    Parameters
    ----------
    contenders : dict of str to callable
        Each returns what it measured, as a dict, with the key "failure" if it failed.
    n_repeats : int
        How often.
    warm_up : bool, default=True
        Whether all run once before, unmeasured.
    notes : dict of str to str or None, default=None
        What to say of a contender, or of one that does not take part.
    """
    notes = dict(notes or {})
    runs = {name: [] for name in [*contenders, *notes]}
    for i in range(n_repeats + warm_up):
        for name, run in contenders.items():
            measured = run()
            if "failure" in measured:
                notes[name] = measured["failure"]
            elif i >= warm_up:
                runs[name].append(measured)
    return [Row(name, runs[name], notes.get(name, "")) for name in runs]


def ratio(rows, name, over, measure="wall"):
    """Return the ratio of two contenders' medians, or None where one has none."""
    medians = {row.name: row.median(measure) for row in rows}
    value, reference = medians.get(name), medians.get(over)
    return value / reference if value is not None and reference else None


def ratio_line(rows, name, over):
    """Return a sentence on the ratio of two contenders' seconds."""
    return f"{name} / {over}: {ratio(rows, name, over):.2f}"
