"""What holds of autoencoders for scikit-learn, here and elsewhere; and codes of digits.

    python examples/benchmarks/comparison.py [--only contracts] [--quick]

Two tables, in Markdown. The first puts one question a line to every estimator, at its
defaults but for the size of the code: each "yes" is a call that went well and an answer
that was checked, each "no" has its reason below the table. The second trains codes of
eight numbers for scikit-learn's digits and asks a classifier what they are worth.

One that is not installed is named as such: `pip install "skae[bench]"`.
"""

import os

# The networks are small: threads that wait for each other cost more than they save.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("KERAS_BACKEND", "torch")

import argparse
import pickle
import tempfile
import time
from importlib.metadata import version
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from estimator_checks import (
    count_checks,
    make_encdr,
    make_pyod_autoencoder,
    make_pyod_vae,
    quiet,
)
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from speed_report import table_text

from skae import AutoencoderTransformer, VAETransformer

# -- the estimators --------------------------------------------------------------------


def make_variational_encdr(**parameters):
    from encdr.encdr import VENCDR

    return VENCDR(**parameters)


class Contender(NamedTuple):
    """An estimator: where it is from, how to make it, what it calls things."""

    distribution: str
    make: object  # callable: parameters -> estimator
    size: dict  # sizes of the code for a search, by the name of the parameter
    answer: str = "transform"  # the method that is asked about new rows
    beta: str | None = None


CONTENDERS = {
    "skae AE": Contender("skae", AutoencoderTransformer, {"n_components": [2, 4]}),
    "skae VAE": Contender(
        "skae", VAETransformer, {"n_components": [2, 4]}, beta="beta"
    ),
    "ENCDR": Contender("encdr", make_encdr, {"latent_dim": [2, 4]}),
    "VENCDR": Contender(
        "encdr", make_variational_encdr, {"latent_dim": [2, 4]}, beta="beta"
    ),
    "PyOD AE": Contender(
        *("pyod", make_pyod_autoencoder, {"hidden_neuron_list": [[8, 2], [8, 4]]}),
        answer="decision_function",
    ),
    "PyOD VAE": Contender(
        *("pyod", make_pyod_vae, {"latent_dim": [2, 4]}),
        answer="decision_function",
        beta="beta",
    ),
    "MLPRegressor": Contender(
        *("scikit-learn", MLPRegressor, {"hidden_layer_sizes": [(8, 2, 8), (8, 4, 8)]}),
        answer="predict",
    ),
}


def fit(contender, X, **parameters):
    """Return the estimator fitted to X, its own target where it asks for one."""
    estimator = contender.make(random_state=0, **parameters)
    return estimator.fit(X, X) if contender.answer == "predict" else estimator.fit(X)


def ask(contender, estimator, X, seed=None):
    """Return what a fitted estimator answers about rows, as an array.

    With a seed, answers that are drawn from the global generators are drawn alike.
    """
    if seed is not None:
        np.random.seed(seed)  # noqa: NPY002
        torch.manual_seed(seed)
    return np.asarray(getattr(estimator, contender.answer)(X))


# -- the questions: each raises, or returns whether the answer is right ----------------


def is_cloned(contender, table):
    """`clone` of it"""
    return clone(contender.make()) is not None


def stands_in_a_pipeline(contender, table):
    """a step before a classifier in a `Pipeline`, labels are words"""
    words = table.words
    pipeline = make_pipeline(contender.make(random_state=0), LogisticRegression())
    return set(pipeline.fit(table.X, words).predict(table.X)) <= set(words)


def is_searched(contender, table):
    """`GridSearchCV` over the size of the code, by the classifier's accuracy"""
    pipeline = Pipeline(
        [("codes", contender.make(random_state=0)), ("classify", LogisticRegression())]
    )
    grid = {f"codes__{name}": values for name, values in contender.size.items()}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise")
    return search.fit(table.X, table.y).best_score_ > 0.5


def has_names(contender, table):
    """a DataFrame back, by `set_output`"""
    estimator = contender.make(random_state=0).set_output(transform="pandas")
    return isinstance(estimator.fit_transform(table.X), pd.DataFrame)


