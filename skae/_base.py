"""What both transformers share: from X to a trained network, and from it to codes."""

from abc import ABC, abstractmethod

import numpy as np
import pandas as pd
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.validation import check_is_fitted

from skae import _training
from skae._availability import AbsentWhileStoppingEarly
from skae._code_density import choose_rows
from skae._device import resolve_device
from skae._fit_run import FitRun
from skae._generation import GenerationMixin
from skae._parameters import check_image_shape, check_parameters, check_support
from skae._sklearn import (
    Integral,
    Interval,
    Real,
    RealNotInt,
    StrOptions,
    check_feature_names,
    check_n_features,
    get_feature_names,
)
from skae._validation import (
    check_codes,
    check_overflow,
    check_rows,
    has_holes,
    refuse_empty_columns,
)
from skae.architectures import Architecture


class BaseAutoencoder(
    ClassNamePrefixFeaturesOutMixin,
    CallbackSupportMixin,
    TransformerMixin,
    GenerationMixin,
    BaseEstimator,
    ABC,
):
    """Base class of the transformers.

    A subclass has parameters, `_likelihoods` (shorthands by name),
    `_likelihood_parameter` (which parameter takes them), `_make_module`, and what
    `GenerationMixin` needs.
    """

    #: Whether there must be a code.
    _needs_bottleneck = True

    _parameter_constraints = {
        "n_components": [
            Interval(Integral, 1, None, closed="left"),
            Interval(RealNotInt, 0, 1, closed="neither"),
            None,
        ],
        "architecture": [StrOptions({"auto", "conv", "mlp"}), Architecture],
        "image_shape": [tuple, list, None],
        "scale": [StrOptions({"auto", "standard", "global"}), None],
        "init": [StrOptions({"pca", "random"})],
        "optimizer": [StrOptions(set(_training.OPTIMIZERS)), callable],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "schedule": [StrOptions({"auto", "constant"})],
        "max_epochs": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "batch_size": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "early_stopping": [StrOptions({"auto"}), "boolean"],
        "validation_fraction": [
            Interval(Real, 0, 1, closed="neither"),
            StrOptions({"auto"}),
        ],
        "n_iter_no_change": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "tol": [Interval(Real, 0, None, closed="left")],
        "refit": [StrOptions({"auto"}), "boolean"],
        "warm_start": ["boolean"],
        "device": [str],
        "precision": [StrOptions({"float32", "bf16"})],
        "data_loader": [callable, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "callbacks": [list, None],
    }

    # Z is the input of inverse_transform, not metadata to route.
    __metadata_request__inverse_transform = {"Z": UNUSED}

    @abstractmethod
    def _make_module(self, **settings):
        """Return the untrained module of the given settings."""

    @abstractmethod
    def _codes_to_keep(self, module, X):
        """Return the `KeptCodes` of rows X."""

    # -- training --------------------------------------------------------------

    @with_callbacks
    def fit(self, X, y=None):
        """Train the network on X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows: numbers of any float or integer dtype. NaN is a missing value,
            which costs nothing; every row and every column must have a known one.
            With `image_shape` also (n_samples, channels, height, width).
        y : Ignored
            Not used, present for API consistency.

        Returns
        -------
        self : object
            The fitted estimator. An error or an interrupt leaves it as it was.

        Raises
        ------
        ValueError
            If a parameter or X is invalid; nothing has been trained then.
        FloatingPointError
            If the loss was not finite even after a retry with a smaller step.
        MemoryError
            If training ran out of memory, that of the device included.
        """
        resume = self.warm_start and self.__sklearn_is_fitted__()
        return self._fit(X, y, resume=resume, streaming=False)

    @AbsentWhileStoppingEarly
    @with_callbacks
    def partial_fit(self, X, y=None):
        """Train the network for one pass over X, going on from where it is.

        The first call fixes the scaling, `n_components_` and the start from its X.
        There is no early stopping and no KL warm-up: the length of a stream is
        unknown.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, as in `fit`.
        y : Ignored
            Not used, present for API consistency.

        Returns
        -------
        self : object
            The fitted estimator. An error or an interrupt leaves it as it was.

        Raises
        ------
        ValueError
            If `early_stopping=True`, or as in `fit`.
        """
        return self._fit(X, y, resume=self.__sklearn_is_fitted__(), streaming=True)

    def _fit(self, X, y, *, resume, streaming):
        check_parameters(self)
        X, names = self._check_training_rows(X, resume)
        run = FitRun(self, X, names, resume=resume, streaming=streaming)
        context = self._init_callback_context(max_subtasks=run.most_epochs)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        fitted = run.train(context)
        self._warn_of(fitted)
        context.call_on_fit_task_end(
            estimator=self, X=X, y=y, reconstruction_attributes=fitted
        )
        self._become(fitted)
        return self

    def _check_training_rows(self, X, resume):
        """Return the rows of X and their column names (None without names)."""
        if resume:
            names = self._names
            X = self._check_rows(X)
        else:
            names = get_feature_names(X)
            X = check_rows(
                X,
                estimator=self,
                names=names,
                image_shape=self.image_shape,
                allow_nan=True,
            )
            refuse_empty_columns(X, names)
        check_support(self, X, names)
        return X, names

    def _objective(self):
        """Return the parameters of the loss, which may change between fits."""
        return {}

    def _fitted_attributes(self, net, X, names, seed, record):
        """Return every attribute that fitting sets."""
        module = net.module_
        rows = choose_rows(len(X), module.n_components, seed)
        attributes = {
            "net_": net,
            "n_features_in_": module.n_features,
            "n_components_": module.n_components,
            "n_epochs_": int(record.history["epoch"][-1]),
            "best_epoch_": record.best_epoch,
            "_history": record.history,
            "_kept_codes": self._codes_to_keep(module, X[rows]),
            "_seed": seed,
        }
        if names is not None:
            attributes["feature_names_in_"] = names
        return attributes

    def _warn_of(self, attributes):
        """Warn of what is wrong with a fit that came to its end: nothing here."""

    def _become(self, attributes):
        """Replace whatever an earlier fit has set."""
        fitted = [name for name in vars(self) if name.endswith("_")]
        for name in fitted:
            if name not in attributes:
                delattr(self, name)
        vars(self).update(attributes)

    # -- inference -------------------------------------------------------------

    def transform(self, X):
        """Return the codes of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components_)
            Codes, computed and returned in float32 if X is float32, else in float64.
            For a VAE the mean of the posterior: two calls agree.
        """
        return self._map(X, "transform")

    def inverse_transform(self, Z):
        """Return the rows that codes stand for, in the units of X.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_components_)
            Codes.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            The mean of each row given its code.
        """
        check_is_fitted(self)
        Z = check_codes(Z, n_components=self.n_components_, estimator=self)
        X = _training.map_rows(self.module_, "inverse_transform", Z)
        return check_overflow(X, Z, "Z")

    def reconstruct(self, X):
        """Return what is left of X after encoding and decoding.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows. Missing values are encoded as the mean of their column, and
            decoded like others.

        Returns
        -------
        X_reconstructed : ndarray of shape (n_samples, n_features)
            In the units of X.
        """
        return self._map(X, "reconstruct")

    def reconstruction_error(self, X, per_feature=False):
        """Return the squared error of reconstructing each row, in the units of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        per_feature : bool, default=False
            Whether to return each feature's part instead of their sum.

        Returns
        -------
        error : ndarray of shape (n_samples,) or (n_samples, n_features)
            Squared error, float64. Missing values have none: they are NaN among each
            feature's parts, and not part of the sum.
        """
        check_is_fitted(self)
        X = self._check_rows(X)
        reconstructed = _training.map_rows(self.module_, "reconstruct", X)
        errors = np.square(
            X.astype(np.float64) - check_overflow(reconstructed, X, names=self._names)
        )
        if per_feature:
            return errors
        return np.nansum(errors, axis=1) if has_holes(X) else errors.sum(axis=1)

    def as_images(self, X):
        """Return rows as images.

        Parameters
        ----------
        X : array-like of shape (..., n_features)
            Rows, as `reconstruct`, `sample` or `interpolate` return them.

        Returns
        -------
        images : ndarray of shape (..., channels, height, width)
            A view of X where that is an ndarray.

        Raises
        ------
        ValueError
            If `image_shape` is None, or has another number of pixels.
        """
        check_image_shape(self)
        if self.image_shape is None:
            raise ValueError(
                "as_images needs image_shape=(channels, height, width) of the image in "
                "a row, but image_shape=None"
            )
        X, n_pixels = np.asarray(X), np.prod(self.image_shape)
        if X.ndim < 1 or X.shape[-1] != n_pixels:
            raise ValueError(
                f"image_shape={tuple(self.image_shape)} means {n_pixels} features, but "
                f"X has shape {X.shape}"
            )
        return X.reshape(*X.shape[:-1], *self.image_shape)

    def _map(self, X, method, *args, **options):
        """Check X, apply a method of the module to its rows, check the result."""
        check_is_fitted(self)
        X = self._check_rows(X)
        result = _training.map_rows(self.module_, method, X, *args, **options)
        return check_overflow(result, X, names=self._names)

    @property
    def _names(self):
        """Column names for errors, None without names."""
        return getattr(self, "feature_names_in_", None)

    def _check_rows(self, X):
        """Return X as rows like those that the estimator was fitted on."""
        check_feature_names(self, X, reset=False)
        X = check_rows(
            X,
            estimator=self,
            names=self._names,
            image_shape=self.image_shape,
            allow_nan=True,
        )
        check_n_features(self, X, reset=False)
        return X

    # -- fitted state ----------------------------------------------------------

    @property
    def module_(self):
        """The fitted `nn.Module`. It never changes: training works on a copy."""
        check_is_fitted(self)
        return self.net_.module_

    @property
    def history_(self):
        """What happened at every epoch, a DataFrame with one row each."""
        check_is_fitted(self)
        return pd.DataFrame(self._history).astype({"epoch": int})

    @property
    def loss_curve_(self):
        """Training loss of epochs 1 to `n_epochs_`, in nats per row."""
        check_is_fitted(self)
        return self._history["train_loss"][self._history["epoch"] > 0]

    @property
    def validation_curve_(self):
        """Validation loss of epochs 1 to `n_epochs_`, in nats per row; or None."""
        check_is_fitted(self)
        curve = self._history["validation_loss"][self._history["epoch"] > 0]
        return None if np.isnan(curve).all() else curve

    @property
    def _n_features_out(self):
        return self.n_components_

    def __sklearn_is_fitted__(self):
        return "net_" in vars(self)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.allow_nan = True
        return tags

    def __getstate__(self):
        # Plain arrays and parameters: small, the same bytes each time, and no object
        # of torch or skorch, whose pickles run code.
        state = dict(super().__getstate__())
        net = state.pop("net_", None)
        if net is not None:
            state["_net_state"] = _training.export_net(net)
        return state

    def __setstate__(self, state):
        state = dict(state)
        net_state = state.pop("_net_state", None)
        if net_state is not None:
            device = str(resolve_device(state["device"]))
            state["net_"] = _training.restore_net(net_state, device)
        super().__setstate__(state)
