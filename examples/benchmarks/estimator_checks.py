"""How many of scikit-learn's estimator checks pass, here and elsewhere.

    python examples/benchmarks/estimator_checks.py [--seeds 4] [--first 1] [--peers]

Every configuration of tests/estimator_configurations.py faces every check of
`check_estimator`, and the extra checks that scikit-learn runs on its own estimators
only. With --peers other autoencoders face them too, as shipped and in a generous
setting; one that is not installed is named as such.
"""

import os

# scikit-learn skips its array API check without it; scipy reads it at its import.
os.environ["SCIPY_ARRAY_API"] = "1"
# The networks are small: threads that wait for each other cost more than they save.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import io
import logging
import platform
import sys
import tempfile
import warnings
from collections import Counter
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from functools import partial
from importlib.metadata import version
from pathlib import Path
from unittest import SkipTest

import torch
from sklearn.utils import TransformerTags
from sklearn.utils.estimator_checks import check_estimator
from skorch import NeuralNet

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
from estimator_configurations import (
    EXTRA_CHECKS,
    applies,
    estimator_configurations,
    seeded,
)

LINE = "{:<26} {:<8} {:<22} {:>6} {:>6} {:>6} {:>6} {:>8} {:>7} {:>7}"
HEADER = LINE.format(
    *("estimator", "version", "setting", "runs", "checks", "passed", "failed"),
    *("expected", "skipped", "extra"),
)


# -- other autoencoders ----------------------------------------------------------------


class Net(torch.nn.Module):
    """The network that skorch trains: as wide as the first rows, weights tied."""

    def __init__(self, n_components=2, dtype=torch.float32):
        super().__init__()
        self.encoder = torch.nn.LazyLinear(n_components, dtype=dtype)

    def forward(self, X):
        return torch.relu(self.encoder(X)) @ self.encoder.weight


class SkorchAutoencoder(NeuralNet):
    """The net of an autoencoder in skorch: its target is X."""

    def get_loss(self, y_pred, y_true, X, training=False):
        return super().get_loss(y_pred, X, X, training=training)


def make_skorch():
    return SkorchAutoencoder(Net, criterion=torch.nn.MSELoss)


def make_generous_skorch():
    return SkorchAutoencoder(
        Net,
        module__dtype=torch.float64,
        criterion=torch.nn.MSELoss,
        train_split=None,
        verbose=0,
    )


def make_encdr(**parameters):
    from encdr import ENCDR

    return ENCDR(**parameters)


def make_generous_encdr():
    """Return it with the tag that the order of its base classes loses.

    An empty `trainer_kwargs` would keep it from being cloned.
    """
    from encdr import ENCDR

    tags_of = ENCDR.__sklearn_tags__

    def with_transformer_tags(self):
        tags = tags_of(self)
        tags.transformer_tags = TransformerTags()
        return tags

    ENCDR.__sklearn_tags__ = with_transformer_tags
    return ENCDR(max_epochs=5, trainer_kwargs={"logger": False})


def make_pyod_autoencoder(**parameters):
    from pyod.models.auto_encoder import AutoEncoder

    return AutoEncoder(**parameters)


def make_pyod_vae(**parameters):
    from pyod.models.vae import VAE

    return VAE(**parameters)


# Name, distribution, setting, and how to make it. The repair of ENCDR stays in force.
PEERS = [
    ("ENCDR", "encdr", "as shipped", make_encdr),
    ("ENCDR", "encdr", "tags repaired", make_generous_encdr),
    ("PyOD AutoEncoder", "pyod", "as shipped", make_pyod_autoencoder),
    (
        *("PyOD AutoEncoder", "pyod", "batch_size=4"),
        partial(make_pyod_autoencoder, batch_size=4),
    ),
    ("PyOD VAE", "pyod", "as shipped", make_pyod_vae),
    ("PyOD VAE", "pyod", "batch_size=4", partial(make_pyod_vae, batch_size=4)),
    ("skorch NeuralNet", "skorch", "as shipped", make_skorch),
    ("skorch NeuralNet", "skorch", "float64, no validation", make_generous_skorch),
]


