"""Other libraries' autoencoders for speed.py, each in a process of its own.

Every library trains the network of `Setting`, at the settings of its documentation that
are fastest here: no batch normalisation or dropout, no progress bar, no log, no
checkpoint, no validation rows. Where the loss of its VAE can be weighted, it is ours up
to a factor, which Adam does not see. What no setting switches off is part of the time:

- PyOD scores all rows after training, drops the last batch that is not full, and puts a
  ReLU on the code of its autoencoder.
- pythae copies the best weights at every epoch that improves, and would write the model
  to a file in the end; that alone is overridden here.
- Keras on jax compiles the training step of every new model, about a second, on as many
  threads as there are cores. Its second line trains one model again and again from the
  same start, so nothing is compiled.

A worker imports its library, then fits once for every line that it reads on stdin and
answers with a line of JSON: imports take no part, and no library meets the settings of
another, nor one backend of Keras the other.
"""

import json
import logging
import math
import os
import subprocess
import sys
import tempfile
import warnings
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from speed_race import Setting, timed_fit

# -- the libraries: Setting -> fit; fit: X -> a function that reconstructs X -----------


def prepare_pyod(setting):
    import torch
    from pyod.models.auto_encoder import AutoEncoder
    from pyod.models.vae import VAE

    common = {
        "preprocessing": False,  # X is standardised
        "lr": setting.lr,
        "epoch_num": setting.max_epochs,
        "batch_size": setting.batch_size,
        "optimizer_params": {},  # no weight decay
        "batch_norm": False,
        "dropout_rate": 0.0,
        "device": "cpu",
        "random_state": 0,
        "verbose": 0,
    }
    hidden, n_components = list(setting.hidden), setting.n_components

    def fit(X):
        if setting.variational:
            # The KL term is cut at `capacity`, 0 by default. beta: its squared error
            # is a mean over columns, without the half.
            net = VAE(
                encoder_neuron_list=hidden,
                decoder_neuron_list=hidden[::-1],
                latent_dim=n_components,
                beta=2 / X.shape[1],
                capacity=math.inf,
                **common,
            )
        else:
            net = AutoEncoder(hidden_neuron_list=[*hidden, n_components], **common)
        model = net.fit(X).model.eval()

        @torch.no_grad()
        def reconstruct(X):
            X = torch.from_numpy(X)
            if setting.variational:
                return model.decode(model.encode(X)[0]).numpy()
            return model(X).numpy()

        return reconstruct

    return fit


def prepare_encdr(setting):
    from encdr import ENCDR
    from encdr.encdr import VENCDR

    # its squared error is a sum over columns, without the half
    kind, beta = (VENCDR, {"beta": 2.0}) if setting.variational else (ENCDR, {})

    def fit(X):
        return (
            kind(
                hidden_dims=list(setting.hidden),
                latent_dim=setting.n_components,
                learning_rate=setting.lr,
                batch_size=setting.batch_size,
                max_epochs=setting.max_epochs,
                validation_split=0.0,
                standardize=False,
                random_state=0,
                trainer_kwargs={
                    "accelerator": "cpu",
                    "enable_model_summary": False,
                    "enable_progress_bar": False,
                },
                **beta,
            )
            .fit(X)
            .predict
        )

    return fit


