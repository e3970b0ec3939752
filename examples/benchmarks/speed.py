"""How fast skae is beside hand-written loops, bare matrix products and other libraries.

    python examples/benchmarks/speed.py                    # all sections
    python examples/benchmarks/speed.py --sections tab,mni --peers
    python examples/benchmarks/speed.py --quick            # tiny sizes: does it run?

In every repeat all contenders of a section run once in turn, after a warm-up each; the
tables give medians over the repeats, and ratios to skae: above 1 is slower. The speed
of a shared machine drifts, and all contenders with it: trust the ratios, not the
seconds.

"Tight" is the loop that an expert would write by hand: rows gathered by `index_select`,
Adam in one fused call, no number read before the end. It trains the network of skae, a
linear path beside each half included; "plain" leaves the linear paths out. "Bare
products" are the matrix products of that network alone, forward and backward, as often
as the fit needs them. All others train the plain network; MLPRegressor puts a ReLU on
the code too. speed_peers.py tells about the other libraries.

The error is the mean squared error of the reconstructed training rows, which are
standardised: 1 is as bad as the mean row. MNIST is read from the folder named by the
environment variable SKAE_DATA, or from ../shared/data beside the repository; without
it, rows of the same shape are made up.
"""

import argparse
import gc
import json
import math
import operator
import os
import platform
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import torch
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNet, NeuralNetRegressor
from speed_peers import (
    ENCDR,
    KERAS_JAX,
    KERAS_TORCH,
    PYOD,
    PYTHAE,
    Setting,
    peers_ready,
    timed,
    timed_fit,
)
from threadpoolctl import threadpool_limits
from torch import nn
from torch.nn.functional import mse_loss
from torch.utils.data import DataLoader, TensorDataset

from skae import AutoencoderTransformer, VAETransformer
from skae.architectures import MLP
from skae.likelihoods import Gaussian

# Contenders of a fit. "skae" starts at PCA, as it does by default.
SKAE, SKAE_RANDOM = "skae", 'skae, init="random"'
TIGHT, TIGHT_PLAIN = "tight loop", "tight loop, plain network"
PRODUCTS, PRODUCTS_PLAIN = "bare products", "bare products, plain network"
LOADER, SKORCH, SKLEARN = "DataLoader loop", "skorch default", "MLPRegressor"

# Contenders of `transform`; skorch has `predict` alone, which encodes and decodes.
SKAE_BOTH, PCA_NAME, SKORCH_PREDICT = "skae, there and back", "PCA", "skorch predict"

MEGABYTE = 1e6
QUICK_ROWS = 500


@dataclass(frozen=True)
class Plan:
    """How much to measure."""

    repeats: int = 5
    peers: bool = False
    quick: bool = False

    def rows(self, n_rows):
        return min(n_rows, QUICK_ROWS) if self.quick else n_rows

    def setting(self, setting):
        return replace(setting, max_epochs=1) if self.quick else setting

    @property
    def races(self):
        """The arguments of `race`."""
        return {"n_repeats": self.repeats, "warm_up": not self.quick}


TAB = Setting((64, 32), 8, batch_size=256, max_epochs=10)
MNI = Setting((512, 256), 16, batch_size=256, max_epochs=2)
TINY = Setting((16,), 2, batch_size=32, max_epochs=100)
MEMORY = Setting((64, 32), 8, batch_size=1024, max_epochs=1)
GROWTH = Setting((64, 32), 8, batch_size=256, max_epochs=3)


# -- targets ---------------------------------------------------------------------------


class Target(NamedTuple):
    """What is asked of a ratio of two rows of a section, or of a row itself."""

    section: str
    row: str
    over: str | None
    sign: str
    limit: float


SIGNS = {"<=": operator.le, ">=": operator.ge}

# On AMD's processors the matrix products of torch leave half of AVX512's speed unused.
MNI_LIMIT, MNI_LIMIT_AMD = 0.95, 0.62

