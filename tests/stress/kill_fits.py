"""Fits that are killed at random moments, and go on; and fits that are interrupted.

    python tests/stress/kill_fits.py        # 200 kills and 100 interrupts, some minutes

A fit with `checkpoint` runs in a process of its own, which gets SIGKILL at a random
moment; the next process goes on, and may be killed in turn, until one comes to the end.
What it has then must equal a fit that nobody killed, to the bit: weights, history, and
codes. Of fits that get SIGINT, KeyboardInterrupt must reach the user, and the estimator
be what it was.
"""

import argparse
import os
import pickle
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.base import clone

from skae import AutoencoderTransformer, VAETransformer
from skae._training import _checkpoint
from skae.architectures import MLP, Conv
from skae.corruptions import GaussianNoise


def models():
    """Return unfitted estimators with rows for them, by name."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 3)) @ rng.normal(size=(3, 8))
    X += 0.3 * rng.normal(size=X.shape)
    images = rng.random((200, 1, 1)) * rng.random((200, 8, 8))
    common = {"batch_size": 32, "random_state": 0}
    small = common | {"architecture": MLP((16,), dropout=0.1), "max_epochs": 30}
    return {
        "autoencoder": (
            AutoencoderTransformer(3, corruption=GaussianNoise(0.1), **small), X
        ),
        "VAE": (VAETransformer(3, kl_warmup=0.3, **small), X),
        "convolutions": (
            AutoencoderTransformer(
                3, architecture=Conv((4,)), max_epochs=8,
                image_shape=(1, 8, 8), **common,
            ),
            images.reshape(200, 64),
        ),
        "early stopping": (
            VAETransformer(
                3, early_stopping=True, n_iter_no_change=5, refit=False, **small
            ),
            X,
        ),
    }  # fmt: skip


def outcome(model, X):
    """Return bytes that are the same for models that are the same to the bit."""
    weights = [value.numpy().tobytes() for value in model.module_.state_dict().values()]
    history = model.history_.drop(columns="seconds").to_numpy().tobytes()
    return pickle.dumps((weights, history, model.transform(X).tobytes()))


def in_process(function):
    """Run a function in a fork; return its process, and where its bytes are read."""
    read, write = os.pipe()
    process = os.fork()
    if process:
        os.close(write)
        return process, os.fdopen(read, "rb")
    os.close(read)
    status = 1
    try:
        with warnings.catch_warnings(), os.fdopen(write, "wb") as file:
            warnings.simplefilter("ignore")
            function(file)
        status = 0
    finally:
        os._exit(status)


def killed_fits(model, X, n_kills, rng, path):
    """Kill fits until so many were hit; return how many ended in the same, of how many.

    Also how many of the kills came after something had been saved.
    """
    begin = time.perf_counter()
    expected = outcome(clone(model).fit(X), X)
    seconds = time.perf_counter() - begin

    def fit(file):
        file.write(outcome(clone(model).fit(X, checkpoint=path), X))

    n_hit = n_fits = n_same = n_going_on = 0
    while n_hit < n_kills:
        process, answer = in_process(fit)
        with answer:
            time.sleep(rng.uniform(0, 1.1 * seconds))
            os.kill(process, signal.SIGKILL)
            found = answer.read()
        _, status = os.waitpid(process, 0)
        if os.WIFSIGNALED(status):
            n_hit += 1
            n_going_on += path.exists()
        elif status == 0:
            n_fits += 1
            n_same += found == expected
        else:
            raise RuntimeError("a fit failed")
    process, answer = in_process(fit)
    with answer:
        n_same += answer.read() == expected
    os.waitpid(process, 0)
    return n_same, n_fits + 1, n_going_on


def interrupted_fits(model, X, n_interrupts, rng):
    """Interrupt fits; return how many raised and left the estimator as it was."""
    fitted = clone(model).fit(X[:100])
    before = outcome(fitted, X)
    begin = time.perf_counter()
    clone(model).fit(X)
    seconds = time.perf_counter() - begin

    def fit(file):
        # a shell's background jobs, and so their children, are deaf to SIGINT
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            file.write(b"ready")
            file.flush()
            fitted.fit(X)
            word = b"too late"
        except KeyboardInterrupt:
            word = b"same" if outcome(fitted, X) == before else b"other"
        file.write(word)

    n_good = n_hit = 0
    while n_hit < n_interrupts:
        process, answer = in_process(fit)
        with answer:
            answer.read(5)
            time.sleep(rng.uniform(0, 0.9 * seconds))
            os.kill(process, signal.SIGINT)
            word = answer.read()
        os.waitpid(process, 0)
        if word != b"too late":
            n_hit += 1
            n_good += word == b"same"
    return n_good, n_hit


def run(n_kills, n_interrupts, seed):
    """Return counts for each model: of kills and of interrupts."""
    rng, counts = np.random.default_rng(seed), {}
    _checkpoint.LARGEST_SHARE = np.inf  # after every epoch
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, (model, X) in models().items():
            path = Path(folder) / "fit.checkpoint"
            kills = killed_fits(model, X, n_kills, rng, path)
            counts[name] = kills, interrupted_fits(model, X, n_interrupts, rng)
            assert not list(Path(folder).iterdir())
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=50, help="of each model")
    parser.add_argument("--interrupts", type=int, default=25, help="of each model")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    counts = run(arguments.kills, arguments.interrupts, arguments.seed)
    failed = False
    for name, ((n_same, n_fits, n_going_on), (n_good, n_hit)) in counts.items():
        print(
            f"{name}: {arguments.kills} kills, {n_going_on} of them after something "
            f"was saved; {n_same} of {n_fits} fits ended the same to the bit; "
            f"{n_good} of {n_hit} interrupts raised and changed nothing",
            flush=True,
        )
        failed |= n_same < n_fits or n_good < n_hit
    sys.exit("failed" if failed else 0)


if __name__ == "__main__":
    main()