def goes_back(contender, table):
    """`inverse_transform`, nearer to X than the mean of each column"""
    estimator = fit(contender, table.X)
    back = estimator.inverse_transform(estimator.transform(table.X))
    spread = table.X.std(axis=0)
    return (np.square((back - table.X) / spread).mean()) < 1.0


def takes_missing_values(contender, table):
    """missing values (NaN) in X, at `fit` and after"""
    X = table.X.copy()
    X[::7, 1] = np.nan
    return bool(np.isfinite(ask(contender, fit(contender, X), X)).all())


def repeats_a_fit(contender, table):
    """the same `random_state` twice, the same bits"""
    one, two = (ask(contender, fit(contender, table.X), table.X) for _ in range(2))
    return np.array_equal(one, two)


def repeats_an_answer(contender, table):
    """the same rows twice, the same answer"""
    estimator = fit(contender, table.X)
    one, two = (ask(contender, estimator, table.X) for _ in range(2))
    return np.array_equal(one, two)


def answers_by_row(contender, table):
    """a row alone, the answer it has among others (to 1e-4)"""
    estimator = fit(contender, table.X)
    together = ask(contender, estimator, table.X[:20])
    alone = [ask(contender, estimator, table.X[i : i + 1]) for i in range(20)]
    return np.allclose(np.concatenate(alone), together, rtol=1e-4, atol=1e-4)


def leaves_generators_alone(contender, table):
    """the global random generators, as they were before `fit`"""
    np.random.seed(0)  # noqa: NPY002 (the global one is what is asked about)
    torch.manual_seed(0)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    fit(contender, table.X)
    after = np.random.get_state()[1], torch.get_rng_state()  # noqa: NPY002
    return all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def fits_few_rows(contender, table):
    """ten rows are enough to fit"""
    return bool(
        np.isfinite(ask(contender, fit(contender, table.X[:10]), table.X)).all()
    )


def is_pickled(contender, table):
    """`pickle`, there and back, the same answer"""
    estimator = fit(contender, table.X)
    again = pickle.loads(pickle.dumps(estimator))
    one, two = (ask(contender, e, table.X, seed=0) for e in (estimator, again))
    return np.array_equal(one, two)


def is_ruled_by_beta(contender, table):
    """`beta` of 1,000 is another model than 1"""
    if contender.beta is None:
        return None
    one, two = (
        ask(contender, fit(contender, table.X, **{contender.beta: b}), table.X, seed=0)
        for b in (1.0, 1000.0)
    )
    return not np.array_equal(one, two)


def passes_checks(contender, table):
    """checks of `check_estimator` that pass"""
    checks, _, _ = count_checks(contender.make(), 0)
    return f"{checks['passed']} of {checks.total()}"


QUESTIONS = [
    is_cloned,
    stands_in_a_pipeline,
    is_searched,
    has_names,
    goes_back,
    takes_missing_values,
    fits_few_rows,
    repeats_a_fit,
    repeats_an_answer,
    answers_by_row,
    leaves_generators_alone,
    is_pickled,
    is_ruled_by_beta,
    passes_checks,
]


class Table(NamedTuple):
    """Rows with labels, as numbers and as words."""

    X: np.ndarray
    y: np.ndarray
    words: np.ndarray


def load_table():
    """Return 200 cells of breast cancer, standardised, and whether they are benign."""
    data = load_breast_cancer()
    X = StandardScaler().fit_transform(data.data[:200])
    return Table(X, data.target[:200], data.target_names[data.target[:200]])


def question(ask_it, contender, table):
    """Return a cell, and the reason of a "no" that is an error."""
    try:
        with quiet():
            answer = ask_it(contender, table)
    except Exception as error:
        return "no", f"{type(error).__name__}: {first_sentence(error)}"
    if answer is None:
        return "", None
    return answer if isinstance(answer, str) else "yes" if answer else "no", None


def first_sentence(error):
    """Return the first sentence of an error, or as much as fits in a line."""
    text = " ".join(str(error).split()).partition(". ")[0]
    return text if len(text) <= 90 else text[:87] + "..."


