"""How often 90 % intervals from multiple imputation have the truth in them.

    python examples/benchmarks/imputation_coverage.py            # an hour
    python examples/benchmarks/imputation_coverage.py --tables 5 --quick

Tables of 300 rows are simulated, of which the truth is known: three correlated columns
(normal laws), a fourth that hangs on two of them by a curve, with skewed noise, and an
outcome that is linear in all, with noise. A quarter of the entries of all columns but
the first is removed, the more of them the larger the first column is. Each table is
filled by `AutoencoderImputer(sample_posterior=True).sample_imputations`. The means of
the columns and the coefficients of a regression of the outcome on the others are pooled
by Rubin's rules, with the degrees of freedom of Barnard and Rubin [1]_, into 90 %
intervals. Printed is the share of them with the truth inside, over all tables; of the
same intervals from the whole tables; and of those from tables filled once, as if
nothing had been missing.

.. [1] J. Barnard, D. Rubin, "Small-Sample Degrees of Freedom with Multiple
   Imputation", Biometrika 86, 1999, doi:10.1093/biomet/86.4.948.
"""

import argparse
import time

import numpy as np
import pandas as pd
from scipy.stats import t as student

from skae import AutoencoderImputer, AutoencoderTransformer
from skae.architectures import RestoringMLP
from skae.corruptions import Masking

LEVEL, SLOPES = 0.9, np.array([0.5, -0.7, 0.4, 0.3])
NAMES = [*(f"mean of x{j}" for j in range(5)), *(f"slope of x{j}" for j in range(4))]


def simulate(n_rows, seed):
    """Return a table of five columns, and the same with holes."""
    random = np.random.default_rng(seed)
    root = np.linalg.cholesky([[1, 0.6, 0.3], [0.6, 1, 0.5], [0.3, 0.5, 1]])
    A = random.normal(size=(n_rows, 3)) @ root.T
    skewed = random.exponential(0.5, size=n_rows) - 0.5
    curve = np.tanh(2 * A[:, 1]) + 0.5 * A[:, 2] + skewed
    X = np.column_stack([A, curve])
    X = np.column_stack([X, X @ SLOPES + 0.6 * random.normal(size=n_rows)])
    chance = 1 / (1 + np.exp(-(X[:, :1] - 1.25)))
    holes = random.uniform(size=X.shape) < chance
    holes[:, 0] = False
    return X, np.where(holes, np.nan, X)


def estimate(X):
    """Return the means and the slopes of a table, and their squared errors."""
    n_rows = len(X)
    design = np.column_stack([np.ones(n_rows), X[:, :-1]])
    weights, residual, *_ = np.linalg.lstsq(design, X[:, -1], rcond=None)
    noise = residual[0] / (n_rows - design.shape[1])
    squares = noise * np.diag(np.linalg.inv(design.T @ design))
    values = np.concatenate([X.mean(axis=0), weights[1:]])
    return values, np.concatenate([X.var(axis=0, ddof=1) / n_rows, squares[1:]])


def pool(values, squares, n_freedom):
    """Return estimate, squared error, degrees of freedom of several, by Rubin's rules.

    Parameters
    ----------
    values, squares : ndarray of shape (n_imputations, n_estimates)
        Estimates from each filled table, and their squared errors.
    n_freedom : float
        Degrees of freedom that the whole table would have.
    """
    m = len(values)
    within, between = squares.mean(axis=0), values.var(axis=0, ddof=1)
    total = within + (1 + 1 / m) * between
    share = np.maximum((1 + 1 / m) * between / total, 1e-12)  # due to what is missing
    observed = (n_freedom + 1) / (n_freedom + 3) * n_freedom * (1 - share)
    n_pooled = 1 / (share**2 / (m - 1) + 1 / observed)
    return values.mean(axis=0), total, n_pooled


def covers(value, square, n_freedom, truth):
    """Return whether the intervals have the truth in them."""
    width = student.ppf((1 + LEVEL) / 2, n_freedom) * np.sqrt(square)
    return np.abs(value - truth) <= width


def make_imputer(seed, *, n_imputations, quick):
    """Return the imputer: as it comes, or with few steps."""
    estimator = None
    if quick:
        estimator = AutoencoderTransformer(
            architecture=RestoringMLP((64,)),
            corruption=Masking("random", fill="missing"),
            max_epochs=15,
            lr=2e-3,
        )
    return AutoencoderImputer(
        estimator,
        similar_rows=True,  # as it is without an estimator
        sample_posterior=True,
        n_imputations=n_imputations,
        random_state=seed,
    )


def one_table(seed, truth, *, n_rows, n_imputations, quick):
    """Return what covers the truth: from the whole table, several fillings, one."""
    X, seen = simulate(n_rows, seed)
    n_freedom = n_rows - X.shape[1]
    imputer = make_imputer(seed, n_imputations=n_imputations, quick=quick).fit(seen)
    tables = imputer.sample_imputations(seen, random_state=seed)
    estimates = [np.array(part) for part in zip(*map(estimate, tables), strict=True)]
    expected = imputer.set_params(sample_posterior=False).transform(seen)
    return [
        covers(*estimate(X), n_freedom, truth),
        covers(*pool(*estimates, n_freedom), truth),
        covers(*estimate(expected), n_freedom, truth),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tables", type=int, default=200, help="default: 200")
    parser.add_argument("--first", type=int, default=0, help="seed of the first")
    parser.add_argument("--rows", type=int, default=300, help="default: 300")
    parser.add_argument("--imputations", type=int, default=20, help="default: 20")
    parser.add_argument("--quick", action="store_true", help="small networks")
    arguments = parser.parse_args()
    huge, _ = simulate(2_000_000, 10**6)
    truth = np.concatenate([[0, 0, 0, 0, 0], SLOPES])
    assert np.allclose(huge.mean(axis=0), truth[:5], atol=0.01)
    start = time.perf_counter()
    results = [
        one_table(
            seed, truth, n_rows=arguments.rows,
            n_imputations=arguments.imputations, quick=arguments.quick,
        )
        for seed in range(arguments.first, arguments.first + arguments.tables)
    ]  # fmt: skip
    shares = np.mean(results, axis=0)  # (3, n_estimates)
    names = ["whole tables", "multiple imputation", "filled once"]
    frame = pd.DataFrame(shares, index=names, columns=NAMES).T
    groups = {"means": frame[:5], "slopes": frame[5:], "all": frame.copy()}
    for group, part in groups.items():
        frame.loc[group] = part.mean()
    seconds = (time.perf_counter() - start) / arguments.tables
    print(frame.round(3).to_string())
    print(f"{arguments.tables} tables, {seconds:.1f} s each")


if __name__ == "__main__":
    main()
