import re
from unittest import SkipTest

import numpy as np
import pytest
import torch
from estimator_configurations import (
    EXTRA_CHECKS,
    applies,
    estimator_configurations,
    seeded,
)
from scipy.special import logsumexp
from sklearn.utils import estimator_checks

from skae import AutoencoderImputer, AutoencoderTransformer, VAETransformer
from skae.architectures import MLP

CONFIGURATIONS = estimator_configurations()

# Those that differ from others in what the checks hardly see; they take as long.
LATER = {
    "AE, deep tanh", "AE, batch norm", "AE, layer norm", "AE, dropout",
    "AE, random start", "AE, global scale", "AE, absolute error", "AE, ordered, share",
    "AE, contractive", "VAE, linear", "VAE, deep tanh", "VAE, layer norm",
    "VAE, early stopping", "VAE, long", "VAE, laplace", "Imputer, rounds",
    "Imputer, VAE", "Detector, denoiser", "Detector, VAE",
    "Detector, default, few outliers", "Detector, default, categories",
}  # fmt: skip

# The extra checks are about parameters and what `transform` returns, and so about the
# class and the columns, not about the network: one of each class, and the tables.
OF_EACH_CLASS = {name.partition(", ")[0]: name for name in reversed(CONFIGURATIONS)}
EXTRA_AT_ONCE = {
    *OF_EACH_CLASS.values(),
    *(name for name in CONFIGURATIONS if name.endswith("categories")),
} - LATER

# Checks of what our estimators are not: they predict nothing, and take rows of numbers
# of any sign, or NaN, from numpy.
NOT_FOR_US = re.compile(
    "class|regress|cluster|outlier|supervised|requires_y|proba|sparsify|n_iter"
    "|sparse_data|nan_inf|pairwise|nonsquare|non_negative|stateless|data_not_an_array"
    "|array_api_(input_and_values|mixed_inputs|same_namespace)"
)

pytestmark = [
    # A VAE says so when the noise of a check leaves it nothing to encode.
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    # The checks of set_output fit a DataFrame and transform an array, or vice versa.
    pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names"),
]

every_class = pytest.mark.parametrize(
    "Estimator", [AutoencoderTransformer, VAETransformer]
)
every_seed = pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2, 3))]
)


def run(check, *args, seed):
    """Run a check; one that skips itself has failed."""
    with seeded(seed):
        try:
            check(*args)
        except SkipTest as skip:
            pytest.fail(f"skipped: {skip}")


@every_seed
@estimator_checks.parametrize_with_checks(
    [e for name, e in CONFIGURATIONS.items() if name not in LATER], xfail_strict=True
)
def test_estimator_passes_every_check_of_scikit_learn(estimator, check, seed):
    run(check, estimator, seed=seed)


@pytest.mark.slow
@every_seed
@estimator_checks.parametrize_with_checks(
    [CONFIGURATIONS[name] for name in sorted(LATER)], xfail_strict=True
)
def test_other_configurations_pass_every_check_too(estimator, check, seed):
    run(check, estimator, seed=seed)


@every_seed
@pytest.mark.parametrize(
    ("configuration", "check"),
    [
        pytest.param(
            name, check, marks=() if name in EXTRA_AT_ONCE else pytest.mark.slow
        )
        for name, estimator in CONFIGURATIONS.items()
        for check in EXTRA_CHECKS
        if applies(check, estimator)
    ],
)
def test_estimator_passes_every_check_that_scikit_learn_keeps_to_itself(
    configuration, check, seed
):
    estimator = CONFIGURATIONS[configuration]
    run(check, type(estimator).__name__, estimator, seed=seed)


@pytest.mark.parametrize(
    "Estimator", [AutoencoderTransformer, VAETransformer, AutoencoderImputer]
)
def test_no_check_of_transformers_is_left_out(Estimator):
    every_check = {
        name
        for name, check in vars(estimator_checks).items()
        if name.startswith("check_") and check.__module__ == estimator_checks.__name__
    }
    generated = estimator_checks.estimator_checks_generator(Estimator())
    run = {estimator_checks._check_name(check) for _, check in generated}
    run |= {check.__name__ for check in EXTRA_CHECKS}
    left_out = every_check - run - {"check_estimator"}
    if Estimator is AutoencoderImputer:  # weights no samples
        left_out = {name for name in left_out if "sample_weight" not in name}
    assert {name for name in left_out if not NOT_FOR_US.search(name)} == set()


@every_class
def test_at_least_8_configurations_are_checked(Estimator):
    estimators = CONFIGURATIONS.values()
    assert sum(isinstance(estimator, Estimator) for estimator in estimators) >= 8


def test_array_api_check_runs_because_scipy_was_told_in_time():
    assert isinstance(logsumexp(torch.zeros(2)), torch.Tensor)


@every_class
def test_seed_reaches_the_estimator_through_the_random_state_that_checks_set(Estimator):
    estimator = Estimator()
    with seeded(3):
        estimator_checks.set_random_state(estimator, 1)
    assert estimator.random_state == 3001
    estimator_checks.set_random_state(estimator, 1)
    assert estimator.random_state == 1


@every_class
def test_batch_norm_refuses_one_row(Estimator):
    estimator = Estimator(architecture=MLP((16,), normalization="batch"))
    with pytest.raises(ValueError, match="n_samples=1 is too few for normalization"):
        estimator.fit(np.ones((1, 3)))


@every_class
def test_early_stopping_refuses_one_row(Estimator):
    estimator = Estimator(early_stopping=True, validation_fraction=0.2)
    with pytest.raises(ValueError, match=r"n_samples=1 leaves 0 validation samples"):
        estimator.fit(np.ones((1, 3)))