def compare_contracts(names, questions):
    """Return the table of answers; and by question and error, who had it."""
    table, answers, reasons = load_table(), {}, {}
    for name in names:
        contender = CONTENDERS[name]
        for ask_it in questions:
            cell, reason = question(ask_it, contender, table)
            answers.setdefault(ask_it.__doc__, {})[name] = cell
            if reason:
                asked = reasons.setdefault(ask_it.__doc__.partition(",")[0], {})
                asked.setdefault(reason, []).append(name)
    return pd.DataFrame.from_dict(answers, orient="index"), reasons


# -- codes of digits: each takes X, returns the way to codes and the way back ----------

N_COMPONENTS = 8


def train_ours(kind):
    """Return how to train a transformer at its defaults."""

    def train(X, quick):
        estimator = kind(N_COMPONENTS, random_state=0).fit(X)
        return estimator.transform, estimator.inverse_transform

    return train


def train_regressor(X, quick):
    """As people do it with scikit-learn alone; the code has the activation, too."""
    scaler = StandardScaler().fit(X)
    network = MLPRegressor(
        hidden_layer_sizes=(64, N_COMPONENTS, 64),
        activation="tanh",
        max_iter=5 if quick else 1000,
        random_state=0,
    ).fit(scaler.transform(X), scaler.transform(X))
    layers = list(zip(network.coefs_, network.intercepts_, strict=True))

    def encode(X):
        H = scaler.transform(X)
        for weights, bias in layers[:2]:
            H = np.tanh(H @ weights + bias)
        return H

    def decode(Z):
        H = np.tanh(Z @ layers[2][0] + layers[2][1])
        return scaler.inverse_transform(H @ layers[3][0] + layers[3][1])

    return encode, decode


def train_encdr(make):
    """Return how to train one of encdr's at its defaults: 100 epochs, 64-32-8."""

    def train(X, quick):
        estimator = make(
            latent_dim=N_COMPONENTS,
            max_epochs=2 if quick else 100,
            random_state=0,
            trainer_kwargs={"enable_progress_bar": False, "logger": False},
        ).fit(X)
        return estimator.transform, estimator.inverse_transform

    return train


def train_pythae(variational):
    """Return how to train pythae's own network, for 100 epochs as in its benchmark."""

    def train(X, quick):
        from pythae.models import AE, VAE, AEConfig, VAEConfig
        from pythae.pipelines import TrainingPipeline
        from pythae.trainers import BaseTrainerConfig

        kind, config = (VAE, VAEConfig) if variational else (AE, AEConfig)
        model = kind(config(input_dim=(1, 8, 8), latent_dim=N_COMPONENTS))
        with tempfile.TemporaryDirectory() as folder:
            plan = BaseTrainerConfig(
                output_dir=folder,
                num_epochs=2 if quick else 100,
                learning_rate=1e-3,
                no_cuda=True,
                seed=0,
            )
            rows = (X / 16).astype(np.float32).reshape(-1, 1, 8, 8)
            TrainingPipeline(model=model, training_config=plan)(train_data=rows)
        model.eval()

        @torch.no_grad()
        def encode(X):
            rows = torch.from_numpy((X / 16).astype(np.float32)).reshape(-1, 1, 8, 8)
            return model.encoder(rows).embedding.numpy()

        @torch.no_grad()
        def decode(Z):
            images = model.decoder(torch.from_numpy(Z)).reconstruction
            return 16.0 * images.numpy().reshape(len(Z), 64)

        return encode, decode

    return train


def train_keras(X, quick):
    """The deep autoencoder of Keras' tutorial, with its losses, epochs and batches."""
    import keras

    keras.utils.set_random_seed(0)

    def dense(rows, sizes, last):
        for size in sizes[:-1]:
            rows = keras.layers.Dense(size, activation="relu")(rows)
        return keras.layers.Dense(sizes[-1], activation=last)(rows)

    rows, codes = keras.Input((64,)), keras.Input((N_COMPONENTS,))
    encoder = keras.Model(rows, dense(rows, [128, 64, N_COMPONENTS], None))
    decoder = keras.Model(codes, dense(codes, [64, 128, 64], "sigmoid"))
    both = keras.Model(rows, decoder(encoder(rows)))
    both.compile(optimizer="adam", loss="binary_crossentropy")
    both.fit(X / 16, X / 16, epochs=2 if quick else 100, batch_size=32, verbose=0)
    return (
        lambda X: encoder.predict(X / 16, verbose=0),
        lambda Z: 16 * decoder.predict(Z, verbose=0),
    )