TARGETS = [
    Target("tab", SKAE, TIGHT, "<=", 0.5),
    Target("tab", SKAE, PRODUCTS, "<=", 1.7),
    Target("tab", SKORCH, SKAE, ">=", 9),
    Target("tab", PYOD, SKAE, ">=", 6),
    Target("tab", PYTHAE, SKAE, ">=", 8),
    Target("tab", ENCDR, SKAE, ">=", 8),
    Target("tab", KERAS_TORCH, SKAE, ">=", 10),
    Target("tab", KERAS_JAX, SKAE, ">=", 7),
    Target("tab", SKLEARN, SKAE, ">=", 2.5),
    Target("tab-vae", SKAE, TIGHT, "<=", 0.5),
    Target("tab-vae", SKAE, PRODUCTS, "<=", 2.0),
    Target("mni", SKAE, TIGHT, "<=", MNI_LIMIT),
    *(
        Target("mni", name, SKAE, ">=", 1.8)
        for name in (SKORCH, PYOD, PYTHAE, ENCDR, KERAS_TORCH, KERAS_JAX, SKLEARN)
    ),
    Target("module", SKAE, TIGHT, "<=", 1.05),
    Target("tiny", SKORCH, SKAE, ">=", 10),
    Target("tiny", TIGHT, SKAE, ">=", 4),
    Target("tiny", SKLEARN, SKAE, ">=", 3),
    Target("transform", f"{SKORCH_PREDICT}, float32", f"{SKAE}, float32", ">=", 25),
    Target("transform", f"{SKAE}, float32", f"{PCA_NAME}, float32", "<=", 6),
    Target("transform", f"{SKAE}, float64", f"{PCA_NAME}, float64", "<=", 6),
    Target("memory", "float32", None, "<=", 16),
    Target("memory", "float64", None, "<=", 16),
    Target("memory", "memmap", None, "<=", 16),
    Target("cold", SKAE, SKORCH, "<=", 0.7),
]


# -- rows ------------------------------------------------------------------------------


def tabular_rows(n_rows, n_features=30, n_causes=8, n_hidden=16, noise=0.1):
    """Return standardised columns, float32: nonlinear mixtures of a few causes."""
    rng = np.random.default_rng(0)
    mix = 2 * rng.standard_normal((n_causes, n_hidden), np.float32)
    bias = rng.standard_normal(n_hidden, np.float32)
    spread = rng.standard_normal((n_hidden, n_features), np.float32)
    causes = rng.standard_normal((n_rows, n_causes), np.float32)
    hidden = np.tanh(causes @ mix / math.sqrt(n_causes) + bias)  # (n_rows, n_hidden)
    X = hidden @ spread / math.sqrt(n_hidden)
    X += noise * rng.standard_normal(X.shape, np.float32)
    return StandardScaler(copy=False).fit_transform(X)


def image_rows(n_rows):
    """Return digits, pixels centred and divided by one number, and their name."""
    beside = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    path = Path(os.environ.get("SKAE_DATA", beside)) / "mnist.npz"
    if not path.is_file():
        return tabular_rows(n_rows, 784), "made-up rows"
    X = np.load(path)["X_train"][:n_rows].reshape(n_rows, -1).astype(np.float32)
    X -= X.mean(axis=0)
    return X / X.std(), "MNIST"


def iris_rows():
    """Return the 150 flowers, standardised."""
    return StandardScaler().fit_transform(load_iris().data).astype(np.float32)


# -- networks --------------------------------------------------------------------------


class LinearPath(nn.Module):
    """The sum of a linear map and a network: a half of skae's networks."""

    def __init__(self, sizes, network):
        super().__init__()
        self.linear = nn.Linear(sizes[0], sizes[-1])
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
        Z = mean + (0.5 * log_var).exp() * torch.randn_like(mean)
        return self.decoder(Z), mean, log_var


class NegativeElbo(nn.Module):
    """Half the squared error and the KL term of a row, in nats; a mean over rows."""

    def forward(self, output, X):
        reconstruction, mean, log_var = output
        squares = (reconstruction - X).square().sum(dim=-1)
        kl = (mean.square() + log_var.exp() - 1 - log_var).sum(dim=-1)
        return 0.5 * (squares + kl).mean()


