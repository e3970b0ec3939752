"""
Census: from a raw CSV file to a classifier, and to rows of nobody
==================================================================

A table has numbers, categories and holes. A VAE takes it as it is: categories get laws
of their own, and what is missing costs nothing. Its codes are numbers that a linear
classifier can use, a tenth as many as one-hot codes are. And it draws new rows, with
the columns, dtypes and categories of the table, which stand for nobody.

Run it with ``python examples/census.py``; it takes about a minute. It reads UCI Adult
from adult.data in the folder named by the environment variable SKAE_DATA, or in
../shared/data beside the repository; without either, it makes a table up.
"""

# %%
# The data: what adults in the census of 1994 earn. A ``?`` is a missing value. The
# table that is made up is of the same kind: people of three walks of life.

import argparse
import io
import os
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skae import VAETransformer
from skae.architectures import MLP

N_ROWS = 8000
FEW_VALUES = ["capital-gain", "capital-loss", "hours-per-week"]


def find_csv():
    """Return adult.data, or a file in memory of the same kind."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    path = Path(os.environ.get("SKAE_DATA", beside)) / "adult.data"
    return path if path.is_file() else io.StringIO(make_up(N_ROWS).to_csv(index=False))


def make_up(n_rows, random_state=0):
    """Return a table of people: their walk of life decides about all columns."""
    noise = np.random.RandomState(random_state)
    walk = noise.randint(3, size=n_rows)

    def one_of(*names):
        # mostly the one of the walk, sometimes any
        which = np.where(some(0.2), noise.randint(3, size=n_rows), walk)
        return np.where(some(0.05), "?", np.array(names)[which])

    def some(share):
        return noise.uniform(size=n_rows) < share

    age = noise.normal(30 + 8 * walk, 8).clip(17, 90).round().astype(int)
    earns = some(np.array([0.05, 0.3, 0.7])[walk])
    return pd.DataFrame(
        {
            "age": age,
            "education": one_of("School", "College", "Doctorate"),
            "occupation": one_of("Sales", "Craft", "Manager"),
            "relationship": one_of("Child", "Single", "Married"),
            "capital-gain": np.where(some(0.8), 0, 1500 * walk),
            "hours-per-week": noise.choice([20, 40, 40, 50], size=n_rows),
            "Salary": np.where(earns, ">50K", "<=50K"),
        }
    )


def read_table(file):
    """Return a table from a CSV file, with text as categories."""
    table = pd.read_csv(file, skipinitialspace=True, na_values="?")
    table.columns = table.columns.str.strip()
    text = table.select_dtypes(exclude="number").columns
    return table.astype(dict.fromkeys(text, "category")).iloc[:N_ROWS]


# %%
# Codes. ``handle_unknown="ignore"`` treats a category that is new to the VAE as
# missing, as one-hot codes do. The classifier is linear, so the network is, too.


def compare_classifiers(table, n_epochs):
    """Return the number of columns and the accuracy on held-out rows."""
    X, y = table.iloc[:, :-1], table.iloc[:, -1]
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    one_hot = make_column_transformer(
        (
            OneHotEncoder(handle_unknown="ignore"),
            make_column_selector(dtype_include="category"),
        ),
        remainder=StandardScaler(),
    )
    width = one_hot.fit(X_train).transform(X_train[:1]).shape[1]
    vae = VAETransformer(
        max(2, width // 10),
        architecture=MLP(()),
        handle_unknown="ignore",
        max_epochs=n_epochs,
        random_state=0,
    )
    lines = {}
    for name, features in {"one-hot, scaled": one_hot, "codes of a VAE": vae}.items():
        classifier = make_pipeline(features, LogisticRegression(max_iter=2000))
        accuracy = classifier.fit(X_train, y_train).score(X_test, y_test)
        lines[name] = {"columns": classifier[-1].n_features_in_, "accuracy": accuracy}
    return pd.DataFrame(lines).T


# %%
# New rows. A column of few values, most of them the same, is no matter of a mean and a
# deviation: hours, gains and losses are taken as categories, too.


def draw_rows(table, n_epochs):
    """Return rows that a VAE draws, as many as the table has."""
    text = table.select_dtypes("category").columns.tolist()
    vae = VAETransformer(
        5,
        categorical_features=text + table.columns.intersection(FEW_VALUES).tolist(),
        max_epochs=n_epochs,
        random_state=0,
    )
    return vae.fit(table).sample(len(table), random_state=0)


def compare_shares(table, drawn):
    """Return how often those with each relationship earn more, and work how long."""
    earn = table.columns[-1]
    columns = {}
    for name, rows in {"real": table, "drawn": drawn}.items():
        groups = rows.groupby("relationship", observed=True)
        most = table[earn].cat.categories[-1]
        columns[f"{most}, {name}"] = groups[earn].agg(lambda c, m=most: (c == m).mean())
        columns[f"hours, {name}"] = groups["hours-per-week"].mean()
    return pd.DataFrame(columns)


def main(quick):
    n_epochs = 2 if quick else 30
    table = read_table(find_csv())
    if quick:
        table = table[:600]
    holes = table.isna().to_numpy().mean()
    print(f"{len(table)} rows, {table.shape[1]} columns, {holes:.1%} missing")
    print(compare_classifiers(table, n_epochs).round(3).to_string(), end="\n\n")
    drawn = draw_rows(table, n_epochs)
    print(drawn.head().to_string(), end="\n\n")
    print(compare_shares(table, drawn).round(2).to_string())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="From raw CSV to classifier.")
    parser.add_argument("--quick", action="store_true", help="few rows, two epochs")
    main(parser.parse_args().quick)
