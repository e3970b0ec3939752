"""The networks and loops that speed.py puts beside skae, and skae itself.

"Tight" is the loop that an expert would write by hand: rows gathered by `index_select`,
Adam in one fused call, no number read before the end. It trains the network of skae, a
linear path beside each half included, from the weights and on the batches and noise of
skae with `init="random"`, so that both end at the same loss; "plain" leaves the linear
paths out. "Bare
products" are the matrix products of that network alone, forward and backward, as often
as the fit needs them. All others train the plain network; MLPRegressor puts a ReLU on
the code too.
"""

import math
import warnings
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from skorch import NeuralNet, NeuralNetRegressor
from torch import nn
from torch.nn.functional import mse_loss
from torch.utils.data import DataLoader, TensorDataset

from skae import AutoencoderTransformer, VAETransformer
from skae.architectures import MLP
from skae.likelihoods import Gaussian

# "skae" starts at PCA, as it does by default.
SKAE, SKAE_RANDOM = "skae", 'skae, init="random"'
TIGHT, TIGHT_PLAIN = "tight loop", "tight loop, plain network"
PRODUCTS, PRODUCTS_PLAIN = "bare products", "bare products, plain network"
LOADER, SKORCH, SKLEARN = "DataLoader loop", "skorch default", "MLPRegressor"

# Contenders of `transform`; skorch has `predict` alone, which encodes and decodes.
SKAE_BOTH, PCA_NAME, SKORCH_PREDICT = "skae, there and back", "PCA", "skorch predict"


# -- networks --------------------------------------------------------------------------


class LinearPath(nn.Module):
    """The sum of a linear map and a network: a half of skae's networks."""

    def __init__(self, sizes, network):
        super().__init__()
        self.linear = nn.Linear(sizes[0], sizes[-1])  # with the bias of both
        self.network = network

    def forward(self, X):
        return self.linear(X) + self.network(X)


class Autoencoder(nn.Module):
    """An encoder, and a decoder of its codes."""

    def __init__(self, encoder, decoder):
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def forward(self, X):
        return self.decoder(self.encoder(X))


class VariationalAutoencoder(Autoencoder):
    """An encoder to mean and log-variance, and a decoder of draws from them."""

    def forward(self, X):
        mean, log_var = self.encoder(X).chunk(2, dim=-1)
        noise = torch.empty_like(mean).normal_(generator=self.generator)
        Z = mean + (0.5 * log_var).exp() * noise
        return self.decoder(Z), mean, log_var


class NegativeElbo(nn.Module):
    """Half the squared error and the KL term of a row, in nats; a mean over rows."""

    def forward(self, output, X):
        reconstruction, mean, log_var = output
        squares = (reconstruction - X).square().sum(dim=-1)
        kl = (mean.square() + log_var.exp() - 1 - log_var).sum(dim=-1)
        return 0.5 * (squares + kl).mean()


def make_network(n_features, setting, *, linear_path=True, layer_norm=False):
    """Return a new network, with the weights that skae draws at `random_state=0`."""
    halves = []
    for sizes in setting.encoder_sizes(n_features), setting.decoder_sizes(n_features):
        layers = []
        for n_inputs, n_outputs in pairwise(sizes[:-1]):
            norm = [nn.LayerNorm(n_outputs)] if layer_norm else []
            layers += [nn.Linear(n_inputs, n_outputs), *norm, nn.ReLU()]
        last = nn.Linear(*sizes[-2:], bias=not linear_path)
        network = nn.Sequential(*layers, last)
        halves.append(LinearPath(sizes, network) if linear_path else network)
    kind = VariationalAutoencoder if setting.variational else Autoencoder
    network = kind(*halves)
    network.generator = skae_generator()
    draw_weights(network)
    return network


def skae_generator():
    """Return the generator that skae draws from at `random_state=0`."""
    seed = np.random.RandomState(0).randint(np.iinfo(np.int32).max)
    return torch.Generator().manual_seed(int(seed))


def draw_weights(network):
    """Draw weights as Glorot has them, those of the linear paths last, as skae does."""
    layers = [(name, m) for name, m in network.named_modules() if type(m) is nn.Linear]
    paths = [layer for name, layer in layers if name.endswith("coder.linear")]
    for layer in [*(layer for _, layer in layers if layer not in paths), *paths]:
        nn.init.xavier_uniform_(layer.weight, generator=network.generator)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def reconstruction(network, n_components):
    """Return the function that reconstructs rows; a VAE's from the posterior means."""

    @torch.no_grad()
    def reconstruct(X):
        codes = network.eval().encoder(torch.from_numpy(X))
        return network.decoder(codes[:, :n_components]).numpy()

    return reconstruct


# -- contenders: Setting -> fit; fit: X -> a function that reconstructs X, or None -----


def skae_estimator(setting, *, normalization=None, **changes):
    """Return skae's transformer of a setting."""
    architecture = MLP(setting.hidden, activation="relu", normalization=normalization)
    parameters = {
        "architecture": architecture,
        "batch_size": setting.batch_size,
        "max_epochs": setting.max_epochs,
        "schedule": "constant",  # the others take bare steps, too
        "early_stopping": False,
        "scale": None,  # the rows are standardised
        "device": "cpu",
        "optimizer": "adam",
        "lr": setting.lr,
        "random_state": 0,
        **changes,
    }
    if setting.variational:
        parameters["likelihood"] = Gaussian(scale=1.0)
        return VAETransformer(setting.n_components, **parameters)
    return AutoencoderTransformer(setting.n_components, **parameters)


