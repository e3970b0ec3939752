"""How much memory `fit` needs on top of a table of 1,000,000 x 30 in float32.

    python examples/benchmarks/memory.py           # minutes
    python examples/benchmarks/memory.py --quick   # 2,000 rows: does it run?

Each model is fitted in a process of its own, first to a small table, so that what is
loaded and set up once does not count, then to the large one. The figure is by how much
the second fit raises the memory of the process at most, divided by the memory of the
table. Transformers train for one epoch: further ones need no more. `speed.py --sections
memory` measures a transformer on numbers more closely.
"""

import argparse
import gc
import sys
import time

import numpy as np
import pandas as pd
from speed_processes import MemorySampler, anonymous_memory, in_new_process
from speed_report import print_parts, table_text

from skae import (
    AutoencoderImputer,
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    VAETransformer,
)

N_COLUMNS, N_CATEGORIES = 30, 3


def numbers(n_rows):
    """Return normal rows with a little in common."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_rows, N_COLUMNS), dtype=np.float32)
    X[:, 1:] += 0.5 * X[:, :1]
    return X


def with_holes(n_rows):
    """Return the same with a tenth of the values missing."""
    X = numbers(n_rows)
    X[np.random.default_rng(1).random(X.shape, dtype=np.float32) < 0.1] = np.nan
    return X


def with_categories(n_rows):
    """Return a DataFrame of the same, its first columns as categories."""
    X = pd.DataFrame(numbers(n_rows), columns=[f"x{j}" for j in range(N_COLUMNS)])
    for name in X.columns[:N_CATEGORIES]:
        X[name] = pd.cut(X[name], 4, labels=list("abcd"))
    return X


TRANSFORMER = {"max_epochs": 1, "random_state": 0}
CASES = {
    "AutoencoderTransformer": (AutoencoderTransformer(**TRANSFORMER), numbers),
    "VAETransformer": (VAETransformer(**TRANSFORMER), numbers),
    "AutoencoderOutlierDetector": (AutoencoderOutlierDetector(random_state=0), numbers),
    "AutoencoderTransformer, 3 columns of categories": (
        AutoencoderTransformer(**TRANSFORMER),
        with_categories,
    ),
    "AutoencoderOutlierDetector, 3 columns of categories": (
        AutoencoderOutlierDetector(random_state=0),
        with_categories,
    ),
    "AutoencoderImputer, a tenth missing": (
        AutoencoderImputer(random_state=0),
        with_holes,
    ),
}


def n_bytes(X):
    """Return how many bytes of memory a table takes."""
    return X.memory_usage(index=False).sum() if hasattr(X, "columns") else X.nbytes


def measure(case, n_rows):
    """Return the memory of a fit in that of its table, and seconds."""
    model, make = CASES[case]
    model.fit(make(300))
    X = make(n_rows)
    gc.collect()
    before, start = anonymous_memory(), time.perf_counter()
    with MemorySampler() as sampler:
        model.fit(X)
    seconds = time.perf_counter() - start
    return (sampler.peak - before) / n_bytes(X), seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--models", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--quick", action="store_true", help="tiny: does it run?")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rows = 2_000
    lines = []
    for case in arguments.models:
        ratio, seconds = in_new_process(measure, case, arguments.rows)
        lines.append([case, f"{ratio:.2f}", f"{seconds:.0f}"])
        print(*lines[-1], file=sys.stderr, flush=True)
    parts = [
        "## In the memory of the table",
        table_text(["model", "memory", "seconds"], lines),
    ]
    print_parts("Memory of fit", parts, quick=arguments.quick)


if __name__ == "__main__":
    main()
