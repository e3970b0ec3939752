"""How the results of speed.py are judged, written as markdown, saved and drawn."""

import json
import operator
import os
import platform
import re
import shlex
import sys
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from speed_race import ratio

TOO_SMALL = "Sizes too small for a verdict."


def tell(what, figures):
    """Say on standard error what was measured, before there is a report."""
    said = ", ".join(f"{name}: {value:.5g}" for name, value in figures.items())
    print(f"{what}: {said}", file=sys.stderr, flush=True)


# -- targets ---------------------------------------------------------------------------


class Target(NamedTuple):
    """What is asked of a ratio of two rows of a section, or of a row itself."""

    section: str
    row: str
    over: str | None
    sign: str
    limit: float

    @property
    def name(self):
        """What is compared: seconds of two rows, or megabytes of one."""
        return f"{self.row} / {self.over}" if self.over else f"{self.row}, MB"

    def reached(self, rows):
        """Return the ratio or the megabytes that the rows have, or None."""
        if self.over:
            return ratio(rows, self.row, self.over)
        return next((r.median("megabytes") for r in rows if r.name == self.row), None)


SIGNS = {"<=": operator.le, ">=": operator.ge}


def judge(targets, sections):
    """Yield each target of the sections that ran, what was reached, and a verdict."""
    for target in targets:
        if target.section not in sections:
            continue
        reached = target.reached(sections[target.section].rows)
        if reached is None:
            yield target, None, "not measured"
        else:
            met = SIGNS[target.sign](reached, target.limit)
            yield target, reached, "met" if met else "missed"


# -- markdown --------------------------------------------------------------------------


def describe_machine():
    """Return what the numbers depend on besides the code."""
    path = Path("/proc/cpuinfo")
    info = path.read_text() if path.exists() else ""
    model = re.search(r"model name\s*:\s*(.+)", info)
    packages = ("skae", "torch", "scikit-learn", "skorch", "numpy")
    return {
        "cpu": model[1] if model else platform.processor(),
        "amd": "AuthenticAMD" in info,
        "avx512": "avx512f" in info,
        "cores": os.cpu_count(),
        "threads of torch": torch.get_num_threads(),
        "Python": platform.python_version(),
        **{name: version(name) for name in packages},
    }


def machine_text(n_threads=None):
    """Return in a line what numbers depend on; threads of torch, if not as here."""
    machine = describe_machine()
    cpu, cores = machine.pop("cpu"), machine.pop("cores")
    threads = machine.pop("threads of torch")
    del machine["amd"], machine["avx512"]
    parts = [cpu, f"{n_threads or threads} of {cores} cores for torch"]
    return "; ".join(parts + [f"{name} {value}" for name, value in machine.items()])


def head_text(title, settings=None, n_threads=None):
    """Return what each report begins with: title, command, settings, machine.

    Parameters
    ----------
    title : str
        What was measured.
    settings : dict or None, default=None
        What the figures depend on besides the machine.
    n_threads : int or None, default=None
        Threads of torch, if they are not those of this process.
    """
    parts = [f"# {title}", f"`{shlex.join(['python', *sys.argv])}`"]
    if settings:
        parts.append(list_text(settings))
    return "\n\n".join([*parts, machine_text(n_threads)])


def print_parts(title, parts, *, settings=None, quick=False):
    """Print a report: its head, its parts, and whether they mean nothing."""
    ending = [TOO_SMALL] if quick else []
    print("\n\n".join([head_text(title, settings), *parts, *ending]))


def list_text(values):
    """Return a list of names and values."""
    return "\n".join(f"- {name}: {value}" for name, value in values.items())