def skae_fit(setting, **changes):
    """The library that all others are compared with."""
    estimator = skae_estimator(setting, **changes)

    def fit(X):
        estimator.fit(X)
        return lambda X: estimator.inverse_transform(estimator.transform(X))

    return fit


def tight_fit(setting, **parts):
    """The loop that an expert would write by hand."""
    loss_of = NegativeElbo() if setting.variational else mse_loss

    def fit(X):
        network = make_network(X.shape[1], setting, **parts)
        rows = torch.from_numpy(X)
        n_batches = math.ceil(len(rows) / setting.batch_size)
        optimizer = torch.optim.Adam(network.parameters(), lr=setting.lr, fused=True)
        for _ in range(setting.max_epochs):
            order = torch.randperm(
                len(rows), dtype=torch.int32, generator=network.generator
            )
            for numbers in order.tensor_split(n_batches):
                batch = rows.index_select(0, numbers)
                optimizer.zero_grad(set_to_none=True)
                loss_of(network(batch), batch).backward()
                optimizer.step()
        return reconstruction(network, setting.n_components)

    return fit


def loader_fit(setting):
    """As in torch's tutorials: a DataLoader, Adam as it comes, the loss added up."""
    loss_of = NegativeElbo() if setting.variational else mse_loss

    def fit(X):
        network = make_network(X.shape[1], setting, linear_path=False)
        data = TensorDataset(torch.from_numpy(X))
        loader = DataLoader(data, batch_size=setting.batch_size, shuffle=True)
        optimizer = torch.optim.Adam(network.parameters(), lr=setting.lr)
        for _ in range(setting.max_epochs):
            total = 0.0
            for (batch,) in loader:
                optimizer.zero_grad()
                loss = loss_of(network(batch), batch)
                loss.backward()
                optimizer.step()
                total += loss.item()
        return reconstruction(network, setting.n_components)

    return fit


def skorch_net(n_features, setting):
    """Return skorch's net as its documentation has it, silent, without validation."""
    kind = NeuralNet if setting.variational else NeuralNetRegressor
    return kind(
        make_network(n_features, setting, linear_path=False),
        criterion=NegativeElbo if setting.variational else nn.MSELoss,
        optimizer=torch.optim.Adam,
        lr=setting.lr,
        max_epochs=setting.max_epochs,
        batch_size=setting.batch_size,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
    )


def skorch_fit(setting):
    """The loop of the library that skae is built on, and its callbacks."""

    def fit(X):
        net = skorch_net(X.shape[1], setting).fit(X, X)
        return reconstruction(net.module_, setting.n_components)

    return fit


def sklearn_fit(setting):
    """A regression of the rows on themselves."""

    def fit(X):
        model = MLPRegressor(
            hidden_layer_sizes=(
                *setting.hidden,
                setting.n_components,
                *setting.hidden[::-1],
            ),
            activation="relu",
            alpha=0.0,
            batch_size=setting.batch_size,
            learning_rate_init=setting.lr,
            max_iter=setting.max_epochs,
            n_iter_no_change=setting.max_epochs,  # it never stops earlier
            random_state=0,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return model.fit(X, X).predict

    return fit


def products_fit(setting, *, linear_path=True):
    """The matrix products that as many steps cannot do without, in memory at hand."""

    def fit(X):
        n_rows, n_features = X.shape
        n_batches = -(-n_rows // setting.batch_size)
        products = step_products(
            round(n_rows / n_batches), weight_shapes(n_features, setting, linear_path)
        )
        for _ in range(setting.max_epochs * n_batches):
            for left, right, out in products:
                torch.mm(left, right, out=out)

    return fit


def weight_shapes(n_features, setting, linear_path):
    """Return (n_inputs, n_outputs, whether the input is X itself) of every layer."""
    encoder = setting.encoder_sizes(n_features)
    decoder = setting.decoder_sizes(n_features)
    shapes = []
    for sizes, is_encoder in ((encoder, True), (decoder, False)):
        for i, (n_inputs, n_outputs) in enumerate(pairwise(sizes)):
            shapes.append((n_inputs, n_outputs, is_encoder and i == 0))
        if linear_path:
            shapes.append((sizes[0], sizes[-1], is_encoder))
    return shapes


def step_products(n_rows, shapes):
    """Return the (left, right, out) of a step's products, as autograd has them."""
    forward, backward = [], []
    for n_inputs, n_outputs, is_first in shapes:
        A, dA = torch.randn(n_rows, n_inputs), torch.empty(n_rows, n_inputs)
        W, dW = torch.randn(n_outputs, n_inputs), torch.empty(n_outputs, n_inputs)
        B = torch.empty(n_rows, n_outputs)
        forward.append((A, W.t(), B))
        backward.append((B.t(), A, dW))
        if not is_first:  # nobody asks for the gradient of X
            backward.append((B, W, dA))
    return forward + backward[::-1]


FITS = {
    SKAE: skae_fit,
    SKAE_RANDOM: partial(skae_fit, init="random"),
    TIGHT: tight_fit,
    TIGHT_PLAIN: partial(tight_fit, linear_path=False),
    PRODUCTS: products_fit,
    PRODUCTS_PLAIN: partial(products_fit, linear_path=False),
    LOADER: loader_fit,
    SKORCH: skorch_fit,
    SKLEARN: sklearn_fit,
}
