"""The tables on which models are compared: of ADBench, of scikit-learn, and faces.

ADBench's are read from adbench/*.npz in the folder named by the environment variable
SKAE_DATA, or in ../shared/data beside the repository; without either they are left out.
Faces are read from olivetti.npz there, or else downloaded by scikit-learn.
"""

import os
from pathlib import Path

import numpy as np
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
