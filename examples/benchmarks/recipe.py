"""What each part of the training recipe gives: the recipe with one part changed.

    python examples/benchmarks/recipe.py             # 26 tables, 1 seed: over two hours
    python examples/benchmarks/recipe.py --quick     # does it run?
    python examples/benchmarks/recipe.py --variants "no noise" "no clipping"

Which tables there are is said in tables.py; the faces are left out. Rows on which the
final figures are reported are not looked at: of the 70 % for training of each table
(see never_worse_than_pca.py, same seeds) three quarters train here, and the rest is
tested on. The figures are those of that script: the ratio of squared errors of
AutoencoderTransformer and PCA, below 1 where the autoencoder is better, and the gain of
VAETransformer over PCA in nats per row.
"""

import warnings
from contextlib import contextmanager
from functools import partial
from itertools import product

import numpy as np
from never_worse_than_pca import ScaledPCA, choose_size, make_parser, run_in_processes
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from speed_race import timed
from speed_report import head_text, table_text, tell
from tables import FACES, load_table, table_names

import skae._setup as _setup
import skae._training._course as _course
from skae import AutoencoderTransformer, VAETransformer
from skae.architectures import MLP

# Where the recipe has its constants.
HOMES = (_course, _setup)

# Parameters, and constants.
VARIANTS = {
    "the recipe": ({}, {}),
    "constant step size, none of it": ({"schedule": "constant"}, {}),
    "constant step size 1e-3, none of it": ({"schedule": "constant", "lr": 1e-3}, {}),
    "no noise": ({}, {"JITTER": 0.0}),
    "noise 0.2": ({}, {"JITTER": 0.2}),
    "noise 0.6": ({}, {"JITTER": 0.6}),
    "half as long": ({}, {"AUTO_STEPS": 5_000, "AUTO_EPOCHS": (100, 300)}),
    "twice as long": ({}, {"AUTO_STEPS": 20_000, "AUTO_EPOCHS": (100, 1200)}),
    "half the patience": ({}, {"PATIENCE_SHARE": 1 / 6}),
    "no clipping": ({}, {"LONGEST_GRADIENT": np.inf}),
    "no averaging": ({}, {"AVERAGE_POWER": 1e9, "MOST_AVERAGED": 10**9}),
    "step size 2e-3": ({"lr": 2e-3}, {}),
    "step size 8e-3": ({"lr": 8e-3}, {}),
    "one normal law for all columns": ({"likelihood": "gaussian"}, {}),
    "no refit": ({"refit": False}, {}),
    "a tenth held out": ({"validation_fraction": 0.1}, {}),
    "dropout 0.1": ({"architecture__dropout": 0.1}, {}),
    "weight decay 0.1": ({"weight_decay": 0.1}, {}),
    "narrower, (64, 32)": ({"architecture__hidden_layer_sizes": (64, 32)}, {}),
}
QUICK_EPOCHS = 2

# What counts as worse than PCA, and the bound of a gain in a mean.
MOST_RATIO, LEAST_GAIN, MOST_NATS = 1.005, -0.1, 10.0


LEGEND = f"""\
Ratio of squared errors, autoencoder over PCA: geometric mean, largest, share above
{MOST_RATIO}. Gain of the VAE over PCA in nats: median of the tables, mean with each
bounded by {MOST_NATS:g}, smallest, share below {LEAST_GAIN}. Seconds of both fits."""


def measure(variant, name, seed, *, quick):
    """Return ratio, gain and seconds of a variant on a table."""
    rows, _ = train_test_split(load_table(name), test_size=0.3, random_state=seed)
    X, X_test = train_test_split(rows, test_size=0.25, random_state=seed)
    parameters, constants = VARIANTS[variant]
    common = {"architecture": MLP(), "random_state": seed}
    if quick:
        common["max_epochs"] = QUICK_EPOCHS
    fitted, seconds = [], 0.0
    with recipe_changed(constants), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for cls in (AutoencoderTransformer, VAETransformer):
            estimator = cls(choose_size(X), **common)
            known = estimator.get_params()
            estimator.set_params(**{k: v for k, v in parameters.items() if k in known})
            _, times = timed(estimator.fit, X)
            seconds += times["wall"]
            fitted.append(estimator)
    ae, vae = fitted
    pca = ScaledPCA(ae, X)
    figures = {
        "ratio": pca.error_of(ae, X_test) / pca.error(X_test),
        "gain": vae.score(X_test) - ScaledPCA(vae, X).score(X_test),
        "seconds": seconds,
    }
    tell(f"{variant}, {name}, seed {seed}", figures)
    return list(figures.values())


@contextmanager
def recipe_changed(constants):
    """Let constants of the recipe have other values for a while."""
    homes = {name: next(m for m in HOMES if hasattr(m, name)) for name in constants}
    before = {name: getattr(home, name) for name, home in homes.items()}
    for name, home in homes.items():
        setattr(home, name, constants[name])
    try:
        yield
    finally:
        for name, home in homes.items():
            setattr(home, name, before[name])


def measure_all(names, variants, n_seeds, n_jobs, quick):
    """Return the figures of every variant, (n_tables, n_seeds, 3) each."""
    jobs = product(variants, names, range(n_seeds))
    figures = run_in_processes(partial(measure, quick=quick), jobs, n_jobs)
    shape = (len(variants), len(names), n_seeds, 3)
    return dict(zip(variants, np.reshape(figures, shape), strict=True))


def cells_of(variant, figures):
    """Return the line of a variant: figures are (n_tables, n_seeds, 3)."""
    ratios, gains, seconds = np.moveaxis(figures, -1, 0)
    bounded = np.clip(gains, -MOST_NATS, MOST_NATS)
    return [
        variant,
        f"{np.exp(np.log(ratios).mean()):.3f}",
        f"{ratios.max():.2f}",
        f"{(ratios > MOST_RATIO).mean():.0%}",
        f"{np.median(gains.mean(axis=1)):.2f}",
        f"{bounded.mean():.2f}",
        f"{gains.min():.2f}",
        f"{(gains < LEAST_GAIN).mean():.0%}",
        f"{seconds.sum() / ratios.size:.1f}",
    ]


def main():
    """Measure, and print the table."""
    parser = make_parser(__doc__, n_seeds=1)
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS))
    options = parser.parse_args()
    names = options.tables or [name for name in table_names() if name != FACES]
    if options.quick:
        names, options.variants = ["wine"], options.variants[:2]
    figures = measure_all(
        names, options.variants, options.seeds, options.jobs, options.quick
    )
    print(head_text("Parts of the recipe", n_threads=1))
    print(f"\n{len(names)} tables, {options.seeds} seeds.\n\n{LEGEND}\n")
    headers = ["", "ratio", "worst", "above", "gain", "bounded", "worst", "below"]
    lines = [cells_of(*item) for item in figures.items()]
    print(table_text([*headers, "seconds"], lines))


if __name__ == "__main__":
    main()
