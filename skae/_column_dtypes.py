"""dtypes of columns as plain values, for pickles and files, and back."""

import numpy as np
import pandas as pd

# dtypes of polars without parameters that columns can have.
POLARS_DTYPES = (
    "Boolean", "Categorical", "Float32", "Float64", "Int8", "Int16", "Int32", "Int64",
    "String", "UInt8", "UInt16", "UInt32", "UInt64",
)  # fmt: skip


def export_dtype(dtype):
    """Return a dtype of numpy, pandas or polars as a dict of plain values, or None.

    Parameters
    ----------
    dtype : dtype or None
        What `dtype` of a column is.
    """
    if dtype is None:
        return None
    if isinstance(dtype, np.dtype):
        return {"library": "numpy", "name": "O" if dtype.kind == "O" else dtype.str}
    if isinstance(dtype, pd.CategoricalDtype) and dtype.categories is not None:
        known = dtype.categories
        return {
            "library": "pandas",
            "name": "category",
            "categories": known.to_numpy(),
            "of": export_dtype(known.dtype),
            "ordered": bool(dtype.ordered),
        }
    if isinstance(dtype, pd.api.extensions.ExtensionDtype):
        return {"library": "pandas", "name": str(dtype)}
    # of polars: a class, or an instance of one
    name = getattr(dtype, "__name__", type(dtype).__name__)
    if name == "Enum":
        categories = dtype.categories.to_list()
        return {"library": "polars", "name": name, "categories": categories}
    return {"library": "polars", "name": name}


def import_dtype(state):
    """Return the dtype that `export_dtype` described.

    Raises
    ------
    ValueError, TypeError
        If there is no such dtype.
    """
    if state is None:
        return None
    library, name = state["library"], state["name"]
    if library == "numpy":
        return np.dtype(name)
    if library == "pandas":
        if "categories" not in state:
            return pd.api.types.pandas_dtype(name)
        known = pd.Index(state["categories"], dtype=import_dtype(state["of"]))
        return pd.CategoricalDtype(known, ordered=state["ordered"])
    import polars as pl

    if name == "Enum":
        return pl.Enum(state["categories"])
    if name not in POLARS_DTYPES:
        raise ValueError(f"{name!r} is no dtype of a column")
    return getattr(pl, name)()
