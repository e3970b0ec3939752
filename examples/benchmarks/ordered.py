"""One fit of ordered codes beside a fit of each size alone, and PCA of each size.

    python examples/benchmarks/ordered.py             # half an hour
    python examples/benchmarks/ordered.py --tables digits 6_cardio --seeds 2
    python examples/benchmarks/ordered.py --quick     # seconds: does it run?

Figures are the share of the variance of held-out rows that is not explained, in the
model's own scaling, and the mean over seeds of each. "to alone" is the error of the
ordered code over that of a network of its size alone, and "to PCA" over that of PCA.
Both networks have the same seed and 100 passes at most; all else is at its default.
"""

import argparse
import time

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from tables import load_table

from skae import AutoencoderTransformer

# How many components the ordered code has.
WIDTHS = {
    "digits": 16,
    "6_cardio": 8,
    "18_Ionosphere": 8,
    "22_magic.gamma": 6,
    "28_pendigits": 8,
    "30_satellite": 8,
    "41_Waveform": 8,
    "43_WDBC": 8,
    "47_yeast": 6,
}
SIZES = (1, 2, 3, 4, 6, 8, 12, 16)
MOST_ROWS, MAX_EPOCHS = 2600, 100


def load_rows(name, seed):
    """Return rows of a table to train on, and rows to judge by."""
    X = load_table(name)
    X = X[np.random.RandomState(seed).permutation(len(X))[:MOST_ROWS]]
    train, test = train_test_split(X, test_size=0.25, random_state=seed)
    varies = train.std(axis=0) > 0
    return train[:, varies].astype(np.float32), test[:, varies].astype(np.float32)


def network_rows(ae, X):
    """Return rows in the scaling of a fitted autoencoder."""
    scaler = ae.module_.scaler
    return (X - scaler.center.numpy()) / scaler.scale.numpy()


def unexplained(rows, decoded):
    """Return the share of the variance of rows that what is decoded lacks."""
    return np.square(rows - decoded).sum() / np.square(rows - rows.mean(axis=0)).sum()


def compare(name, seed, width, max_epochs):
    """Return the errors of one table, a row for each size, and seconds of all fits."""
    train, test = load_rows(name, seed)
    options = {"max_epochs": max_epochs, "random_state": seed}
    start = time.perf_counter()
    ordered = AutoencoderTransformer(width, ordered=True, **options).fit(train)
    seconds = {"ordered": time.perf_counter() - start, "alone": 0.0}
    codes = ordered.transform(test)
    U_train, U = network_rows(ordered, train), network_rows(ordered, test)
    errors = []
    for k in (k for k in SIZES if k <= width):
        start = time.perf_counter()
        alone = AutoencoderTransformer(k, **options).fit(train)
        seconds["alone"] += time.perf_counter() - start
        pca = PCA(k).fit(U_train)
        decoded = network_rows(ordered, ordered.inverse_transform(codes[:, :k]))
        errors.append(
            {
                "table": name,
                "k": k,
                "ordered": unexplained(U, decoded),
                "alone": 1 - alone.score(test),
                "PCA": unexplained(U, pca.inverse_transform(pca.transform(U))),
            }
        )
    return errors, {"table": name, **seconds}


def report(errors, seconds):
    """Return the tables to print."""
    errors = pd.DataFrame(errors).groupby(["table", "k"], sort=False).mean()
    errors["to alone"] = errors["ordered"] / errors["alone"]
    errors["to PCA"] = errors["ordered"] / errors["PCA"]
    seconds = pd.DataFrame(seconds).groupby("table", sort=False).mean()
    return "\n\n".join(
        [
            errors.to_string(float_format="{:.4f}".format),
            "Seconds of the one fit, and of all fits of one size:",
            seconds.to_string(float_format="{:.1f}".format),
        ]
    )


def main():
    """Print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", nargs="+", choices=WIDTHS, default=list(WIDTHS))
    parser.add_argument("--seeds", type=int, default=2, help="how many")
    parser.add_argument("--quick", action="store_true", help="digits for two passes")
    options = parser.parse_args()
    tables, seeds, max_epochs = options.tables, options.seeds, MAX_EPOCHS
    if options.quick:
        tables, seeds, max_epochs = ["digits"], 1, 2
    errors, seconds = [], []
    for name in tables:
        for seed in range(seeds):
            width = 3 if options.quick else WIDTHS[name]
            own_errors, own_seconds = compare(name, seed, width, max_epochs)
            errors += own_errors
            seconds.append(own_seconds)
    print(report(errors, seconds))


if __name__ == "__main__":
    main()
