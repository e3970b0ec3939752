"""Several small drawings in one Axes, so that every display fits where `ax` is."""

import numpy as np

from skae.inspection._pyplot import import_pyplot

# Share of a panel that stays free beside it, and below it for the tick labels.
GAP = 0.12


# Height of a character on its side, in inches.
CHARACTER = 0.085


def room_for(names):
    """Return the height in inches that names on their side need below an axis."""
    return CHARACTER * max(len(str(name)) for name in names)


def make_axes(ax, figsize=None):
    """Return the given Axes, or those of a new figure."""
    plt = import_pyplot()
    if ax is None:
        _, ax = plt.subplots(figsize=figsize, layout="constrained")
    return ax


def make_panels(ax, n_rows, n_columns, *, gap=GAP, labels=0.0):
    """Return Axes in rows and columns within one, whose own frame goes away.

    `labels` is the share of the height of a panel that its tick labels need.
    """
    ax.set_axis_off()
    width, height = 1 / n_columns, 1 / n_rows
    panels = np.empty((n_rows, n_columns), dtype=object)
    for i, j in np.ndindex(n_rows, n_columns):
        left = j * width + gap / 2 * width
        bottom = 1 - (i + 1) * height + (gap / 2 + labels) * height
        size = (width * (1 - gap), height * (1 - gap - labels))
        panels[i, j] = ax.inset_axes([left, bottom, *size])
    return panels
