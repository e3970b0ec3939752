"""What went wrong in a fit, and what to change: `diagnose`.

Each check is a function of `Evidence` that returns a `Finding` or None. The thresholds
are such that fits to ordinary tables and images, with default settings, have no
finding; `tests/test_diagnosis.py` plants each fault, and has the ordinary fits.
"""

from skae._diagnosis._codes import find_collapse, find_dead_units, find_far_codes
from skae._diagnosis._evidence import ACTIVE_VARIANCE, COLLAPSED_SHARE, Evidence
from skae._diagnosis._inputs import find_heavy_tails, find_unscaled_columns
from skae._diagnosis._report import Diagnosis
from skae._diagnosis._training import (
    find_dead_layers,
    find_overfitting,
    find_short_training,
    find_underfitting,
)

__all__ = ["ACTIVE_VARIANCE", "COLLAPSED_SHARE", "Evidence", "diagnose"]

CHECKS = (
    find_unscaled_columns,
    find_heavy_tails,
    find_collapse,
    find_dead_units,
    find_far_codes,
    find_dead_layers,
    find_short_training,
    find_underfitting,
    find_overfitting,
)


def diagnose(title, evidence):
    """Return the `Diagnosis` of a fit."""
    found = [check(evidence) for check in CHECKS]
    return Diagnosis(title, [one for one in found if one is not None])
