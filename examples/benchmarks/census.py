"""Census income: codes to classify by, and synthetic rows, from the raw table.

    python examples/benchmarks/census.py              # three quarters of an hour
    python examples/benchmarks/census.py --seeds 0 --parts codes
    python examples/benchmarks/census.py --quick      # seconds: does it run?

The table is UCI Adult: adult.data in the folder named by the environment variable
SKAE_DATA, or in ../shared/data beside the repository, or else downloaded by
scikit-learn. A fifth of the rows is held out, other rows with each seed.

Codes: `VAETransformer` and logistic regression in a Pipeline, straight from the
DataFrame, beside one-hot codes and scaled numbers with the same classifier, which has
ten times the columns. The classifier is linear, so a network of two linear maps suits
it; that of the default is trained for few passes here, because more bend its codes.
`boosted` is the accuracy of gradient boosting on the same features.

Kinds: what an `AutoencoderTransformer` of as many components gets wrong of held-out
rows, beside principal components of one-hot codes and scaled numbers, and the most
frequent category and mean of each column. The error of categories is the share of
wrong ones, that of numbers is in squared standard deviations; both are means over
columns.

Synthetic rows: as many as there are to train on, income among the columns. A gradient
boosting classifier tells them from held-out rows (area under the ROC curve, of
cross-validation; 0.5 is chance), and another learns the income from them, or from the
real ones, to tell that of held-out rows. `all numbers` has numbers as they are;
`as categories` declares the columns of whole numbers that take few values categories.
"""

import argparse
import sys
import time
from functools import partial

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from speed_report import print_parts, table_text
from tables import load_census, made_up_census

from skae import AutoencoderTransformer, VAETransformer
from skae.architectures import MLP

# Columns of whole numbers that take at most 119 values, one of them often: 0 or 40.
FEW_VALUES = ["age", "education-num", "capital-gain", "capital-loss", "hours-per-week"]
DENSITIES = ("prior", "aggregate", "mixture")
N_EPOCHS, N_COMPONENTS = 30, 16
# With passes over the rows: codes for a linear classifier are best after few.
NETWORKS = {"codes": ("auto", 10), "codes, linear": (MLP(()), 30)}
INCOME = "income"
SEPARATOR = " = "
PARTS = {
    "codes": "Codes for a linear classifier",
    "kinds": "Errors of both kinds of columns",
    "rows": "Synthetic rows",
}


def text_columns(table):
    """Return the names of the columns that have categories."""
    return table.select_dtypes("category").columns.tolist()


# -- codes ---------------------------------------------------------------------------


def one_hot_classifier(X):
    """Return logistic regression on one-hot codes and scaled numbers."""
    text = text_columns(X)
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), text),
        (StandardScaler(), X.columns.difference(text).tolist()),
    )
    return make_pipeline(columns, LogisticRegression(max_iter=2000))


def code_classifier(n_components, architecture, n_epochs, seed):
    """Return logistic regression on the codes of a VAE."""
    vae = VAETransformer(
        n_components,
        architecture=architecture,
        handle_unknown="ignore",
        max_epochs=n_epochs,
        random_state=seed,
    )
    return make_pipeline(vae, LogisticRegression(max_iter=2000))


def compare_codes(table, n_epochs, seed):
    """Return columns, accuracy and seconds by the name of the features."""
    X, y = table.drop(columns=INCOME), table[INCOME]
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=0.2, random_state=seed
    )
    rows = X_train, X_test, y_train, y_test
    one_hot = fit_and_score(one_hot_classifier(X), *rows)
    results = {"one-hot, scaled": one_hot}
    for name, (architecture, most) in NETWORKS.items():
        n_components = one_hot["columns"] // 10
        most = min(most, n_epochs)
        codes = code_classifier(n_components, architecture, most, seed)
        results[name] = fit_and_score(codes, *rows)
    return results


def fit_and_score(classifier, X_train, X_test, y_train, y_test):
    """Return columns, accuracies and seconds of a Pipeline with a classifier."""
    start = time.perf_counter()
    classifier.fit(X_train, y_train)
    seconds = time.perf_counter() - start
    features = classifier[:-1]
    train, test = (_dense(features.transform(X)) for X in (X_train, X_test))
    boosted = HistGradientBoostingClassifier(random_state=0).fit(train, y_train)
    return {
        "columns": classifier[-1].n_features_in_,
        "accuracy": classifier.score(X_test, y_test),
        "boosted": boosted.score(test, y_test),
        "seconds": seconds,
    }


def _dense(X):
    return X.toarray() if hasattr(X, "toarray") else X


# -- both kinds of columns -------------------------------------------------------------


def compare_kinds(table, n_epochs, seed):
    """Return the mean error of either kind of column by the name of the model."""
    train, test = train_test_split(table, test_size=0.2, random_state=seed)
    autoencoder = AutoencoderTransformer(
        10, handle_unknown="ignore", max_epochs=n_epochs, random_state=seed
    ).fit(train)
    constant = train.mode().iloc[:1].loc[[0] * len(test)].set_axis(test.index)
    numbers = train.columns.difference(text_columns(train))
    constant[numbers] = train[numbers].mean().to_numpy()
    models = {
        "constant": constant,
        "principal components": reconstruct_by_pca(train, test, 10),
        "autoencoder": autoencoder.reconstruct(test),
    }
    return {name: errors_of(rows, test) for name, rows in models.items()}


