"""What a test of two samples returns."""

from typing import NamedTuple


class TwoSampleResult(NamedTuple):
    """A statistic, and how probable one as large is if the two laws are the same."""

    statistic: float
    pvalue: float
