"""The variational autoencoder as a scikit-learn transformer."""

from warnings import warn

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from skae import _modules, _training
from skae._base import BaseAutoencoder
from skae._code_density import KeptCodes
from skae._diagnosis import ACTIVE_VARIANCE, COLLAPSED_SHARE
from skae._parameters import check_support
from skae._random import Rng, draw_seed
from skae._sklearn import Integral, Interval, Real, StrOptions
from skae._storage import storable
from skae._validation import check_count, check_overflow
from skae._weights import check_weights, drop_weightless
from skae.likelihoods import (
    Bernoulli,
    Calibrated,
    Gaussian,
    Laplace,
    Likelihood,
    PerColumn,
)

LIKELIHOODS = {
    "calibrated": Calibrated(),
    "gaussian": Gaussian(),
    "laplace": Laplace(),
    "bernoulli": Bernoulli(),
}

# Draws from the posterior behind `score_samples`.
N_SCORING_DRAWS = 64

# Rows whose posterior is described at once.
ROWS_AT_ONCE = 8192


@storable
class VAETransformer(BaseAutoencoder):
    r"""Encode rows as distributions with a variational autoencoder.

    The encoder maps a row to a normal posterior :math:`q(z | x)`, the decoder maps a
    code to a law :math:`p(x | z)`, and training maximises the evidence lower bound
    [1]_

    .. math:: E_{q(z|x)} \log p(x | z) - \beta \, KL(q(z | x) \| N(0, I))

    in nats per row, summed over features and components. It starts as probabilistic
    PCA, whose bound is tight.

    Parameters
    ----------
    n_components : int, float or None, default=None
        Width of the code. A float in (0, 1) takes the size at which PCA explains
        that share of the variance (in the scaled columns); None takes 0.95 and at
        most 64.
    architecture : {"auto", "conv", "mlp"} or Architecture, default="auto"
        The networks beside the linear paths: "mlp" is `MLP()`, "conv" is `Conv()`.
        "auto" is "conv" where `image_shape` is given, else "mlp".
    likelihood : {"calibrated", "gaussian", "laplace", "bernoulli"}, Likelihood \
            or PerColumn, default="calibrated"
        The law of a row given its code. "gaussian" and "laplace" learn one scale for
        all features. "calibrated" trains the networks like "gaussian", and describes
        what they leave by a Student t law of each column, to score and sample by.
        "bernoulli" needs X in [0, 1]. It is the law of columns of numbers; categories
        have their own. `PerColumn` has laws by name.
    beta : float, default=1.0
        Weight of the KL term [2]_; 0 is an autoencoder with noise in its code.
    kl_warmup : float, default=0.0
        Share of the training steps in which beta rises linearly from 0, in [0, 1].
        Early stopping does not count epochs before it is over.
    free_bits : float, default=0.0
        Nats per component that the KL term does not charge for [3]_.
    n_draws : int, default=1
        Draws from the posterior of each row in a training step.
    elbo : {"analytic", "monte_carlo", "importance_weighted"}, default="analytic"
        The bound on :math:`\log p(x)` to maximise. "analytic" has the KL term in
        closed form, "monte_carlo" estimates it as :math:`\log q(z|x) - \log p(z)` at
        the draws: the same in expectation, and noisier. "importance_weighted" is
        :math:`E \log \frac{1}{K} \sum_k p(x, z_k) / q(z_k | x)` of the K `n_draws`
        [4]_, with doubly reparameterised gradients [5]_: tighter the more draws there
        are, and for `log_likelihood`, while `score` stays the ELBO.
    image_shape : tuple of int or None, default=None
        (channels, height, width) of the image in a row.
    scale : {"auto", "standard", "global"} or None, default="auto"
        How columns are scaled inside; undone by `inverse_transform` and accounted
        for in every log-likelihood. "standard" centres each column and divides it by
        its standard deviation; "global" centres each column and divides all by one
        common scale, as suits pixels. "auto" is "global" for images and when the
        ranges of the columns differ little (standard deviation at most 0.6 of their
        mean), None for "bernoulli", else "standard". Numbers beside categories, or
        with laws `PerColumn`, are scaled where their law allows it; "auto" is
        "standard" then.
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
    kl_per_component_ : ndarray of shape (n_components_,)
        Mean KL term of each component over the rows of the last fit, in nats.
    n_active_components_ : int
        How many posterior means vary by more than 0.01 over those rows [4]_.
    net_ : skorch.NeuralNet
        The fitted net, for experts.
    module_ : torch.nn.Module
        Its module.
    history_ : pandas.DataFrame
        One row an epoch: losses and their terms on training and validation rows in
        nats per row, beta in force, step size, seconds. Epoch 0 is the start. A refit
        is not part of it.
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
    AutoencoderTransformer : The plain autoencoder.
    sklearn.decomposition.PCA : Where training starts; its `score` is in the same unit.

    References
    ----------
    .. [1] D. Kingma, M. Welling, "Auto-Encoding Variational Bayes", ICLR 2014,
       arXiv:1312.6114.
    .. [2] I. Higgins et al., "beta-VAE: Learning Basic Visual Concepts with a
       Constrained Variational Framework", ICLR 2017.
    .. [3] D. Kingma et al., "Improving Variational Inference with Inverse
       Autoregressive Flow", NeurIPS 2016, arXiv:1606.04934.
    .. [4] Y. Burda, R. Grosse, R. Salakhutdinov, "Importance Weighted Autoencoders",
       ICLR 2016, arXiv:1509.00519.
    .. [5] G. Tucker, D. Lawson, S. Gu, C. Maddison, "Doubly Reparameterized Gradient
       Estimators for Monte Carlo Objectives", ICLR 2019, arXiv:1810.04152.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skae import VAETransformer
    >>> X = load_iris().data
    >>> vae = VAETransformer(n_components=2, max_epochs=50, random_state=0).fit(X)
    >>> mean, std = vae.encode_distribution(X)
    >>> mean.shape, std.shape, vae.sample(3, random_state=0).shape
    ((150, 2), (150, 2), (3, 4))
    """

    _likelihoods = LIKELIHOODS
    _likelihood_parameter = "likelihood"
    _code_densities = ("prior", "aggregate", "mixture")

    _parameter_constraints = BaseAutoencoder._parameter_constraints | {
        "likelihood": [StrOptions(set(LIKELIHOODS)), Likelihood, PerColumn],
        "beta": [Interval(Real, 0, None, closed="left")],
        "kl_warmup": [Interval(Real, 0, 1, closed="both")],
        "free_bits": [Interval(Real, 0, None, closed="left")],
        "n_draws": [Interval(Integral, 1, None, closed="left")],
        "elbo": [StrOptions({"analytic", "monte_carlo", "importance_weighted"})],
    }

    def __init__(
        self,
        n_components=None,
        *,
        architecture="auto",
        likelihood="calibrated",
        beta=1.0,
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
        self.likelihood = likelihood
        self.beta = beta
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
        return _modules.VAEModule(**self._objective(), **settings)

    def _objective(self):
        """Return the parameters of the loss, which may change between fits."""
        return {
            "beta": float(self.beta),
            "free_bits": float(self.free_bits),
            "n_draws": self.n_draws,
            "elbo": self.elbo,
        }

    _stored = (*BaseAutoencoder._stored, "kl_per_component_", "n_active_components_")

    def _fitted_attributes(self, net, X, names, seed, record):
        """Return every attribute that fitting sets, the active components too."""
        attributes = super()._fitted_attributes(net, X, names, seed, record)
        kl, variance = describe_posterior(net.module_, X)
        return attributes | {
            "kl_per_component_": kl,
            "n_active_components_": int((variance > ACTIVE_VARIANCE).sum()),
        }

    def _warn_of(self, attributes):
        """Warn of a posterior that has collapsed to the prior."""
        n_active = attributes["n_active_components_"]
        n = attributes["n_components_"]
        if n_active < max(1, COLLAPSED_SHARE * n):
            free_bits = f" or free_bits (now {self.free_bits:g})"
            if self.elbo == "importance_weighted":  # has none
                free_bits = ""
            warn(
                f"the posterior has collapsed: {n_active} of {n} components are "
                "active, the others carry no information on X. Lower beta (now "
                f"{self.beta:g}), or raise kl_warmup (now {self.kl_warmup:g})"
                f"{free_bits}, or ask for fewer n_components",
                ConvergenceWarning,
                stacklevel=5,  # the line that calls fit
            )

    # -- the posterior ---------------------------------------------------------

    def encode_distribution(self, X):
        """Return mean and standard deviation of the posterior of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        mean, std : ndarray of shape (n_samples, n_components_)
            Of the independent normal laws of the components; `mean` is what
            `transform` returns. The prior's `std` is 1, and none is above e = 2.72.
        """
        return self._map(X, "encode_distribution")

    def sample_posterior(self, X, n_draws=1, random_state=None):
        """Return codes drawn from the posterior of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        n_draws : int, default=1
            Draws for each row.
        random_state : int, RandomState or None, default=None
            Source of the draws.

        Returns
        -------
        Z : ndarray of shape (n_draws, n_samples, n_components_)
            One code matrix a draw.
        """
        check_count("n_draws", n_draws)
        mean, std = self.encode_distribution(X)
        noise = np.random.RandomState(draw_seed(random_state))
        draws = noise.standard_normal((n_draws, *mean.shape)).astype(mean.dtype)
        return mean + std * draws

    # -- the density -----------------------------------------------------------

    def score_samples(self, X):
        """Return the ELBO of each row at beta 1, in nats, in the units of X.

        A lower bound of the row's log-density, whatever beta the model was trained
        with; of a row with missing values, that of the known ones [1]_. The
        expectation over the posterior is a mean over 64 draws in balanced pairs that
        are the same for every row and call; it is exact for a linear decoder.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        elbo : ndarray of shape (n_samples,)
            In nats.

        References
        ----------
        .. [1] P.-A. Mattei, J. Frellsen, "MIWAE: Deep Generative Modelling and
           Imputation of Incomplete Data Sets", ICML 2019, arXiv:1812.02633.
        """
        check_is_fitted(self)
        rng = Rng(self._seed)
        noise = _modules.balanced_normal(N_SCORING_DRAWS, self.n_components_, rng)
        return self._density(X, "elbo", noise, n_draws=N_SCORING_DRAWS)

    def score(self, X, y=None, sample_weight=None):
        """Return the mean ELBO of X at beta 1, in nats per row, in the units of X.

        Comparable with `sklearn.decomposition.PCA.score`, which is a log-likelihood
        in the same unit, and between models of any beta.

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
        elbo : float
            In nats per row.
        """
        elbo = self.score_samples(X)
        if sample_weight is None:
            return float(elbo.mean(dtype=np.float64))
        elbo, weights = drop_weightless(elbo, check_weights(sample_weight, elbo))
        return float(np.average(elbo, weights=weights))

    def log_likelihood(self, X, n_draws=100):
        """Return the importance-weighted estimate of each row's log-density.

        In expectation it lies between the ELBO and the log-density, and rises to the
        latter with the number of draws (Burda et al. 2016).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        n_draws : int, default=100
            Draws from the posterior, in blocks of bounded memory. The same for every
            row and call.

        Returns
        -------
        log_likelihood : ndarray of shape (n_samples,)
            In nats, in the units of X.
        """
        check_is_fitted(self)
        check_count("n_draws", n_draws)
        return self._density(X, "log_likelihood", n_draws, self._seed, n_draws=n_draws)

    def _density(self, X, method, *args, n_draws):
        """Check X against the support, and map a method that decodes many draws."""
        X = self._check_rows(X)
        check_support(self, X, self._names, self._columns)
        cells = min(n_draws, N_SCORING_DRAWS) * self.module_.widest_layer
        result = _training.map_rows(self.module_, method, X, *args, cells_per_row=cells)
        return check_overflow(result, X, names=self._names)

    def sample(self, n_samples=1, random_state=None, density="prior", temperature=1.0):
        """Return new rows drawn from the model, in the units of X.

        A code is drawn from the prior N(0, I), and a row from p(x | z), noise
        included; for rows without noise decode codes with `inverse_transform`.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.
        random_state : int, RandomState or None, default=None
            Source of the draws.
        density : {"prior", "aggregate", "mixture"}, default="prior"
            The law of codes, see `sample_codes`.
        temperature : float, default=1.0
            Factor of the standard deviations of that law, not of p(x | z).

        Returns
        -------
        X : ndarray of shape (n_samples, n_features_in_) or DataFrame
            New rows, float64; a DataFrame like that of `fit` if that had categories.
        """
        seed = draw_seed(random_state)
        codes = self.sample_codes(n_samples, seed, density, temperature)
        rows = _training.map_rows(self.module_, "sample", codes, Rng(seed))
        return self._as_table(rows)

    def _codes_to_keep(self, module, X):
        posterior = _training.map_rows(module, "encode_distribution", X)
        return KeptCodes(*(part.astype(np.float32) for part in posterior))

    def _middle_of_codes(self):
        return np.zeros(self.n_components_)  # of the prior


def describe_posterior(module, X):
    """Return the mean KL term and the variance of posterior means, by component.

    Both are (n_components,). Nothing as long as X is kept.
    """
    totals = np.zeros((3, module.n_components))
    for start in range(0, len(X), ROWS_AT_ONCE):
        rows = X[start : start + ROWS_AT_ONCE]
        mean, kl = _training.map_rows(module, "mean_and_kl", rows)
        parts = (kl, mean, np.square(mean, dtype=np.float64))
        totals += [part.sum(axis=0, dtype=np.float64) for part in parts]
    kl, mean, square = totals / len(X)
    return kl, square - np.square(mean)