def prepare_pythae(setting):
    import torch
    from pythae.data.datasets import BaseDataset
    from pythae.models import AE, VAE, AEConfig, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    class Encoder(BaseEncoder):
        def __init__(self, n_features):
            super().__init__()
            self.network = relu_network(setting.encoder_sizes(n_features))

        def forward(self, X):
            if not setting.variational:
                return ModelOutput(embedding=self.network(X))
            mean, log_var = self.network(X).chunk(2, dim=-1)
            return ModelOutput(embedding=mean, log_covariance=log_var)

    class Decoder(BaseDecoder):
        def __init__(self, n_features):
            super().__init__()
            self.network = relu_network(setting.decoder_sizes(n_features))

        def forward(self, Z):
            return ModelOutput(reconstruction=self.network(Z))

    class Trainer(BaseTrainer):
        def save_model(self, model, dir_path):
            pass

    kind, config = (VAE, VAEConfig) if setting.variational else (AE, AEConfig)

    def fit(X):
        torch.manual_seed(0)
        n_rows, n_features = X.shape
        shape = {"input_dim": (n_features,), "latent_dim": setting.n_components}
        model = kind(config(**shape), Encoder(n_features), Decoder(n_features))
        plan = BaseTrainerConfig(
            output_dir=".",
            per_device_train_batch_size=setting.batch_size,
            num_epochs=setting.max_epochs,
            learning_rate=setting.lr,
            no_cuda=True,
        )
        rows = BaseDataset(torch.from_numpy(X), torch.zeros(n_rows))
        Trainer(model, rows, training_config=plan).train()

        @torch.no_grad()
        def reconstruct(X):
            Z = model.eval().encoder(torch.from_numpy(X)).embedding
            return model.decoder(Z).reconstruction.numpy()

        return reconstruct

    return fit