# -- counting --------------------------------------------------------------------------


@contextmanager
def quiet():
    """Keep progress bars, logs and files of the estimators out of the way."""
    logging.disable(logging.CRITICAL)
    with (
        tempfile.TemporaryDirectory() as folder,
        chdir(folder),
        redirect_stdout(io.StringIO()),
        redirect_stderr(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield
    logging.disable(logging.NOTSET)


def count_checks(estimator, seed):
    """Return how the checks ended, the extra ones apart, and the names of failures."""
    with quiet(), seeded(seed):
        results = check_estimator(estimator, on_fail=None, on_skip=None)
        extra = {
            check.__name__: run_extra(check, estimator)
            for check in EXTRA_CHECKS
            if applies(check, estimator)
        }
    failures = [r["check_name"] for r in results if r["status"] == "failed"]
    failures += [name for name, status in extra.items() if status == "failed"]
    return (
        Counter(result["status"] for result in results),
        Counter(extra.values()),
        Counter(failures),
    )


def run_extra(check, estimator):
    """Return how an extra check ended."""
    try:
        check(type(estimator).__name__, estimator)
    except SkipTest:
        return "skipped"
    except Exception:
        return "failed"
    return "passed"


def print_line(name, distribution, setting, estimators, seeds):
    """Print the counts of estimators, added up over all of them and all seeds."""
    checks, extra, failures = Counter(), Counter(), Counter()
    for estimator in estimators:
        for seed in range(seeds):
            try:
                counts = count_checks(estimator, seed)
            except Exception as error:
                reason = str(error).partition(". ")[0]
                aborts = f"aborts: {type(error).__name__}: {reason}"
                print(f"{name:<26} {version(distribution):<8} {setting:<22} {aborts}")
                return failures
            for total, part in zip((checks, extra, failures), counts, strict=True):
                total.update(part)
    print(
        LINE.format(
            *(name, version(distribution), setting, len(estimators) * seeds),
            *(checks.total(), checks["passed"], checks["failed"]),
            *(checks["xfail"], checks["skipped"]),
            f"{extra['passed']}/{extra.total()}",
        ),
        flush=True,
    )
    return failures


def print_ours(seeds, only, first):
    """Print a line for each class of skae, or for some, and what failed.

    With `first`, a class has just so many of its configurations.
    """
    classes = {
        "AE": "AutoencoderTransformer",
        "VAE": "VAETransformer",
        "VAE CV": "VAETransformerCV",
        "Imputer": "AutoencoderImputer",
        "Detector": "AutoencoderOutlierDetector",
    }
    for short, name in classes.items():
        if only and name not in only:
            continue
        named = estimator_configurations().items()
        estimators = [e for n, e in named if n.startswith(f"{short}, ")]
        estimators = estimators[:first]
        setting = f"{len(estimators)} configs x {seeds} seeds"
        for check, count in print_line(
            name, "skae", setting, estimators, seeds
        ).items():
            print(f"  {check} failed {count} times")


def print_peers():
    """Print a line for each other autoencoder, or that it is not installed."""
    for name, distribution, setting, make in PEERS:
        try:
            with quiet():
                estimator = make()
        except ImportError:
            print(f"{name:<26} {'-':<8} {setting:<22} not installed")
            continue
        print_line(name, distribution, setting, [estimator], 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=4, help="default: 4")
    parser.add_argument("--only", nargs="+", help="names of classes; default: all")
    parser.add_argument("--first", type=int, help="so many configurations of a class")
    parser.add_argument("--peers", action="store_true", help="other autoencoders too")
    arguments = parser.parse_args()
    versions = [
        f"{name} {version(name)}" for name in ("scikit-learn", "torch", "numpy")
    ]
    print(f"Python {platform.python_version()}, {', '.join(versions)}\n")
    print(HEADER)
    print_ours(arguments.seeds, arguments.only, arguments.first)
    if arguments.peers:
        print_peers()


if __name__ == "__main__":
    main()