def make_network(n_features, setting, *, linear_path=True, layer_norm=False):
    """Return a new network with Glorot's weights, the same at every call."""
    torch.manual_seed(0)
    halves = []
    for sizes in setting.encoder_sizes(n_features), setting.decoder_sizes(n_features):
        layers = []
        for n_inputs, n_outputs in pairwise(sizes[:-1]):
            norm = [nn.LayerNorm(n_outputs)] if layer_norm else []
            layers += [nn.Linear(n_inputs, n_outputs), *norm, nn.ReLU()]
        network = nn.Sequential(*layers, nn.Linear(*sizes[-2:]))
        halves.append(LinearPath(sizes, network) if linear_path else network)
    kind = VariationalAutoencoder if setting.variational else Autoencoder
    network = kind(*halves)
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
    return network


def reconstruction(network, n_components):
    """Return the function that reconstructs rows; a VAE's from the posterior means."""

    @torch.no_grad()
    def reconstruct(X):
        codes = network.eval().encoder(torch.from_numpy(X))
        return network.decoder(codes[:, :n_components]).numpy()

    return reconstruct


# -- contenders: Setting -> fit; fit: X -> a function that reconstructs X, or None -----


def skae_estimator(setting, *, normalization=None, **changes):
    architecture = MLP(setting.hidden, activation="relu", normalization=normalization)
    parameters = {
        "architecture": architecture,
        "batch_size": setting.batch_size,
        "max_epochs": setting.max_epochs,
        "early_stopping": False,
        "scale": None,  # the rows are standardised
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
    estimator = skae_estimator(setting, **changes)

    def fit(X):
        estimator.fit(X)
        return lambda X: estimator.inverse_transform(estimator.transform(X))

    return fit


def tight_fit(setting, **parts):
    loss_of = NegativeElbo() if setting.variational else mse_loss

    def fit(X):
        network = make_network(X.shape[1], setting, **parts)
        rows = torch.from_numpy(X)
        optimizer = torch.optim.Adam(network.parameters(), lr=setting.lr, fused=True)
        for _ in range(setting.max_epochs):
            for numbers in torch.randperm(len(rows)).split(setting.batch_size):
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
    def fit(X):
        net = skorch_net(X.shape[1], setting).fit(X, X)
        return reconstruction(net.module_, setting.n_components)

    return fit


def sklearn_fit(setting):
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


# -- races -----------------------------------------------------------------------------


class Row(NamedTuple):
    """A contender, and what each of its runs measured."""

    name: str
    runs: list[dict]
    note: str = ""

    def values(self, measure):
        return [run[measure] for run in self.runs if measure in run]

    def median(self, measure):
        """Return the median of a measure over the runs, or None without any."""
        values = self.values(measure)
        return median(values) if values else None

    @property
    def spread(self):
        """How far the seconds of the runs are apart, as a share of their median."""
        seconds = self.values("wall")
        if len(seconds) < 2:
            return None
        return (max(seconds) - min(seconds)) / median(seconds)


def race(contenders, n_repeats, *, warm_up=True, notes=None):
    """Return a `Row` of each contender: all run once in turn, again and again.

    Parameters
    ----------
    contenders : dict of str to callable
        Each returns what it measured, as a dict, with the key "failure" if it failed.
    n_repeats : int
        How often.
    warm_up : bool, default=True
        Whether all run once before, unmeasured.
    notes : dict of str to str or None, default=None
        What to say of a contender, or of one that does not take part.
    """
    notes = dict(notes or {})
    runs = {name: [] for name in [*contenders, *notes]}
    for i in range(n_repeats + warm_up):
        for name, run in contenders.items():
            measured = run()
            if "failure" in measured:
                notes[name] = measured["failure"]
            elif i >= warm_up:
                runs[name].append(measured)
    return [Row(name, runs[name], notes.get(name, "")) for name in runs]


def race_fits(what, fits, X, setting, plan, *, peers=False):
    """Return a title and a `Row` of each fit, and of each library if asked for."""
    contenders = {
        name: partial(timed_fit, prepare(setting), X, setting)
        for name, prepare in fits.items()
    }
    others = peers_ready(X, setting) if peers and plan.peers else nullcontext(({}, {}))
    with limited_threads(setting.threads), others as (workers, notes):
        rows = race(contenders | workers, **plan.races, notes=notes)
    sizes = [*setting.encoder_sizes(X.shape[1])[:-1]]
    sizes += setting.decoder_sizes(X.shape[1])
    title = (
        f"{what}: {len(X)} rows, network {'-'.join(map(str, sizes))}, batches of "
        f"{setting.batch_size}, epochs: {setting.max_epochs}, threads: "
        f"{setting.threads}"
    )
    return title, rows


@contextmanager
def limited_threads(n_threads):
    """Hold torch and the linear algebra of numpy to a number of threads."""
    before = torch.get_num_threads()
    with threadpool_limits(n_threads):
        torch.set_num_threads(n_threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)


# -- sections: Plan -> title, rows -----------------------------------------------------


def run_tab(plan):
    X = tabular_rows(plan.rows(20_000))
    return race_fits("Autoencoder", FITS, X, plan.setting(TAB), plan, peers=True)


def run_tab_vae(plan):
    fits = {name: prepare for name, prepare in FITS.items() if name != SKLEARN}
    X, setting = tabular_rows(plan.rows(20_000)), replace(TAB, variational=True)
    return race_fits("VAE", fits, X, plan.setting(setting), plan, peers=True)


def run_mni(plan):
    X, what = image_rows(plan.rows(10_000))
    setting = replace(plan.setting(MNI), threads=torch.get_num_threads())
    return race_fits(what, FITS, X, setting, plan, peers=True)


def run_module(plan):
    """Time a network that has no shortcut in skae, hence stands for any other."""
    fits = {
        SKAE: partial(skae_fit, normalization="layer"),
        TIGHT: partial(tight_fit, layer_norm=True),
    }
    X = tabular_rows(plan.rows(20_000))
    return race_fits("Layer normalisation", fits, X, plan.setting(TAB), plan)


def run_tiny(plan):
    return race_fits("Iris", FITS, iris_rows(), plan.setting(TINY), plan)


PREDICTED_SHARE = 20  # skorch gets one row in so many, and its time is scaled up


def run_transform(plan):
    X = tabular_rows(plan.rows(1_000_000))
    training_rows = X[:20_000]
    setting = replace(TAB, max_epochs=1)
    ours = skae_estimator(setting).fit(training_rows)
    pca = PCA(setting.n_components).fit(training_rows)
    net = skorch_net(X.shape[1], setting).fit(training_rows, training_rows)

    contenders = {}
    for rows in X, X.astype(np.float64):
        calls = {
            SKAE: ours.transform,
            SKAE_BOTH: lambda rows: ours.inverse_transform(ours.transform(rows)),
            PCA_NAME: pca.transform,
        }
        for name, call in calls.items():
            contenders[f"{name}, {rows.dtype}"] = partial(timed_call, call, rows)
    few = X[: len(X) // PREDICTED_SHARE]
    contenders[f"{SKORCH_PREDICT}, float32"] = partial(
        timed_call, net.predict, few, times=PREDICTED_SHARE
    )
    with limited_threads(1):
        rows = race(contenders, **plan.races)
    return f"transform, {len(X)} x {X.shape[1]}, threads: 1", rows


def timed_call(call, *args, times=1):
    """Return the seconds of a call, times a number."""
    _, seconds = timed(call, *args)
    return {name: times * value for name, value in seconds.items()}


def run_memory(plan):
    n_rows = plan.rows(1_000_000)
    title = f"Extra memory of fit, {n_rows} x 30, batches of {MEMORY.batch_size}"
    if not STATUS.exists():
        return title, [Row("-", [], f"needs {STATUS}")]
    contenders = {
        kind: partial(in_new_process, memory_of_fit, kind, n_rows)
        for kind in ("float32", "float64", "memmap")
    }
    return title, race(contenders, plan.repeats, warm_up=False)


def in_new_process(function, *args):
    """Return what a function returns in a process that did nothing before."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *args).result()


def memory_of_fit(kind, n_rows):
    """Return by how much fit raises the memory of this process at most.

    Anonymous memory only: the pages of a file that were read can be let go of. X is
    loaded and a small fit is done before, so neither X nor imports count.
    """
    torch.set_num_threads(1)
    dtype = np.float64 if kind == "float64" else np.float32
    X = np.random.default_rng(0).standard_normal((n_rows, 30), dtype)
    estimator = skae_estimator(MEMORY)
    with tempfile.TemporaryDirectory() as folder:
        if kind == "memmap":
            np.save(f"{folder}/rows.npy", X)
            del X
            X = np.load(f"{folder}/rows.npy", mmap_mode="r")
        estimator.fit(X[:2048])
        gc.collect()
        before = anonymous_memory()
        with MemorySampler() as sampler:
            estimator.fit(X)
    return {"megabytes": (sampler.peak - before) / MEGABYTE}


STATUS = Path("/proc/self/status")


def anonymous_memory():
    """Return the bytes of this process' memory that no file backs."""
    kilobytes = re.search(r"RssAnon:\s*(\d+) kB", STATUS.read_text())[1]
    return 1024 * int(kilobytes)


class MemorySampler(threading.Thread):
    """Watch the anonymous memory inside a block, every 5 ms; `peak` is its maximum."""

    def __init__(self, seconds=0.005):
        super().__init__(daemon=True)
        self.seconds = seconds
        self.peak = anonymous_memory()
        self.over = threading.Event()

    def run(self):
        while not self.over.wait(self.seconds):
            self.peak = max(self.peak, anonymous_memory())

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *error):
        self.over.set()
        self.join()


# What a new process does: import, one epoch on 150 rows of 4 columns, and no more.
COLD_ROWS = """
import sys
import numpy as np
X = np.random.default_rng(0).standard_normal((150, 4)).astype(np.float32)
"""
COLD_NETWORK = """
import torch
from torch import nn
network = nn.Sequential(
    nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2), nn.Linear(2, 16), nn.ReLU(),
    nn.Linear(16, 4),
)
"""
COLD = {
    SKAE: """
from skae import AutoencoderTransformer
from skae.architectures import MLP
AutoencoderTransformer(
    2, architecture=MLP((16,), activation="relu"), batch_size=32, max_epochs=1,
    early_stopping=False, optimizer="adam", random_state=0,
).fit(X)
""",
    SKORCH: COLD_NETWORK
    + """
from skorch import NeuralNetRegressor
NeuralNetRegressor(
    network, optimizer=torch.optim.Adam, lr=1e-3, max_epochs=1, batch_size=32,
    iterator_train__shuffle=True, train_split=None, verbose=0,
).fit(X, X)
""",
    TIGHT: COLD_NETWORK
    + """
rows = torch.from_numpy(X)
optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
for numbers in torch.randperm(len(rows)).split(32):
    batch = rows.index_select(0, numbers)
    optimizer.zero_grad(set_to_none=True)
    nn.functional.mse_loss(network(batch), batch).backward()
    optimizer.step()
""",
    SKLEARN: """
import warnings
from sklearn.neural_network import MLPRegressor
warnings.simplefilter("ignore")
MLPRegressor(
    hidden_layer_sizes=(16, 2, 16), batch_size=32, max_iter=1, random_state=0
).fit(X, X)
""",
    PCA_NAME: """
from sklearn.decomposition import PCA
PCA(2).fit(X)
""",
}
COLD_END = 'print(int("torch._dynamo" in sys.modules))'


def run_cold(plan):
    contenders = {
        name: partial(time_process, f"{COLD_ROWS}{code}{COLD_END}")
        for name, code in COLD.items()
    }
    title = "New process: imports and a first fit, 150 x 4, epochs: 1, threads: 1"
    return title, race(contenders, **plan.races)


def time_process(code):
    """Return the seconds of a whole Python process, and the number that it prints."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall = time.perf_counter()
    output = subprocess.run(
        [sys.executable, "-P", "-c", code],  # -P: skae is the installed one
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    wall = time.perf_counter() - wall
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall": wall, "cpu": cpu, "dynamo": int(output)}


MANY_ROWS = (1000, 3000, 10_000, 30_000, 100_000, 300_000, 1_000_000)
MANY_COLUMNS = (10, 30, 100, 300, 1000, 3000)


def run_growth(plan):
    fit = skae_fit(GROWTH)
    most_rows, most_columns = (3000, 30) if plan.quick else (10**6, 3000)
    contenders = {}
    X = tabular_rows(most_rows)
    for n in MANY_ROWS:
        if n <= most_rows:
            contenders[f"n = {n}"] = partial(timed_growth, fit, X[:n], n)
    for d in MANY_COLUMNS:
        if d <= most_columns:
            X = tabular_rows(plan.rows(5000), d)
            contenders[f"d = {d}"] = partial(timed_growth, fit, X, d)
    with limited_threads(1):
        rows = race(contenders, **plan.races)
    slopes = ", ".join(f"{slope(rows, of):.2f} in {of}" for of in "nd")
    title = f"Fit, epochs: {GROWTH.max_epochs}, threads: 1; slopes: {slopes}"
    return title, rows


def timed_growth(fit, X, size):
    """Return the seconds of a fit, and the size that grows."""
    _, seconds = timed(fit, X)
    return {"wall": seconds["wall"], "size": size}


def curve(rows, of):
    """Return the sizes and the median seconds of the rows in which `of` grows."""
    rows = [row for row in rows if row.name.startswith(f"{of} =")]
    return np.array([(row.median("size"), row.median("wall")) for row in rows]).T


def slope(rows, of):
    """Return the least-squares slope of log seconds over log size."""
    return np.polyfit(*np.log(curve(rows, of)), 1)[0]


SECTIONS = {
    "tab": run_tab,
    "tab-vae": run_tab_vae,
    "mni": run_mni,
    "module": run_module,
    "tiny": run_tiny,
    "transform": run_transform,
    "memory": run_memory,
    "cold": run_cold,
    "growth": run_growth,
}


# -- report ----------------------------------------------------------------------------


def describe_machine():
    """Return what the numbers depend on besides the code."""
    path = Path("/proc/cpuinfo")
    info = path.read_text() if path.exists() else ""
    model = re.search(r"model name\s*:\s*(.+)", info)
    packages = ("skae", "torch", "scikit-learn", "skorch", "numpy")
    return {
        "cpu": model[1] if model else platform.processor(),
        "amd": "AuthenticAMD" in info,
        "avx512": "avx512f" in info,
        "cores": os.cpu_count(),
        "threads of torch": torch.get_num_threads(),
        "Python": platform.python_version(),
        **{name: version(name) for name in packages},
    }


# (header, what it shows of a row and of the row that ratios refer to, format)
COLUMNS = [
    ("seconds", lambda row, base: row.median("wall"), "{:.4f}"),
    ("ratio", lambda row, base: ratio(row, base, "wall"), "{:.2f}"),
    ("CPU seconds", lambda row, base: row.median("cpu"), "{:.4f}"),
    ("CPU ratio", lambda row, base: ratio(row, base, "cpu"), "{:.2f}"),
    ("spread", lambda row, base: row.spread, "{:.0%}"),
    ("error", lambda row, base: row.median("error"), "{:.4f}"),
    ("epochs", lambda row, base: row.median("epochs"), "{:.0f}"),
    ("MB", lambda row, base: row.median("megabytes"), "{:.1f}"),
    ("torch._dynamo", lambda row, base: row.median("dynamo"), "{:.0f}"),
    ("note", lambda row, base: row.note or None, "{}"),
]


def ratio(row, base, measure):
    if row.values("size"):  # sizes do not compete
        return None
    value, reference = row.median(measure), base.median(measure)
    return value / reference if value is not None and reference else None


def print_section(name, title, rows):
    """Print a table of the measures that there are; ratios are to the first row."""
    print(f"\n## {name}\n\n{title}\n")
    columns = {}
    for header, value, form in COLUMNS:
        values = [value(row, rows[0]) for row in rows]
        if any(v is not None for v in values):
            columns[header] = ["" if v is None else form.format(v) for v in values]
    names = [row.name for row in rows]
    print_table(["", *columns], zip(names, *columns.values(), strict=True))


def print_table(headers, lines):
    """Print a table in markdown, its columns aligned."""
    table = [headers, *lines]
    columns = zip(*table, strict=True)
    widths = [max(len(str(cell)) for cell in column) for column in columns]
    table.insert(1, ["-" * width for width in widths])
    for line in table:
        cells = [str(c).ljust(w) for c, w in zip(line, widths, strict=True)]
        print(f"| {' | '.join(cells)} |", flush=True)


def judge(targets, results):
    """Yield each target of the sections that ran, what was reached, and a verdict."""
    for target in targets:
        rows = {row.name: row for row in results.get(target.section, [])}
        if not rows:
            continue
        measure = "wall" if target.over else "megabytes"
        names = [name for name in (target.row, target.over) if name]
        values = [rows[n].median(measure) if n in rows else None for n in names]
        if None in values:
            yield target, None, "not measured"
            continue
        reached = values[0] / values[1] if target.over else values[0]
        met = SIGNS[target.sign](reached, target.limit)
        yield target, reached, "met" if met else "missed"


def print_targets(verdicts):
    headers = ["section", "target", "reached", "asked", "verdict"]
    lines = []
    for target, reached, verdict in verdicts:
        name = f"{target.row} / {target.over}" if target.over else f"{target.row}, MB"
        number = "" if reached is None else f"{reached:.2f}"
        asked = f"{target.sign} {target.limit:g}"
        lines.append([target.section, name, number, asked, verdict])
    print("\n## Targets\n")
    print_table(headers, lines)


def draw_growth(rows, path):
    """Save the seconds of a fit over rows and over columns, beside proportionality."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    labels = {"n": "rows (30 columns)", "d": "columns (5000 rows)"}
    for ax, (of, label) in zip(axes, labels.items(), strict=True):
        sizes, seconds = curve(rows, of)
        ax.loglog(sizes, seconds, "o-", label=f"fit, slope {slope(rows, of):.2f}")
        guide = seconds[-1] * sizes / sizes[-1]
        ax.loglog(sizes, guide, "--", color="gray", label="slope 1")
        ax.set(xlabel=label, ylabel=f"seconds of {GROWTH.max_epochs} epochs")
        ax.grid(which="major", alpha=0.3)
        ax.legend(frameon=False)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def save(path, machine, results, verdicts):
    """Write all that was measured, every run of it, as JSON."""
    content = {
        "machine": machine,
        "sections": {
            name: [row._asdict() for row in rows] for name, rows in results.items()
        },
        "targets": [
            {**target._asdict(), "reached": reached, "verdict": verdict}
            for target, reached, verdict in verdicts
        ],
    }
    Path(path).write_text(json.dumps(content, indent=1))


# -- command line ----------------------------------------------------------------------


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--sections",
        type=lambda names: names.split(","),
        default=list(SECTIONS),
        help=f"some of {','.join(SECTIONS)}; default: all",
    )
    parser.add_argument("--repeats", type=int, default=5, help="default: 5")
    parser.add_argument("--peers", action="store_true", help="other libraries too")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, 1 repeat")
    parser.add_argument("--output", help="JSON file for every run")
    parser.add_argument("--picture", help="image file for the section growth")
    arguments = parser.parse_args(arguments)
    unknown = set(arguments.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"no section {sorted(unknown)}; choose from {list(SECTIONS)}")
    return arguments


def main():
    arguments = parse_arguments()
    repeats = 1 if arguments.quick else arguments.repeats
    plan = Plan(repeats, peers=arguments.peers, quick=arguments.quick)
    machine = describe_machine()
    print("\n".join(f"{name}: {value}" for name, value in machine.items()))
    if plan.quick:
        print("\nThe sizes of --quick tell whether it runs, not how fast.")

    results = {}
    for name in arguments.sections:
        title, results[name] = SECTIONS[name](plan)
        print_section(name, title, results[name])

    fast_amd = machine["amd"] and machine["avx512"]
    limits = {("mni", TIGHT): MNI_LIMIT_AMD} if fast_amd else {}
    targets = [
        t._replace(limit=limits.get((t.section, t.over), t.limit)) for t in TARGETS
    ]
    verdicts = list(judge(targets, results))
    print_targets(verdicts)
    if arguments.output:
        save(arguments.output, machine, results, verdicts)
    if arguments.picture and "growth" in results:
        draw_growth(results["growth"], arguments.picture)


if __name__ == "__main__":
    main()