CODES = {
    "`PCA`": ("scikit-learn", train_ours(PCA)),
    "`MLPRegressor`, its middle layer": ("scikit-learn", train_regressor),
    "`ENCDR`": ("encdr", train_encdr(make_encdr)),
    "`VENCDR`": ("encdr", train_encdr(make_variational_encdr)),
    "pythae `AE`": ("pythae", train_pythae(variational=False)),
    "pythae `VAE`": ("pythae", train_pythae(variational=True)),
    "Keras, dense": ("keras", train_keras),
    "`AutoencoderTransformer`": ("skae", train_ours(AutoencoderTransformer)),
    "`VAETransformer`": ("skae", train_ours(VAETransformer)),
}


def compare_codes(quick):
    """Return a table of accuracy, error and seconds, and what is not installed."""
    X, y = load_digits(return_X_y=True)
    folds = list(StratifiedKFold(5).split(X, y))[: 1 if quick else None]
    runs, absent = {}, []
    for train_rows, test_rows in folds:  # in turn: the speed of a machine drifts
        for name, (distribution, train) in CODES.items():
            try:
                with quiet():
                    start = time.perf_counter()
                    encode, decode = train(X[train_rows], quick)
                    seconds = time.perf_counter() - start
                    Z = encode(X[train_rows]), encode(X[test_rows])
                    back = decode(Z[1])
            except ModuleNotFoundError:
                absent.append(distribution)
                continue
            classifier = make_pipeline(
                StandardScaler(), LogisticRegression(max_iter=5000)
            ).fit(Z[0], y[train_rows])
            runs.setdefault(name, []).append(
                (
                    classifier.score(Z[1], y[test_rows]),
                    np.square(back - X[test_rows]).sum(axis=1).mean(),
                    seconds,
                )
            )
    rows = {
        name: {
            "accuracy": f"{np.mean(values, axis=0)[0]:.3f}",
            "deviation": f"{np.std(values, axis=0)[0]:.3f}",
            "squared error": f"{np.mean(values, axis=0)[1]:.1f}",
            "seconds a fit": f"{np.median(values, axis=0)[2]:.1f}",
        }
        for name, values in runs.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index"), sorted(set(absent))


# -- the report ------------------------------------------------------------------------


def installed(names):
    """Return those estimators that can be made, and the distributions of the others."""
    found, absent = [], set()
    for name in names:
        try:
            with quiet():
                CONTENDERS[name].make()
        except ImportError:
            absent.add(CONTENDERS[name].distribution)
        else:
            found.append(name)
    return found, sorted(absent)


def print_table(table):
    """Print a table in Markdown."""
    print(table_text(["", *table], table.reset_index().to_numpy()), "\n")


def print_contracts(quick):
    """Print what holds of whom, and the errors behind the "no"."""
    names, absent = installed(CONTENDERS)
    print_versions(CONTENDERS[name].distribution for name in names)
    questions = [is_cloned, goes_back, repeats_an_answer] if quick else QUESTIONS
    table, reasons = compare_contracts(names, questions)
    print_table(table)
    for asked, errors in reasons.items():
        print(f"- {asked}")
        for reason, who in errors.items():
            print(f"  - {', '.join(who)}: {reason}")
    print_absent(absent)


def print_codes(quick):
    """Print what codes of digits are worth."""
    table, absent = compare_codes(quick)
    print_versions(CODES[name][0] for name in table.index)
    print_table(table)
    print_absent(absent)


def print_versions(distributions):
    """Print the versions of those that take part."""
    names = sorted({*distributions, "torch"})
    print(", ".join(f"{name} {version(name)}" for name in names), "\n")


def print_absent(distributions):
    """Print who could not take part."""
    for name in distributions:
        print(f"\nNot installed: {name}")


PARTS = {"contracts": print_contracts, "digits": print_codes}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", choices=PARTS, help="one of the tables")
    parser.add_argument(
        "--quick", action="store_true", help="some questions, one fold, few epochs"
    )
    arguments = parser.parse_args()
    for name, print_part in PARTS.items():
        if arguments.only in (None, name):
            print_part(arguments.quick)
            print()


if __name__ == "__main__":
    main()
