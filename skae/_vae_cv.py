"""A VAE whose width and beta are chosen by cross-validation."""

from inspect import signature
from numbers import Integral, Real

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from skae._sklearn import HasMethods, InvalidParameterError, validate_parameters
from skae._storage import storable
from skae._vae import VAETransformer
from skae.model_selection import GridSearchCV


@storable
class VAETransformerCV(VAETransformer):
    """A variational autoencoder that chooses the width of its code, and beta.

    As `sklearn.linear_model.LassoCV` chooses its penalty: every pair of a width and a
    beta is judged by cross-validation, and the best one trained on all rows. What is
    compared does not depend on beta: the log-density of held-out rows by importance
    weighting [1]_, or the score of another estimator on their codes. The networks of
    all pairs and folds train together, see `skae.model_selection`.

    Parameters
    ----------
    n_components : int, float, None or array-like of them, default=(2, 4, 8, 16)
        Widths to compare, each as for `VAETransformer`.
    betas : float or array-like of float, default=(0.1, 0.3, 1.0)
        Weights of the KL term to compare.
    downstream : estimator or None, default=None
        What the codes are for: a classifier, say, whose score decides. None compares
        log-densities.
    scoring : str, callable or None, default=None
        How `downstream` scores, as for `sklearn.model_selection.GridSearchCV`; None for
        its own `score`. Without `downstream` a callable of the fitted VAE, X and y.
    n_draws_of_score : int, default=100
        Draws of the importance weighting.
    cv : int, splitter, iterable or None, default=None
        How rows are split, as for `sklearn.model_selection.GridSearchCV`.
    n_jobs : int or None, default=None
        How many stacks of networks train at a time.
    architecture, likelihood, kl_warmup, free_bits, n_draws, elbo : object
        What the model is and is trained to do, as for `VAETransformer`.
    image_shape, scale, init : object
        Where it begins, as for `VAETransformer`.
    optimizer, lr, weight_decay, schedule, max_epochs, batch_size : object
        How, as for `VAETransformer`.
    early_stopping, validation_fraction, n_iter_no_change, tol, refit : object
        For how long, as for `VAETransformer`.
    device, precision, data_loader, random_state, verbose : object
        As for `VAETransformer`.
    categorical_features, handle_unknown : object
        As for `VAETransformer`.

    Attributes
    ----------
    beta_ : float
        The beta that was chosen.
    n_components_ : int
        Width of the code that was chosen.
    best_score_ : float
        Mean score of this pair on held-out rows.
    cv_results_ : dict of ndarray
        Scores of all pairs, as of `sklearn.model_selection.GridSearchCV`, whose
        parameters are called `n_components` and `beta`.
    scores_ : ndarray of shape (n_widths, n_betas, n_splits)
        The same in the order of `n_components` and `betas`.
    net_, module_, history_, loss_curve_, validation_curve_, n_epochs_, best_epoch_, \
            kl_per_component_, n_active_components_, n_features_in_, \
            feature_names_in_, is_categorical_, categories_ : object
        As for `VAETransformer`.

    See Also
    --------
    skae.model_selection.GridSearchCV : For other parameters, and for pipelines.

    References
    ----------
    .. [1] Y. Burda, R. Grosse, R. Salakhutdinov, "Importance Weighted Autoencoders",
       ICLR 2016, arXiv:1509.00519.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skae import VAETransformerCV
    >>> X = load_iris().data
    >>> vae = VAETransformerCV((1, 2), betas=(0.5, 1.0), cv=3, max_epochs=20,
    ...                        random_state=0).fit(X)
    >>> vae.scores_.shape, vae.transform(X).shape[1] == vae.n_components_
    ((2, 2, 3), True)
    """

    _parameter_constraints = {
        name: constraints
        for name, constraints in VAETransformer._parameter_constraints.items()
        if name not in ("beta", "n_components", "warm_start", "callbacks")
    } | {
        "n_components": [
            *VAETransformer._parameter_constraints["n_components"],
            "array-like",
        ],
        "betas": [*VAETransformer._parameter_constraints["beta"], "array-like"],
        "downstream": [HasMethods("fit"), None],
        "scoring": [str, callable, None],
        "n_draws_of_score": VAETransformer._parameter_constraints["n_draws"],
        "cv": ["cv_object"],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        n_components=(2, 4, 8, 16),
        *,
        betas=(0.1, 0.3, 1.0),
        downstream=None,
        scoring=None,
        n_draws_of_score=100,
        cv=None,
        n_jobs=None,
        architecture="auto",
        likelihood="calibrated",
        kl_warmup=0.0,
        free_bits=0.0,
        n_draws=1,
        elbo="analytic",
        image_shape=None,
        scale="auto",
        init="pca",
        optimizer="adamw",
        lr=4e-3,
        weight_decay=0.0,
        schedule="auto",
        max_epochs="auto",
        batch_size="auto",
        early_stopping="auto",
        validation_fraction="auto",
        n_iter_no_change="auto",
        tol=1e-4,
        refit="auto",
        device="auto",
        precision="float32",
        data_loader=None,
        random_state=None,
        verbose=0,
        categorical_features="from_dtype",
        handle_unknown="error",
    ):
        self.n_components = n_components
        self.betas = betas
        self.downstream = downstream
        self.scoring = scoring
        self.n_draws_of_score = n_draws_of_score
        self.cv = cv
        self.n_jobs = n_jobs
        self.architecture = architecture
        self.likelihood = likelihood
        self.kl_warmup = kl_warmup
        self.free_bits = free_bits
        self.n_draws = n_draws
        self.elbo = elbo
        self.image_shape = image_shape
        self.scale = scale
        self.init = init
        self.optimizer = optimizer
        self.lr = lr
        self.weight_decay = weight_decay
        self.schedule = schedule
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.refit = refit
        self.device = device
        self.precision = precision
        self.data_loader = data_loader
        self.random_state = random_state
        self.verbose = verbose
        self.categorical_features = categorical_features
        self.handle_unknown = handle_unknown

    def fit(self, X, y=None):
        """Choose width and beta by cross-validation, and train on all of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, as for `VAETransformer`.
        y : array-like of shape (n_samples,), default=None
            What `downstream` predicts.

        Returns
        -------
        self : object
            The fitted estimator. An error or an interrupt leaves it as it was.
        """
        validate_parameters(self)
        self._check_values()
        vae = VAETransformer(
            **{name: getattr(self, name) for name in self._shared_parameters()}
        )
        vae._check_training_data(X, None)  # before rows are split, which takes longer
        model, prefix = vae, ""
        if self.downstream is not None:
            model = Pipeline([("vae", vae), ("downstream", self.downstream)])
            prefix = "vae__"
        values = {"beta": listed(self.betas), "n_components": listed(self.n_components)}
        scoring = self.scoring
        if scoring is None and self.downstream is None:
            scoring = LogLikelihood(self.n_draws_of_score)
        search = GridSearchCV(
            model,
            {prefix + name: each for name, each in values.items()},
            scoring=scoring,
            cv=self.cv,
            n_jobs=self.n_jobs,
            refit=False,
            error_score="raise",
        ).fit(X, y)
        results = {
            name.replace(f"param_{prefix}", "param_"): column
            for name, column in search.cv_results_.items()
        }
        params = [
            {name.removeprefix(prefix): value for name, value in candidate.items()}
            for candidate in results["params"]
        ]
        best = search.best_index_
        chosen = clone(vae).set_params(**params[best]).fit(X)
        fitted = {k: v for k, v in vars(chosen).items() if k not in chosen.get_params()}
        names = [f"split{i}_test_score" for i in range(search.n_splits_)]
        scores = np.stack([results[name] for name in names], axis=-1)
        # the grid has its names in order, and the last one changes fastest
        by_beta = scores.reshape(len(values["beta"]), -1, len(names))
        self._become(
            fitted
            | {
                "beta_": params[best]["beta"],
                "best_score_": float(results["mean_test_score"][best]),
                "cv_results_": results | {"params": params},
                "scores_": by_beta.swapaxes(0, 1),
            }
        )
        return self

    @property
    def _stored(self):
        return (*super()._stored, "beta_", "best_score_", "cv_results_", "scores_")

    def _check_values(self):
        """Raise unless there is something to choose from, and a way to."""
        for name in ("n_components", "betas"):
            if not listed(getattr(self, name)):
                raise InvalidParameterError(
                    f"The {name!r} parameter of {type(self).__name__} must name at "
                    f"least one value. Got {getattr(self, name)!r} instead."
                )
        if self.downstream is None and isinstance(self.scoring, str):
            raise ValueError(
                f"scoring={self.scoring!r} is a score of predictions, but "
                "downstream=None predicts nothing; pass the estimator that does, or "
                "leave scoring out to compare log-densities"
            )

    @classmethod
    def _shared_parameters(cls):
        """Return the names of parameters that are those of `VAETransformer`."""
        own, theirs = (
            set(signature(c).parameters) - {"n_components"}
            for c in (cls, VAETransformer)
        )
        return sorted(own & theirs)

    @property
    def partial_fit(self):
        """Not there: what is chosen needs all rows at once."""
        raise AttributeError(
            f"{type(self).__name__} has no partial_fit; use VAETransformer"
        )


def listed(values):
    """Return one value or several as a list."""
    one = values is None or isinstance(values, Real)
    return [values] if one else list(values)


@storable
class LogLikelihood:
    """Score a VAE by the log-density of rows, in nats per row.

    Parameters
    ----------
    n_draws : int
        Draws of the importance weighting.
    """

    def __init__(self, n_draws):
        self.n_draws = n_draws

    def __call__(self, vae, X, y=None):
        """Return the mean of `vae.log_likelihood(X)`."""
        return float(vae.log_likelihood(X, self.n_draws).mean(dtype=np.float64))
