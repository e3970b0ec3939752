"""What both transformers share: from X to a trained network, and from it to codes."""

from abc import ABC, abstractmethod
from warnings import warn

import numpy as np
import pandas as pd
from sklearn.base import (
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.validation import check_is_fitted

from skae import _onnx, _training
from skae._availability import AbsentWhileStoppingEarly
from skae._code_density import choose_rows
from skae._columns import as_table, find_columns
from skae._device import is_elsewhere, resolve_device
from skae._diagnosis import Evidence, diagnose
from skae._fit_run import FitRun, TrainingData
from skae._generation import GenerationMixin
from skae._journal import Journal, check_checkpoint
from skae._parameters import (
    check_image_shape,
    check_is_table,
    check_parameters,
    check_support,
)
from skae._rehearsal import Recall, Rehearsal
from skae._sklearn import (
    Integral,
    Interval,
    InvalidParameterError,
    ParameterHolder,
    Real,
    RealNotInt,
    StrOptions,
    check_feature_names,
    check_n_features,
    get_feature_names,
)
from skae._storage import SavingMixin, check_attributes
from skae._validation import (
    check_codes,
    check_overflow,
    check_rows,
    has_holes,
    refuse_empty_columns,
)
from skae._weights import check_weights, drop_weightless
from skae.architectures import Architecture


class BaseAutoencoder(
    ClassNamePrefixFeaturesOutMixin,
    CallbackSupportMixin,
    TransformerMixin,
    GenerationMixin,
    SavingMixin,
    ParameterHolder,
    ABC,
):
    """Base class of the transformers.

    A subclass has parameters, `_likelihoods` (shorthands by name),
    `_likelihood_parameter` (which parameter takes them), `_make_module`, and what
    `GenerationMixin` needs.
    """

    #: Whether there must be a code.
    _needs_bottleneck = True

    #: What the columns of the fitted table are, where they have laws of their own.
    _columns = None

    #: What a fit sets, as files have it.
    _stored = (
        "n_features_in_", "n_components_", "n_epochs_", "best_epoch_", "_history",
        "_kept_codes", "_seed", "_columns", "_net_state",
    )  # fmt: skip

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
        "categorical_features": ["array-like", StrOptions({"from_dtype"}), None],
        "handle_unknown": [StrOptions({"error", "ignore"})],
    }

    # Z is the input of inverse_transform, not metadata to route; nor is a file.
    __metadata_request__inverse_transform = {"Z": UNUSED}
    __metadata_request__fit = {"checkpoint": UNUSED}

    @abstractmethod
    def _make_module(self, **settings):
        """Return the untrained module of the given settings."""

    @abstractmethod
    def _codes_to_keep(self, module, X):
        """Return the `KeptCodes` of rows X."""

    # -- training --------------------------------------------------------------

    @with_callbacks
    def fit(self, X, y=None, sample_weight=None, checkpoint=None):
        """Train the network on X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows: numbers of any float or integer dtype. NaN is a missing value,
            which costs nothing; every row and every column must have a known one.
            With `image_shape` also (n_samples, channels, height, width). A DataFrame
            may have categories, see `categorical_features`.
        y : Ignored
            Not used, present for API consistency.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            How much each row counts, at least 0; None for 1 each. Weight 2 counts as
            the row twice, 0 as the row absent. Of weights that are not whole, or large
            (100 on average, and 100,000 together), only the proportions matter.
        checkpoint : str, Path or None, default=None
            A file in which training is written down after epochs, as often as takes no
            more than a fiftieth of the time. If it is there, training goes on from it,
            and comes out as if it had never been interrupted, to the bit. It is deleted
            when the fit is over.

        Returns
        -------
        self : object
            The fitted estimator. An error or an interrupt leaves it as it was.

        Raises
        ------
        ValueError
            If a parameter or X is invalid, or `checkpoint` is the file of a fit with
            other parameters or another X; nothing has been trained then.
        FloatingPointError
            If the loss was not finite even after a retry with a smaller step.
        MemoryError
            If training ran out of memory, that of the device included.
        """
        resume = self.warm_start and self.__sklearn_is_fitted__()
        return self._fit(
            X, y, sample_weight, resume=resume, streaming=False, checkpoint=checkpoint
        )

    @AbsentWhileStoppingEarly
    @with_callbacks
    def partial_fit(self, X, y=None, sample_weight=None):
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
        sample_weight : array-like of shape (n_samples,) or None, default=None
            How much each row counts, as in `fit`.

        Returns
        -------
        self : object
            The fitted estimator. An error or an interrupt leaves it as it was.

        Raises
        ------
        ValueError
            If `early_stopping=True`, or as in `fit`.
        """
        resume = self.__sklearn_is_fitted__()
        return self._fit(X, y, sample_weight, resume=resume, streaming=True)

    def _fit(self, X, y, sample_weight, *, resume, streaming, checkpoint=None):
        script, fitted = self.callbacks, None
        if not isinstance(script, Recall):  # or the parameters have been checked
            check_parameters(self)
            check_checkpoint(checkpoint, self)
        if isinstance(script, Rehearsal):
            script.stop(X, sample_weight)
        data = self._check_training_data(X, sample_weight, resume=resume)
        if isinstance(script, Recall):
            fitted = script.attributes(data)
        most_epochs = 0
        if fitted is None:
            journal = Journal(checkpoint, self, data)
            run = FitRun(
                self, data, resume=resume, streaming=streaming, journal=journal
            )
            most_epochs = run.most_epochs
        context = self._init_callback_context(max_subtasks=most_epochs)
        context.call_on_fit_task_begin(estimator=self, X=data.table, y=y)
        if fitted is None:
            fitted = run.train(context)
        self._warn_of(fitted)
        context.call_on_fit_task_end(
            estimator=self, X=data.table, y=y, reconstruction_attributes=fitted
        )
        self._become(fitted)
        if checkpoint is not None:
            journal.close()
        return self

    def _check_training_data(self, X, sample_weight, *, resume=False):
        """Return what `fit` was given as `TrainingData`."""
        X, weights = drop_weightless(X, check_weights(sample_weight, X))
        columns, table = self._columns_of(X, resume), X
        if columns is None:
            X, names = self._check_training_rows(X, resume)
            table = X
        else:
            X, names = self._check_training_table(X, columns, resume)
        return TrainingData(X, names, columns, table, weights)

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

    def _columns_of(self, X, resume):
        """Return the `Columns` of X if they have laws of their own, else None."""
        if resume:
            return self._columns
        laws = getattr(self, self._likelihood_parameter)
        columns = find_columns(
            X,
            self.categorical_features,
            or_else=getattr(laws, "goes_by_column", False),
        )
        if columns is not None:
            check_is_table(self, columns)
        return columns

    def _check_training_table(self, X, columns, resume):
        """Return the rows of a table as numbers, and its column names."""
        X = self._check_table(X) if resume else self._numbers_of(X, columns)
        refuse_empty_columns(X, columns.labels)
        check_support(self, X, columns.labels, columns)
        return X, columns.names

    def _objective(self):
        """Return the parameters of the loss, which may change between fits."""
        return {}

    def _fitted_attributes(self, net, X, names, seed, record):
        """Return every attribute that fitting sets."""
        module = net.module_
        rows = choose_rows(len(X), module.n_components, seed)
        attributes = {
            "net_": net,
            "n_features_in_": X.shape[1],
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
        X : ndarray of shape (n_samples, n_features) or DataFrame
            The mean of each row given its code; of categories, the most probable. A
            DataFrame like that of `fit` if that had categories.
        """
        check_is_fitted(self)
        return self._as_table(self._rows_of(Z), Z)

    def _rows_of(self, Z):
        """Return the rows that codes stand for, as numbers."""
        Z = check_codes(
            Z,
            n_components=self.n_components_,
            estimator=self,
            or_fewer=self.module_.has_prefixes,
        )
        X = _training.map_rows(self.module_, "inverse_transform", Z)
        return check_overflow(X, Z, "Z")

    def _as_table(self, rows, like=None):
        """Return rows as a table if X of `fit` was one with categories.

        With the index of `like`, where that has one.
        """
        if self._columns is None:
            return rows
        index = like.index if isinstance(like, pd.DataFrame) else None
        return self._columns.decode(rows, index)

    def reconstruct(self, X):
        """Return what is left of X after encoding and decoding.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows. Missing values are encoded as the mean of their column, and
            decoded like others.

        Returns
        -------
        X_reconstructed : ndarray of shape (n_samples, n_features) or DataFrame
            In the units of X; of categories, the most probable one. A DataFrame like
            that of `fit` if that had categories.
        """
        return self._as_table(self._map(X, "reconstruct"), X)

    def reconstruct_proba(self, X):
        """Return the probability of every category after encoding and decoding.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            Rows, as for `reconstruct`.

        Returns
        -------
        probabilities : dict of ndarray of shape (n_samples, n_categories)
            By name of the column with categories, or by its position where columns
            have no names; in the order of `categories_`.
        """
        check_is_fitted(self)
        if self.is_categorical_ is None:
            raise ValueError(
                "reconstruct_proba is about categories, but X of fit had none; see "
                "categorical_features"
            )
        entries = self._map(X, "category_probabilities")
        return self._columns.probabilities(entries, self.module_.likelihood)

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

        Notes
        -----
        The parts must be comparable where X has categories: numbers count in units of
        their standard deviation then (of what `scale` divides by), and a category by
        the squared error of its probabilities, the sum over categories of
        `(is_it - probability) ** 2` [1]_. Either is 1 or less on average where the mean
        of the column is all that is known.

        References
        ----------
        .. [1] G. Brier, "Verification of Forecasts Expressed in Terms of Probability",
           Monthly Weather Review 78, 1950.
        """
        check_is_fitted(self)
        X = self._check_rows(X)
        if self.is_categorical_ is not None:
            errors = _training.map_rows(self.module_, "rescaled_errors", X)
            errors = check_overflow(errors, X, names=self._names).astype(np.float64)
            if per_feature:
                return np.where(np.isnan(X), np.nan, errors)
            return errors.sum(axis=1)
        reconstructed = _training.map_rows(self.module_, "reconstruct", X)
        errors = np.square(
            X.astype(np.float64) - check_overflow(reconstructed, X, names=self._names)
        )
        if per_feature:
            return errors
        return np.nansum(errors, axis=1) if has_holes(X) else errors.sum(axis=1)

    def diagnose(self, X):
        """Return what is wrong with the fit, if anything is, and what to change.

        Looked for are a posterior that has collapsed, components of the code that say
        nothing, codes far from the prior, hidden layers that have died, over- and
        underfitting, training that ended too early, and columns that are unscaled or
        have heavy tails.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, best such as have not been trained on.

        Returns
        -------
        diagnosis : Diagnosis
            A list of findings, each with its name, what has been seen, the parameter to
            change and the expected effect. It prints itself, and is false if empty.

        Raises
        ------
        ValueError
            If X is not like the rows of `fit`.
        """
        check_is_fitted(self)
        numbers = self._check_rows(X)
        is_number = np.ones(numbers.shape[1], dtype=bool)
        if self.is_categorical_ is not None:
            is_number = ~self.is_categorical_
        losses, units = None, {}
        if self._kept_codes is not None:
            losses, units = _training.losses_and_constant_units(self.module_, numbers)
        title = f"{type(self).__name__} on {len(numbers)} rows"
        return diagnose(title, Evidence(self, X, numbers, is_number, losses, units))

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
        if self._columns is not None:
            return self._check_table(X)
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

    def _check_table(self, X):
        """Return a table like that of `fit` as numbers."""
        X = as_table(X)
        check_feature_names(self, X, reset=False)
        check_n_features(self, X, reset=False)
        return self._numbers_of(X, self._columns)

    def _numbers_of(self, X, columns):
        return columns.encode(X, handle_unknown=self.handle_unknown, estimator=self)

    def to_onnx(self, which="encoder"):
        """Return the fitted network as a model of ONNX, the scaling within.

        Parameters
        ----------
        which : {"encoder", "decoder", "reconstruction"}, default="encoder"
            From X to codes, as `transform`; from codes to X, as `inverse_transform`;
            or there and back, as `reconstruct`.

        Returns
        -------
        model : onnx.ModelProto
            In float32, with any number of rows: from "X" to "Z", from "Z" to
            "X_reconstructed", or from "X" to that. Missing values may be NaN. Save it
            with `onnx.save(model, "model.onnx")`.

        Raises
        ------
        ImportError
            If onnx is not installed.
        ValueError
            If X of `fit` had categories, or the network has a part that has no
            counterpart in ONNX: `RestoringMLP`, `DenoisingMLP`, some laws, or one of
            your own.

        See Also
        --------
        skae.persistence.register_onnx_converters : For whole pipelines.
        """
        check_is_fitted(self)
        if which not in ("encoder", "decoder", "reconstruction"):
            raise InvalidParameterError(
                f"which must be 'encoder', 'decoder' or 'reconstruction', got {which!r}"
            )
        return _onnx.onnx_model(self, which)

    # -- fitted state ----------------------------------------------------------

    @property
    def module_(self):
        """The fitted `nn.Module`. It never changes: training works on a copy."""
        check_is_fitted(self)
        return self.net_.module_

    @property
    def is_categorical_(self):
        """Which columns of X have categories, None if none has."""
        check_is_fitted(self)
        columns = self._columns
        if columns is None or not columns.has_categories:
            return None
        return columns.is_categorical.copy()

    @property
    def categories_(self):
        """The categories of every column of X, None for a column without."""
        check_is_fitted(self)
        if self._columns is None:
            return [None] * self.n_features_in_
        return list(self._columns.categories)

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

    def _check_stored(self, state):
        """Raise ValueError unless a state from a file is one of this estimator.

        The parameters have been set.
        """
        if is_elsewhere(self.device):
            warn(
                f"the model was saved with device={self.device!r}, which is not here; "
                "it has device='auto' now",
                stacklevel=2,
            )
            self.device = state["device"] = "auto"
        check_parameters(self)
        if check_attributes(self, state, self._stored):
            _training.check_net_state(state["_net_state"])
            self._check_kept_codes(state["_kept_codes"], state["n_components_"])
            _training.check_history(state["_history"], state["n_epochs_"])

    def _check_kept_codes(self, kept, n_components):
        if kept is None:
            return
        for codes in kept:
            if codes is not None and not (
                codes.shape == (len(kept.mean), n_components)
                and len(codes) > 0
                and np.isfinite(codes).all()
            ):
                raise ValueError("the codes of training rows are not of this network")

    def __setstate__(self, state):
        state = dict(state)
        net_state = state.pop("_net_state", None)
        if net_state is not None:
            device = str(resolve_device(state["device"]))
            state["net_"] = _training.restore_net(net_state, device)
        super().__setstate__(state)