# (header, what it shows of a row, format)
COLUMNS = [
    ("seconds", lambda row, rows: row.median("wall"), "{:.4f}"),
    ("ratio", lambda row, rows: ratio(rows, row.name, rows[0].name), "{:.2f}"),
    ("CPU seconds", lambda row, rows: row.median("cpu"), "{:.4f}"),
    (
        "CPU ratio",
        lambda row, rows: ratio(rows, row.name, rows[0].name, "cpu"),
        "{:.2f}",
    ),
    ("spread", lambda row, rows: row.spread, "{:.0%}"),
    ("error", lambda row, rows: row.median("error"), "{:.4f}"),
    ("epochs", lambda row, rows: row.median("epochs"), "{:.0f}"),
    ("MB", lambda row, rows: row.median("megabytes"), "{:.1f}"),
    ("torch._dynamo", lambda row, rows: row.median("dynamo"), "{:.0f}"),
    ("note", lambda row, rows: row.note or None, "{}"),
]
RATIOS = ("ratio", "CPU ratio")


def section_text(name, section):
    """Return a section: a table of the measures that there are, and its sentences."""
    columns = {}
    for header, value, form in COLUMNS:
        if header in RATIOS and not section.compete:
            continue
        values = [value(row, section.rows) for row in section.rows]
        if any(v is not None for v in values):
            columns[header] = ["" if v is None else form.format(v) for v in values]
    names = [row.name for row in section.rows]
    lines = zip(names, *columns.values(), strict=True)
    parts = [f"## {name}", section.title, table_text(["", *columns], lines)]
    if section.lines:
        parts.append("\n".join(f"- {line}" for line in section.lines))
    return "\n\n".join(parts)


def targets_text(verdicts):
    """Return a table of targets and verdicts."""
    if not verdicts:
        return "None for these sections."
    headers = ["section", "target", "reached", "asked", "verdict"]
    lines = []
    for target, reached, verdict in verdicts:
        number = "" if reached is None else f"{reached:.2f}"
        asked = f"{target.sign} {target.limit:g}"
        lines.append([target.section, target.name, number, asked, verdict])
    return table_text(headers, lines)


def table_text(headers, lines):
    """Return a table, its columns aligned."""
    table = [headers, *lines]
    columns = zip(*table, strict=True)
    widths = [max(len(str(cell)) for cell in column) for column in columns]
    table.insert(1, ["-" * max(width, 1) for width in widths])
    rows = []
    for line in table:
        cells = [str(c).ljust(w) for c, w in zip(line, widths, strict=True)]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


# -- files -----------------------------------------------------------------------------


def save(path, machine, sections, verdicts):
    """Write all that was measured, every run of it, as JSON."""
    content = {
        "machine": machine,
        "sections": {
            name: [row._asdict() for row in section.rows]
            for name, section in sections.items()
        },
        "targets": [
            {**target._asdict(), "reached": reached, "verdict": verdict}
            for target, reached, verdict in verdicts
        ],
    }
    Path(path).write_text(json.dumps(content, indent=1))


def curve(rows, of):
    """Return the sizes and the median seconds of the rows in which `of` grows."""
    rows = [row for row in rows if row.name.startswith(f"{of} =")]
    return np.array([(row.median("size"), row.median("wall")) for row in rows]).T


def slope(rows, of):
    """Return the least-squares slope of log seconds over log size."""
    return np.polyfit(*np.log(curve(rows, of)), 1)[0]


def draw_growth(section, path):
    """Save the seconds of a fit over rows and over columns, beside proportionality."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    figure.suptitle(section.title)
    labels = {"n": "rows (30 columns)", "d": "columns (5000 rows)"}
    for ax, (of, label) in zip(axes, labels.items(), strict=True):
        sizes, seconds = curve(section.rows, of)
        ax.loglog(sizes, seconds, "o-", label=f"slope {slope(section.rows, of):.2f}")
        guide = seconds[-1] * sizes / sizes[-1]
        ax.loglog(sizes, guide, "--", color="gray", label="slope 1")
        ax.set(xlabel=label, ylabel="seconds")
        ax.grid(which="major", alpha=0.3)
        ax.legend(frameon=False)
    figure.savefig(path, dpi=150)
    plt.close(figure)