def relu_network(sizes):
    """Return fully connected layers of the given widths, the last one linear."""
    from torch import nn

    layers = []
    for n_inputs, n_outputs in pairwise(sizes):
        layers += [nn.Linear(n_inputs, n_outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def prepare_keras(setting):
    import keras

    def fit(X):
        keras.utils.set_random_seed(0)
        return train_keras(keras_model(X.shape[1], setting), X, setting)

    return fit


def prepare_compiled_keras(setting):
    import keras

    trained = []

    def fit(X):
        if not trained:
            keras.utils.set_random_seed(0)
            model = keras_model(X.shape[1], setting)
            model.optimizer.build(model.trainable_variables)
            trained.append((model, [v.numpy() for v in keras_state(model)]))
        model, start = trained[0]
        for variable, value in zip(keras_state(model), start, strict=True):
            variable.assign(value)
        return train_keras(model, X, setting)

    return fit


def train_keras(model, X, setting):
    """Train a model, and return its reconstruction."""
    sizes = {"batch_size": setting.batch_size, "epochs": setting.max_epochs}
    model.fit(X, X, verbose=0, **sizes)
    return lambda X: model.predict(X, batch_size=4096, verbose=0)


def keras_state(model):
    """Return all that training changes: weights, and variables of the optimiser."""
    return [*model.variables, *model.optimizer.variables]


def keras_model(n_features, setting):
    """Return a compiled model; keras has Glorot's weights by default."""
    import keras

    def dense(X, sizes):
        for width in sizes[1:-1]:
            X = keras.layers.Dense(width, activation="relu")(X)
        return keras.layers.Dense(sizes[-1])(X)

    X = keras.Input((n_features,))
    Z, loss = dense(X, setting.encoder_sizes(n_features)), "mse"
    if setting.variational:
        Z, loss = keras_posterior()(Z), half_squared_error
    model = keras.Model(X, dense(Z, setting.decoder_sizes(n_features)))
    model.compile(optimizer=keras.optimizers.Adam(setting.lr), loss=loss)
    return model


def keras_posterior():
    """Return a layer from mean and log-variance to a draw, which adds the KL term."""
    import keras
    from keras import ops

    class Posterior(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.seeds = keras.random.SeedGenerator(0)

        def call(self, H, training=False):
            mean, log_var = ops.split(H, 2, axis=-1)
            kl = 0.5 * (ops.square(mean) + ops.exp(log_var) - 1 - log_var)
            self.add_loss(ops.mean(ops.sum(kl, axis=-1)))
            if not training:
                return mean
            noise = keras.random.normal(ops.shape(mean), seed=self.seeds)
            return mean + ops.exp(0.5 * log_var) * noise

    return Posterior()


def half_squared_error(X, reconstruction):
    """Return half the squared error of each row, summed over columns."""
    from keras import ops

    return 0.5 * ops.sum(ops.square(X - reconstruction), axis=-1)


class Peer(NamedTuple):
    """A library: its name on PyPI, how to fit, and the environment it needs."""

    distribution: str
    prepare: object  # callable: Setting -> fit
    environment: dict = {}


PYOD, PYTHAE, ENCDR = "PyOD", "pythae", "encdr"
KERAS_TORCH, KERAS_JAX = "Keras, torch backend", "Keras, jax backend"
PEERS = {
    PYOD: Peer("pyod", prepare_pyod),
    PYTHAE: Peer("pythae", prepare_pythae),
    ENCDR: Peer("encdr", prepare_encdr),
    KERAS_TORCH: Peer("keras", prepare_keras, {"KERAS_BACKEND": "torch"}),
    KERAS_JAX: Peer("keras", prepare_keras, {"KERAS_BACKEND": "jax"}),
    f"{KERAS_JAX}, compiled before": Peer(
        "keras", prepare_compiled_keras, {"KERAS_BACKEND": "jax"}
    ),
}


# -- the worker: one library in a process ----------------------------------------------


def work(name, data_path, setting):
    """Answer every line on stdin with a timed fit; first, whether the library works."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")

    def answer(**values):
        print(json.dumps(values), file=answers, flush=True)

    peer = PEERS[name]
    try:
        fit = peer.prepare(setting)
    except ModuleNotFoundError:
        return answer(failure="not installed")
    except Exception as error:  # an installed library that fails to import
        return answer(failure=first_line(error))
    X = np.load(data_path)["X"]
    answer(version=version(peer.distribution))
    for _ in sys.stdin:
        try:
            answer(**timed_fit(fit, X, setting))
        except Exception as error:
            answer(failure=first_line(error))
    return None


def first_line(error):
    """Return the type of an error and the first line of its message."""
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


# -- the other end ---------------------------------------------------------------------


class PeerWorker:
    """A process that fits one library's autoencoder whenever asked to.

    Parameters
    ----------
    name : str
        A key of `PEERS`.
    data_path : Path
        File with the rows; the process lives in its folder.
    setting : Setting
        What to train.
    """

    def __init__(self, name, data_path, setting):
        self.process = subprocess.Popen(
            [
                *(sys.executable, str(Path(__file__).resolve())),
                *(name, str(data_path), json.dumps(asdict(setting))),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=data_path.parent,
            env=os.environ | limits_of(setting.threads) | PEERS[name].environment,
        )

    def read(self):
        """Return the next answer."""
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"failure": "its process ended"}

    def fit(self):
        """Return the times and the error of a fit, or its failure."""
        try:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return {"failure": "its process ended"}
        return self.read()

    def close(self):
        """End the process."""
        self.process.kill()
        self.process.communicate()


def limits_of(threads):
    """Return the environment that holds every library to some threads of the CPU."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    environment = dict.fromkeys(names, str(threads))
    environment |= {"TQDM_DISABLE": "1", "CUDA_VISIBLE_DEVICES": ""}
    if threads == 1:
        environment["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    return environment


@contextmanager
def peers_ready(X, setting):
    """Give the contenders that are installed, and a note on every peer.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        What to fit.
    setting : Setting
        What to train.

    Yields
    ------
    contenders : dict of str to callable
        Each returns the times and the error of a new fit.
    notes : dict of str to str
        The version of each peer, or why it does not take part.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        np.savez(folder / "rows.npz", X=X)
        workers = {n: PeerWorker(n, folder / "rows.npz", setting) for n in PEERS}
        for worker in workers.values():
            stack.callback(worker.close)
        contenders, notes = {}, {}
        for name, worker in workers.items():
            answer = worker.read()
            notes[name] = answer.get("version") or answer["failure"]
            if "version" in answer:
                contenders[name] = worker.fit
        yield contenders, notes


if __name__ == "__main__":
    settings = json.loads(sys.argv[3])
    settings["hidden"] = tuple(settings["hidden"])
    work(sys.argv[1], sys.argv[2], Setting(**settings))
