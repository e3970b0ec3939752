"""The tables on which models are compared: of ADBench, of scikit-learn, and faces.

ADBench's are read from adbench/*.npz in the folder named by the environment variable
SKAE_DATA, or in ../shared/data beside the repository; without either they are left out.
Faces are read from olivetti.npz there, census income from adult.data, or else
downloaded by scikit-learn.
"""

import os
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn import datasets

MOST_ROWS = 20_000
BUNDLED = {
    "breast cancer": datasets.load_breast_cancer,
    "diabetes": datasets.load_diabetes,
    "wine": datasets.load_wine,
    "digits": datasets.load_digits,
}
FACES = "olivetti"


def data_folder():
    """Return where the folder of the data should be."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    return Path(os.environ.get("SKAE_DATA", beside))


def table_names():
    """Return the names of all tables that there are."""
    files = (data_folder() / "adbench").glob("*.npz")
    numbered = sorted((int(f.stem.partition("_")[0]), f.stem) for f in files)
    return [*BUNDLED, *(name for _, name in numbered), FACES]


def load_table(name):
    """Return the rows of a table, float64; 20,000 of them, drawn once, if it has more.

    Parameters
    ----------
    name : str
        One of `table_names`.

    Returns
    -------
    ndarray of shape (n_rows, n_features)
    """
    if name in BUNDLED:
        X = BUNDLED[name]().data
    elif name == FACES:
        X = _load_faces()
    else:
        X = np.load(data_folder() / "adbench" / f"{name}.npz")["X"]
    if len(X) > MOST_ROWS:
        X = X[np.random.RandomState(0).permutation(len(X))[:MOST_ROWS]]
    return X.astype(np.float64)


def _load_faces():
    path = data_folder() / f"{FACES}.npz"
    if path.is_file():
        return np.load(path)["X"].reshape(400, -1)
    return datasets.fetch_olivetti_faces().data


def load_census(*, holes=True):
    """Return census income, UCI Adult, with text as categories.

    Parameters
    ----------
    holes : bool, default=True
        Whether what is not known is missing, or else a category of its own.

    Returns
    -------
    DataFrame
        The last column is the income.
    """
    path = data_folder() / "adult.data"
    if path.is_file():
        table = pd.read_csv(path, skipinitialspace=True, na_values="?")
        table.columns = table.columns.str.strip()
    else:
        table = datasets.fetch_openml("adult", version=2, as_frame=True).frame
    table = table.rename(columns={table.columns[-1]: "income"})
    return as_categories(table, holes)


def made_up_census(n_rows, *, holes=True):
    """Return a table with the columns of `load_census` that the benchmark names."""
    noise = np.random.RandomState(0)
    walk = noise.randint(3, size=n_rows)
    table = pd.DataFrame(
        {
            "age": 20 + 15 * walk + noise.randint(20, size=n_rows),
            "education-num": 8 + 3 * walk,
            "capital-gain": 2000 * (walk == 2),
            "capital-loss": 1000 * (noise.uniform(size=n_rows) < 0.1),
            "hours-per-week": noise.choice([20, 40, 40, 50], size=n_rows),
            "occupation": np.array(["Sales", "Craft", "Manager"], dtype=object)[walk],
            "country": noise.choice(list("abcdefghijklmnop"), size=n_rows),
            "income": np.where(walk + noise.randn(n_rows) > 1.5, ">50K", "<=50K"),
        }
    )
    table.loc[::9, "occupation"] = None
    return as_categories(table, holes)


def as_categories(table, holes):
    """Return a table with text as categories, missing or `?` where it has holes."""
    text = table.select_dtypes(exclude="number").astype(object)
    text = (text if holes else text.fillna("?")).astype("category")
    return table.assign(**dict(text.items()))