def reconstruct_by_pca(train, test, n_components):
    """Return rows that principal components of one-hot codes reconstruct."""
    text = text_columns(train)
    numbers = train.columns.difference(text).tolist()
    scaler = StandardScaler().fit(train[numbers])
    codes, test_codes = (
        pd.get_dummies(rows[text], dtype=float, prefix_sep=SEPARATOR).join(
            pd.DataFrame(scaler.transform(rows[numbers]), rows.index, numbers)
        )
        for rows in (train, test)
    )
    pca = PCA(n_components).fit(codes)
    back = pca.inverse_transform(pca.transform(test_codes))
    back = pd.DataFrame(back, test.index, codes.columns)
    result = test.copy()
    result[numbers] = scaler.inverse_transform(back[numbers])
    for name in text:
        own = back.filter(regex=f"^{name}{SEPARATOR}")
        result[name] = own.idxmax(axis=1).str.removeprefix(f"{name}{SEPARATOR}")
    return result


def errors_of(rows, truth):
    """Return the mean error of categories and of numbers."""
    text = text_columns(truth)
    wrong = [
        (rows[name].astype(object) != truth[name].astype(object))[truth[name].notna()]
        for name in text
    ]
    numbers = truth.columns.difference(text)
    squares = ((rows[numbers] - truth[numbers]) ** 2).mean() / truth[numbers].var()
    return {
        "categories": np.mean([column.mean() for column in wrong]),
        "numbers": squares.mean(),
    }


# -- synthetic rows --------------------------------------------------------------------


def compare_rows(table, n_epochs, seed):
    """Return area and accuracies by the name of the model and of the density."""
    train, test = train_test_split(table, test_size=0.2, random_state=seed)
    accuracy = income_accuracy(train, test)
    results = {}
    for name, more in {"all numbers": [], "as categories": FEW_VALUES}.items():
        vae = VAETransformer(
            N_COMPONENTS,
            categorical_features=text_columns(table) + more,
            max_epochs=n_epochs,
            random_state=seed,
        ).fit(train)
        for density in DENSITIES:
            rows = vae.sample(len(train), random_state=seed, density=density)
            results[name, density] = {
                "told apart": told_apart(test, rows.iloc[: len(test)]),
                "trained on real": accuracy,
                "on synthetic": income_accuracy(rows, test),
            }
    return results


def told_apart(real, synthetic):
    """Return the area under the ROC curve of a classifier of real and synthetic."""
    rows = pd.concat([real, synthetic], ignore_index=True).astype(real.dtypes)
    is_real = np.repeat([1, 0], [len(real), len(synthetic)])
    classifier = HistGradientBoostingClassifier(random_state=0)
    scores = cross_val_predict(classifier, rows, is_real, cv=5, method="predict_proba")
    return roc_auc_score(is_real, scores[:, 1])


def income_accuracy(train, test):
    """Return how often a classifier that learns from one table is right on another."""
    classifier = HistGradientBoostingClassifier(random_state=0)
    classifier.fit(train.drop(columns=INCOME), train[INCOME])
    return classifier.score(test.drop(columns=INCOME), test[INCOME])


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument(
        "--quick", action="store_true", help="400 rows that are made up, two epochs"
    )
    arguments = parser.parse_args()
    n_epochs, seeds, load = N_EPOCHS, arguments.seeds, load_census
    if arguments.quick:
        n_epochs, seeds, load = 2, [0], partial(made_up_census, 400)
    # holes are left to the estimators; in synthetic rows they are a category
    holed, whole = (load(holes=holes) for holes in (True, False))
    parts = {
        "codes": (compare_codes, holed),
        "kinds": (compare_kinds, holed),
        "rows": (compare_rows, whole),
    }
    report = []
    for name in arguments.parts:
        compare, table = parts[name]
        runs = []
        for seed in seeds:
            runs.append(pd.DataFrame(compare(table, n_epochs, seed)).T)
            print(f"{name}, seed {seed}\n{runs[-1].to_string()}", file=sys.stderr)
        report += [f"## {PARTS[name]}", figures_text(runs)]
    settings = {"seeds": ", ".join(map(str, seeds))}
    print_parts("Census income", report, settings=settings, quick=arguments.quick)


def figures_text(runs):
    """Return means and deviations over seeds, a line for each model."""
    means = sum(runs) / len(runs)
    deviations = np.std(runs, axis=0)  # (n_models, n_figures)
    lines = [
        [
            name if isinstance(name, str) else ", ".join(name),
            *(f"{m:.4g} ± {d:.2g}" for m, d in zip(row, deviation, strict=True)),
        ]
        for (name, row), deviation in zip(means.iterrows(), deviations, strict=True)
    ]
    return table_text(["", *means.columns], lines)


if __name__ == "__main__":
    main()
