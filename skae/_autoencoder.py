"""The autoencoder as a scikit-learn transformer."""

from numbers import Real

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from skae import _modules, _training
from skae._base import BaseAutoencoder
from skae._code_density import KeptCodes
from skae._sklearn import Integral, InvalidParameterError, StrOptions
from skae._storage import storable
from skae._validation import check_overflow
from skae._weights import check_weights, drop_weightless
from skae.corruptions import Corruption
from skae.corruptions._chain import as_corruption
from skae.likelihoods import Bernoulli, Gaussian, Laplace, Likelihood, PerColumn
from skae.penalties import Penalty

LOSSES = {
    "squared_error": Gaussian(scale=1.0),
    "absolute_error": Laplace(scale=1.0),
    "binary_cross_entropy": Bernoulli(),
}


@storable
class AutoencoderTransformer(BaseAutoencoder):
    """Compress rows to a few components with an autoencoder.

    An encoder network maps a row to its code, a mirrored decoder maps the code back,
    and both are trained together to lose as little as possible [1]_. Beside either
    network runs a linear path that starts as PCA, so training starts from PCA's
    reconstruction and keeps only what improves held-out rows.

    Parameters
    ----------
    n_components : int, float or None, default=None
        Width of the code. A float in (0, 1) takes the size at which PCA explains
        that share of the variance (in the scaled columns); None takes 0.95 and at
        most 64.
    architecture : {"auto", "conv", "mlp"} or Architecture, default="auto"
        The networks beside the linear paths: "mlp" is `MLP()`, "conv" is `Conv()`.
        "auto" is "conv" where `image_shape` is given, else "mlp". With `UNet()`,
        `RestoringMLP()` and `DenoisingMLP()`, which have no bottleneck, codes are the
        restored rows.
    loss : {"squared_error", "absolute_error", "binary_cross_entropy"}, Likelihood \
            or PerColumn, default="squared_error"
        What a reconstruction error costs, in nats: the negative log-likelihood of
        the normal or Laplace law of scale 1 in network space, or of the Bernoulli
        law on logits, for which X must lie in [0, 1]. It is the law of columns of
        numbers; a category costs its cross-entropy. `PerColumn` has laws by name.
    corruption : Corruption, callable, list or None, default=None
        What spoils the rows that the encoder sees in training, while the loss
        compares with the clean ones: a class of `skae.corruptions`, a callable
        `(X, rng) -> X` of ndarrays, or a list of those to go through in turn. It
        makes a denoising autoencoder [2]_: `reconstruct` restores what is spoilt so.
    ordered : bool, default=False
        Whether the first components of a code are a code: `inverse_transform` takes any
        number of them, and one fit has every size up to `n_components_`, each with a
        decoder of its own. A float `n_components` is a share of the variance that the
        trained network explains then. For `loss="squared_error"`, tables of numbers or
        images, and no penalty. See "One fit, every size" in the user guide for how a
        size compares with a network of that size alone.
    penalty : Penalty or None, default=None
        What codes cost beside the reconstruction, `Sparse()` or `Contractive()` of
        `skae.penalties`.
    image_shape : tuple of int or None, default=None
        (channels, height, width) of the image in a row.
    scale : {"auto", "standard", "global"} or None, default="auto"
        How columns are scaled inside; undone by `inverse_transform`. "standard"
        centres each column and divides it by its standard deviation; "global"
        centres each column and divides all by one common scale, as suits pixels.
        "auto" is "global" for images and when the ranges of the columns differ little
        (standard deviation at most 0.6 of their mean), None for
        "binary_cross_entropy", else "standard". Numbers beside categories, or with laws
        `PerColumn`, are scaled where their law allows it; "auto" is "standard" then.
    init : {"pca", "random"}, default="pca"
        Where training starts.
    optimizer : str, type or partial, default="adamw"
        Name or class of a `torch.optim` optimiser, or a `functools.partial` of one.
    lr : float, default=4e-3
        Step size; with `schedule="auto"` the highest one.
    weight_decay : float, default=0.0
        Weight decay of the optimiser.
    schedule : {"auto", "constant"}, default="auto"
        "auto" lets the step size rise and fall to zero over `max_epochs`, adds noise
        to the input that falls with it, shortens unusually long gradients, and
        averages the weights. "constant" does nothing of the kind, as suits
        `callbacks` that set the step size.
    max_epochs : int or "auto", default="auto"
        Most passes over the training rows; "auto" makes about 10,000 steps of them,
        in 100 to 600 passes, but at most 25,000 steps.
    batch_size : int or "auto", default="auto"
        Most rows of a batch; "auto" is a sixteenth of the training rows, between 16
        and 256.
    early_stopping : bool or "auto", default="auto"
        Whether to hold rows out, keep the weights of the best epoch on them, and
        stop when they stop improving. "auto" does so when at least 5 rows would be
        held out.
    validation_fraction : float or "auto", default="auto"
        Share of rows to hold out; "auto" holds out a tenth, but at least 64 rows or a
        third of a small table, and at most 2,000.
    n_iter_no_change : int or "auto", default="auto"
        Epochs without improvement after which training stops; "auto" is a third of
        `max_epochs`, and at least 10.
    tol : float, default=1e-4
        Smallest improvement that counts, in nats per row.
    refit : bool or "auto", default="auto"
        Whether to train again from the start, on all rows and up to the epoch that
        was best on held-out ones. "auto" does so for at most 10,000 rows.
    warm_start : bool, default=False
        Whether `fit` goes on from the last fit: its scaling, weights and optimiser.
    device : str, default="auto"
        "auto" (CUDA if there is one), "cpu", "cuda" or "cuda:N".
    precision : {"float32", "bf16"}, default="float32"
        Arithmetic of training; "bf16" computes the networks in bfloat16 where torch
        holds that to be safe. Inference has the precision of X.
    data_loader : type, partial or None, default=None
        None gathers batches from X in memory, or in a memory map. For rows that are
        slow to come by, `torch.utils.data.DataLoader` or a `functools.partial` of it,
        with `num_workers` say: the same batches, fetched ahead.
    random_state : int, RandomState or None, default=None
        Source of all randomness. With an int, fits on the same machine with the same
        number of threads agree to the bit; None draws one number from numpy's
        global generator, as everywhere in scikit-learn.
    verbose : int, default=0
        1 prints a line that tells epochs, losses and the seconds left, written over
        as training goes on; 2 prints a line each epoch.
    callbacks : list of skorch callbacks or None, default=None
        Called in training, on copies; not part of a pickle.
    categorical_features : array-like of {bool, int, str}, "from_dtype" or None, \
            default="from_dtype"
        Which columns have categories: a mask, positions, or names. "from_dtype" takes
        the columns of a DataFrame whose dtype says so, "category" of pandas,
        Categorical and Enum of polars, and bools beside them. What is named may be
        strings, bools or numbers. None of these values is known to stand for a number:
        the network sees one entry for each category.
    handle_unknown : {"error", "ignore"}, default="error"
        What to do with a category that `fit` has not seen. "ignore" treats it as
        missing.

    Attributes
    ----------
    n_components_ : int
        Width of the code.
    explained_variance_ratio_ : ndarray of shape (n_components_,)
        Only with `ordered=True`: the share of the variance of the training rows, in
        the scaled columns, that each component explains on top of those before it. The
        sum is `score` of these rows.
    net_ : skorch.NeuralNet
        The fitted net, for experts.
    module_ : torch.nn.Module
        Its module.
    history_ : pandas.DataFrame
        One row an epoch: losses and their terms on training and validation rows in
        nats per row, step size, seconds. Epoch 0 is the start. A refit is not part of
        it.
    loss_curve_, validation_curve_ : ndarray of shape (n_epochs_,)
        Two columns of it; `validation_curve_` is None without held-out rows.
    n_epochs_, best_epoch_ : int
        How many epochs there were, and which one's weights were kept.
    n_features_in_ : int
        Number of columns seen in fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, if they have any.
    is_categorical_ : ndarray of bool of shape (n_features_in_,) or None
        Which of them have categories; None if none has.
    categories_ : list of ndarray
        Their categories, None for a column of numbers.

    See Also
    --------
    VAETransformer : Gives a distribution over codes and a density over rows.
    sklearn.decomposition.PCA : Where training starts.

    References
    ----------
    .. [1] G. Hinton, R. Salakhutdinov, "Reducing the Dimensionality of Data with
       Neural Networks", Science 313, 2006, doi:10.1126/science.1127647.
    .. [2] P. Vincent, H. Larochelle, Y. Bengio, P.-A. Manzagol, "Extracting and
       Composing Robust Features with Denoising Autoencoders", ICML 2008,
       doi:10.1145/1390156.1390294.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skae import AutoencoderTransformer
    >>> X = load_iris().data
    >>> ae = AutoencoderTransformer(n_components=2, random_state=0).fit(X)
    >>> ae.transform(X).shape
    (150, 2)
    >>> bool(ae.score(X) > 0.95)
    True
    """

    _likelihoods = LOSSES
    _likelihood_parameter = "loss"
    _code_densities = ("mixture",)
    _needs_bottleneck = False

    _parameter_constraints = BaseAutoencoder._parameter_constraints | {
        "loss": [StrOptions(set(LOSSES)), Likelihood, PerColumn],
        "corruption": [Corruption, callable, list, tuple, None],
        "ordered": ["boolean"],
        "penalty": [Penalty, None],
    }

    def __init__(
        self,
        n_components=None,
        *,
        architecture="auto",
        loss="squared_error",
        corruption=None,
        ordered=False,
        penalty=None,
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
        warm_start=False,
        device="auto",
        precision="float32",
        data_loader=None,
        random_state=None,
        verbose=0,
        callbacks=None,
        categorical_features="from_dtype",
        handle_unknown="error",
    ):
        self.n_components = n_components
        self.architecture = architecture
        self.loss = loss
        self.corruption = corruption
        self.ordered = ordered
        self.penalty = penalty
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
        self.warm_start = warm_start
        self.device = device
        self.precision = precision
        self.data_loader = data_loader
        self.random_state = random_state
        self.verbose = verbose
        self.callbacks = callbacks
        self.categorical_features = categorical_features
        self.handle_unknown = handle_unknown

    def _make_module(self, **settings):
        architecture = settings["architecture"]
        if architecture.is_told_noise:
            return _modules.DenoisingModule(**self._objective(), **settings)
        if architecture.is_shown_holes:
            return _modules.FillingModule(**self._objective(), **settings)
        if not architecture.has_bottleneck:
            return _modules.RestoringModule(**self._objective(), **settings)
        if self.ordered:
            return _modules.OrderedModule(**self._objective(), **settings)
        if self.penalty is None:
            return _modules.AutoencoderModule(**self._objective(), **settings)
        return _modules.PenalisedModule(**self._objective(), **settings)

    def _objective(self):
        """Return the parameters of the loss, which may change between fits."""
        objective = {"corruption": as_corruption(clone(self.corruption, safe=False))}
        if self.penalty is not None:
            objective["penalty"] = clone(self.penalty)
        return objective

    def _fitted_attributes(self, net, X, names, seed, record):
        """Return every attribute that fitting sets; of ordered codes, their shares."""
        if not self.ordered:
            return super()._fitted_attributes(net, X, names, seed, record)
        explained = self._share_explained_by_sizes(net.module_, X)
        share = self.n_components
        if share is not None and not isinstance(share, Integral):
            enough = np.flatnonzero(explained >= share)
            if enough.size and enough[0] + 1 < len(explained):
                net = net.with_module(net.module_.narrowed(int(enough[0]) + 1))
        attributes = super()._fitted_attributes(net, X, names, seed, record)
        explained = explained[: net.module_.n_components]
        ratio = np.diff(explained, prepend=0.0)
        return attributes | {"explained_variance_ratio_": ratio}

    @property
    def _stored(self):
        own = ("explained_variance_ratio_",) if self.ordered else ()
        return super()._stored + own

    def _share_explained_by_sizes(self, module, X):
        """Return `score` of rows X by their first 1, 2, ... components."""
        cells = module.widest_layer * module.n_components
        errors = _training.map_rows(module, "errors_of_sizes", X, cells_per_row=cells)
        statistics = _modules.column_statistics(X)
        deviations = statistics.std / module.scaler.scale.cpu().numpy()
        variances = np.square(deviations) * statistics.n_known
        return np.array([_share_explained(e, variances, None) for e in errors.T])

    def _codes_to_keep(self, module, X):
        if not module.architecture.has_bottleneck:
            return None
        codes = _training.map_rows(module, "transform", X)
        return KeptCodes(codes.astype(np.float32))

    def sample(self, n_samples=1, random_state=None, temperature=1.0):
        """Return new rows, decoded from codes that are like those of training rows.

        The codes are drawn from a mixture of normal laws, see `sample_codes`.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.
        random_state : int, RandomState or None, default=None
            Source of the draws.
        temperature : float, default=1.0
            Factor of the standard deviations of these laws: below 1 rows are more
            typical and differ less.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features_in_) or DataFrame
            New rows, float64, in the units of X; a DataFrame like that of `fit` if that
            had categories.
        """
        codes = self.sample_codes(n_samples, random_state, temperature=temperature)
        return self.inverse_transform(codes)

    def reconstruct(self, X, noise=None):
        """Return what is left of X after encoding and decoding.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows. Missing values are encoded as the mean of their column, and
            decoded like others.
        noise : float or None, default=None
            For an architecture that is told how strong the noise is that it takes off,
            `DenoisingMLP`: its standard deviation, in units of the scaled columns.
            None is the lowest of the architecture.

        Returns
        -------
        X_reconstructed : ndarray of shape (n_samples, n_features)
            In the units of X.
        """
        if noise is None:
            return super().reconstruct(X)
        check_is_fitted(self)
        architecture = self.module_.architecture
        if not architecture.is_told_noise:
            raise ValueError(
                f"noise={noise!r}, but architecture={architecture!r} is not told how "
                "strong the noise is; leave noise at None, or use "
                "skae.architectures.DenoisingMLP()"
            )
        if not (isinstance(noise, Real) and 0 < noise < np.inf):
            raise InvalidParameterError(
                f"noise must be a positive float, got {noise!r}"
            )
        return self._map(X, "denoise", float(noise))

    def score_samples(self, X):
        """Return minus the squared reconstruction error of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        score : ndarray of shape (n_samples,)
            In the squared units of X; higher is more like the training rows. A row's
            missing values are not part of its score. Of tables with categories see the
            notes of `reconstruction_error`.
        """
        return -self.reconstruction_error(X)

    def score(self, X, y=None, sample_weight=None):
        """Return the share of the variance of X that the code explains.

        One minus the squared reconstruction error over the squared deviation from
        the column means, both in the model's own scaling, so that a column's unit of
        measure does not decide how much it counts. PCA's explained variance ratio,
        on scaled columns, is the same quantity. Categories count as their one-hot
        codes do, missing values for nothing.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : Ignored
            Not used, present for API consistency.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            How often each row counts: 2 as if it was there twice, 0 as if it was not.

        Returns
        -------
        score : float
            At most 1. If X does not vary, 1 for a perfect reconstruction, else 0.
        """
        check_is_fitted(self)
        X = self._check_rows(X)
        X, weights = drop_weightless(X, check_weights(sample_weight, X))
        errors = _training.map_rows(self.module_, "rescaled_errors", X)
        errors = check_overflow(errors, X, names=self._names)
        if self._columns is not None:
            return self._share_explained_of_table(X, errors, weights)
        scale = self.module_.scaler.scale.cpu().numpy()
        statistics = _modules.column_statistics(X, weights=weights)
        deviations = statistics.std / scale
        variances = np.square(deviations)
        return _share_explained(errors, variances * statistics.n_known, weights)

    def _share_explained_of_table(self, X, errors, weights):
        """Return the same of columns with laws of their own, by their entries."""
        module = self.module_
        layout = _modules.Layout(module.likelihood)  # on the CPU
        rows = _modules.ExpandedRows(X, layout)
        statistics = _modules.column_statistics(rows, weights=weights)
        deviations = statistics.std / module.scaler.scale.cpu().numpy()
        variances = np.square(deviations) * layout.weights.numpy()
        return _share_explained(errors, variances * statistics.n_known, weights)


def _share_explained(errors, variances, weights):
    """Return one minus the error over the variance, both summed over rows."""
    if weights is not None:
        errors = weights @ errors
    error, variance = errors.sum(dtype=np.float64), variances.sum()
    if variance == 0:
        return 1.0 if np.isclose(error, 0.0) else 0.0
    return float(1 - error / variance)
