"""Estimators in every kind of configuration, and scikit-learn's checks of them."""

import random
from contextlib import contextmanager
from unittest import mock

import numpy as np
import torch
from sklearn.utils import estimator_checks

from skae import (
    AutoencoderImputer,
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    VAETransformer,
    VAETransformerCV,
    _restorers,
)
from skae._sklearn import check_feature_names, check_n_features, get_feature_names
from skae._validation import check_rows
from skae.architectures import MLP, DenoisingMLP, RestoringMLP, UNet
from skae.corruptions import GaussianNoise, Masking
from skae.penalties import Contractive, Sparse

# What scikit-learn runs on its own transformers only: `check_estimator` and
# `parametrize_with_checks` leave it out.
EXTRA_CHECKS = [
    estimator_checks.check_dataframe_column_names_consistency,
    estimator_checks.check_estimators_partial_fit_n_features,
    estimator_checks.check_get_feature_names_out_error,
    estimator_checks.check_global_output_transform_pandas,
    estimator_checks.check_global_set_output_transform_polars,
    estimator_checks.check_inplace_ensure_writeable,
    estimator_checks.check_param_validation,
    estimator_checks.check_set_output_transform,
    estimator_checks.check_set_output_transform_pandas,
    estimator_checks.check_set_output_transform_polars,
    estimator_checks.check_transformer_get_feature_names_out,
    estimator_checks.check_transformer_get_feature_names_out_pandas,
]


def applies(check, estimator):
    """Return whether an extra check is about something that the estimator has."""
    name = check.__name__
    if "partial_fit" in name:
        return hasattr(estimator, "partial_fit")
    if "transform" in name or "feature_names_out" in name:
        return hasattr(estimator, "transform")
    return True


IMAGE_SHAPE = (1, 4, 4)


class Preparing:
    """A front that turns the valid rows of a check into rows that the model takes.

    The checks feed rows of any range and width. A Pipeline with a scaler would take
    them, but fails the checks itself, with PCA as its last step too: `fit` changes
    its parameter `steps`, and `random_state` is out of the checks' reach. So the rows
    are changed here, behind the estimator's own validation and before anything else.
    """

    def _check_training_rows(self, X, resume):
        if resume:
            return super()._check_training_rows(X, resume)
        names = get_feature_names(X)
        X = check_rows(X, estimator=self, names=names, allow_nan=True)
        self._n_columns = X.shape[1]
        return self._prepare(X), names

    def _check_rows(self, X):
        check_feature_names(self, X, reset=False)
        X = check_rows(X, estimator=self, allow_nan=True)
        check_n_features(self, X, reset=False)
        return self._prepare(X)

    def _fitted_attributes(self, *args):
        attributes = super()._fitted_attributes(*args)
        return attributes | {"n_features_in_": self._n_columns}


class UnitRange(Preparing):
    """Rows in [0, 1], spread over it wherever the columns lie."""

    def _prepare(self, X):
        return (1 + np.sin(X)) / 2


class ImageRows(Preparing):
    """Rows as wide as `IMAGE_SHAPE` says, cut off or empty on the right."""

    def _prepare(self, X):
        n_pixels = np.prod(IMAGE_SHAPE)
        return np.pad(X[:, :n_pixels], ((0, 0), (0, max(0, n_pixels - X.shape[1]))))


class UnitRangeAutoencoder(UnitRange, AutoencoderTransformer):
    """For the losses of data in [0, 1]."""


class UnitRangeVAE(UnitRange, VAETransformer):
    """For the likelihoods of data in [0, 1]."""


class ImageAutoencoder(ImageRows, AutoencoderTransformer):
    """For `image_shape`."""


class WithoutCode:
    """For architectures without a bottleneck."""

    def _fit(self, *args, **options):
        # the checks set this parameter of whatever has it, and to nonsense as well
        n_components = self.n_components
        if isinstance(n_components, int) and n_components > 0:
            self.n_components = None
        try:
            return super()._fit(*args, **options)
        finally:
            self.n_components = n_components


class Restorer(WithoutCode, AutoencoderTransformer):
    """For tables without a bottleneck."""


class ImageRestorer(WithoutCode, ImageAutoencoder):
    """For `image_shape` without a bottleneck."""


class ImageVAE(ImageRows, VAETransformer):
    """For `image_shape`."""


class QuickDetector(AutoencoderOutlierDetector):
    """With few steps of the default estimator."""

    def fit(self, X, y=None):
        with mock.patch.object(_restorers, "STEPS", 10):
            return super().fit(X)


SHARED = {
    "default": {},
    "linear": {"architecture": MLP(())},
    "deep tanh": {"architecture": MLP((16, 16, 8), activation="tanh")},
    "batch norm": {"architecture": MLP((16,), normalization="batch")},
    "layer norm": {"architecture": MLP((16,), normalization="layer")},
    "dropout": {"architecture": MLP((16,), dropout=0.5)},
    "early stopping": {"early_stopping": True, "validation_fraction": 0.2},
    "random start": {"init": "random"},
    "global scale": {"scale": "global", "n_components": 0.9, "optimizer": "sgd"},
    # A network that fits well has large weights, and would tell rows that are encoded
    # one by one from the same rows in a batch if it computed in float32.
    "long": {
        "architecture": MLP((32,)),
        "max_epochs": 100,
        "lr": 1e-2,
        "batch_size": 128,
    },
}

# the numbers of a column as categories: of new rows most are unknown
CATEGORIES = {"categorical_features": [0], "handle_unknown": "ignore"}

