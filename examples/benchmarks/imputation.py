"""How near imputed values come to the truth, on the tables that scikit-learn ships.

    python examples/benchmarks/imputation.py             # a quarter of an hour
    python examples/benchmarks/imputation.py --tables wine digits --seeds 1
    python examples/benchmarks/imputation.py --quick     # seconds: does it run?

A share of the entries is removed at random from a table, imputers are fitted on two
thirds of the rows and fill the others. Printed is the root of the mean squared error in
the holes, in standard deviations of the columns (of the whole table for the pixels of
digits): the mean over the seeds. Lower is better, and 1 is what a constant gives.
"""

import argparse
import time

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.model_selection import train_test_split

from skae import AutoencoderImputer, VAETransformer

TABLES = {
    "breast cancer": load_breast_cancer,
    "diabetes": load_diabetes,
    "digits": load_digits,
    "wine": load_wine,
}
SHARES = (0.1, 0.3)


def make_imputers(seed):
    """Return imputers by name. Nearest neighbours need rows in one unit."""
    return {
        "mean": SimpleImputer(),
        "nearest neighbours": KNNImputer(),
        "iterative": IterativeImputer(random_state=seed),
        "AutoencoderImputer": AutoencoderImputer(random_state=seed),
        "with a VAE": AutoencoderImputer(VAETransformer(), random_state=seed),
    }


def punch(X, share, seed):
    """Return rows with holes, and where these are; every row keeps a value."""
    holes = np.random.RandomState(seed).uniform(size=X.shape) < share
    holes[holes.all(axis=1), 0] = False
    return np.where(holes, np.nan, X), holes


def compare(X, share, seed, *, pixels):
    """Return the error and the seconds of every imputer, by its name."""
    train, test = train_test_split(X, test_size=1 / 3, random_state=seed)
    center, scale = train.mean(axis=0), train.std(axis=0)
    varies = scale > 0
    if pixels:
        center, scale = train.mean(), np.full(len(scale), train.std())
    train, test = (((U - center) / scale)[:, varies] for U in (train, test))
    seen, _ = punch(train, share, seed)
    holed, holes = punch(test, share, seed + 1000)
    known = ~np.isnan(seen).all(axis=0)  # a column that nobody knows is left out
    results = {}
    for name, imputer in make_imputers(seed).items():
        start = time.perf_counter()
        filled = imputer.fit(seen[:, known]).transform(holed[:, known])
        seconds = time.perf_counter() - start
        errors = (filled - test[:, known])[holes[:, known]]
        results[name] = np.sqrt(np.mean(np.square(errors))), seconds
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tables", nargs="+", default=list(TABLES), choices=TABLES)
    parser.add_argument("--seeds", type=int, default=3, help="default: 3")
    parser.add_argument("--quick", action="store_true", help="wine, once")
    arguments = parser.parse_args()
    shares = SHARES
    if arguments.quick:
        arguments.tables, arguments.seeds, shares = ["wine"], 1, SHARES[1:]
    for table in arguments.tables:
        X = TABLES[table]().data
        for share in shares:
            runs = [
                compare(X, share, seed, pixels=table == "digits")
                for seed in range(arguments.seeds)
            ]
            lines = {
                name: np.mean([run[name] for run in runs], axis=0) for name in runs[0]
            }
            frame = pd.DataFrame(lines, index=["error", "seconds"]).T
            print(f"\n{table}, {share:.0%} removed\n{frame.round(3).to_string()}")


if __name__ == "__main__":
    main()
