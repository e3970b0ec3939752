"""What `checkpoint` costs a fit to a table of a million cells.

    python tests/stress/checkpoint_cost.py

Fits with and without take turns; the ratio is that of the medians.
"""

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from sklearn.base import clone

from skae import VAETransformer
from skae._training import _checkpoint


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--epochs", type=int, default=10)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20_000, 5)) @ rng.normal(size=(5, 50))
    X += 0.3 * rng.normal(size=X.shape)
    model = VAETransformer(5, max_epochs=arguments.epochs, refit=False, random_state=0)
    seconds, saved = {True: [], False: []}, []
    write = _checkpoint.training_state
    _checkpoint.training_state = lambda net: (saved.append(1), write(net))[1]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fit.checkpoint"
        clone(model).fit(X)
        for _ in range(arguments.repeats):
            for is_saved in (True, False):
                begin = time.perf_counter()
                clone(model).fit(X, checkpoint=path if is_saved else None)
                seconds[is_saved].append(time.perf_counter() - begin)
    with_it, without = median(seconds[True]), median(seconds[False])
    print(
        f"20,000 rows of 50 columns, {arguments.epochs} epochs: {without:.2f} s, with "
        f"checkpoint {with_it:.2f} s, {100 * (with_it / without - 1):+.1f} %; "
        f"{len(saved) / arguments.repeats:.1f} saves a fit"
    )


if __name__ == "__main__":
    main()