AUTOENCODER = {
    "categories": CATEGORIES,
    "absolute error": {"loss": "absolute_error"},
    "denoising": {"corruption": [GaussianNoise(0.3, relative=True), Masking(0.1)]},
    "ordered": {"ordered": True, "n_components": 2},
    "ordered, share": {"ordered": True, "n_components": 0.9},
    "sparse": {"penalty": Sparse("kl")},
    "contractive": {"penalty": Contractive()},
}

VAE = {
    "categories": CATEGORIES,
    "laplace": {"likelihood": "laplace"},
    "beta, warm-up, free bits": {"beta": 4.0, "kl_warmup": 0.5, "free_bits": 0.1},
    "gaussian, monte carlo": {
        "likelihood": "gaussian",
        "elbo": "monte_carlo",
        "n_draws": 3,
    },
    "importance weighted": {
        "elbo": "importance_weighted",
        "n_draws": 3,
        "beta": 2.0,
        "kl_warmup": 0.5,
    },
}


IMPUTER = {
    "denoising": {
        "estimator": AutoencoderTransformer(
            corruption=Masking(0.5, fill="center"), max_epochs=3
        )
    },
    "rounds": {"estimator": AutoencoderTransformer(2, max_epochs=3), "max_iter": 5},
    "VAE": {"estimator": VAETransformer(max_epochs=3)},
    "categories": {
        "estimator": AutoencoderTransformer(
            architecture=RestoringMLP((16,)),
            corruption=Masking("random", fill="missing"),
            max_epochs=3,
        ),
        **CATEGORIES,
    },
    "restorer": {
        "estimator": AutoencoderTransformer(
            architecture=RestoringMLP((16,)),
            corruption=Masking("random", fill="missing"),
            max_epochs=3,
        ),
        "add_indicator": True,
    },
    "empty features kept": {
        "estimator": AutoencoderTransformer(2, max_epochs=3),
        "keep_empty_features": True,
    },
}


DETECTOR = {
    "denoiser": {
        "estimator": AutoencoderTransformer(
            architecture=DenoisingMLP((16,)), scale="standard", max_epochs=3
        )
    },
    "autoencoder": {"estimator": AutoencoderTransformer(2, max_epochs=3), "cv": 2},
    "VAE": {"estimator": VAETransformer(2, max_epochs=3), "cv": 2},
    "few outliers": {
        "estimator": AutoencoderTransformer(2, max_epochs=3),
        "contamination": 0.1,
    },
    "categories": CATEGORIES
    | {"estimator": AutoencoderTransformer(2, max_epochs=3), "cv": 2},
}

# with the default estimator
DEFAULT_DETECTOR = {
    "default": {"cv": 2},
    "default, few outliers": {"cv": 2, "contamination": 0.1},
    "default, categories": CATEGORIES | {"cv": 2},
}


def estimator_configurations():
    """Return a dict of unfitted estimators by the name of their configuration."""
    autoencoders = {
        name: AutoencoderTransformer(**parameters)
        for name, parameters in (SHARED | AUTOENCODER).items()
    }
    autoencoders["binary cross-entropy"] = UnitRangeAutoencoder(
        loss="binary_cross_entropy"
    )
    autoencoders["image"] = ImageAutoencoder(image_shape=IMAGE_SHAPE)
    autoencoders["image, no bottleneck"] = ImageRestorer(
        image_shape=IMAGE_SHAPE,
        architecture=UNet((4, 8), n_blocks=1),
        corruption=GaussianNoise(0.3, relative=True),
    )
    autoencoders["table, no bottleneck"] = Restorer(
        architecture=RestoringMLP((16,)),
        corruption=Masking("random", fill="missing"),
    )
    vaes = {
        name: VAETransformer(**parameters)
        for name, parameters in (SHARED | VAE).items()
    }
    vaes["bernoulli"] = UnitRangeVAE(likelihood="bernoulli")
    vaes["image"] = ImageVAE(image_shape=IMAGE_SHAPE)
    named = {f"AE, {name}": estimator for name, estimator in autoencoders.items()}
    named |= {f"VAE, {name}": estimator for name, estimator in vaes.items()}
    # what is checked is the choice: the networks are as small as can be
    named["VAE CV, two by two"] = VAETransformerCV(
        (1, 2), betas=(0.5, 1.0), cv=2, architecture=MLP((8,))
    )
    for name, estimator in named.items():
        if not name.endswith("long"):
            estimator.set_params(max_epochs=3)
    imputers = {
        f"Imputer, {name}": AutoencoderImputer(**parameters)
        for name, parameters in IMPUTER.items()
    }
    detectors = {
        f"Detector, {name}": AutoencoderOutlierDetector(**parameters)
        for name, parameters in DETECTOR.items()
    }
    detectors |= {
        f"Detector, {name}": QuickDetector(**parameters)
        for name, parameters in DEFAULT_DETECTOR.items()
    }
    return named | imputers | detectors


@contextmanager
def seeded(seed):
    """Run scikit-learn's checks on another random state than the 0 or 1 they set.

    Their data stay the same; what the estimator draws does not, nor does what the
    checks draw from numpy's global generator.
    """
    original = estimator_checks.set_random_state

    def set_random_state(estimator, random_state=0):
        original(estimator, random_state + 1000 * seed)

    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 (the generator that checks draw from)
    torch.manual_seed(seed)
    with mock.patch.object(estimator_checks, "set_random_state", set_random_state):
        yield
