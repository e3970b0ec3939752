"""Files of models that have been tampered with: what comes of loading them.

    python tests/stress/mutate_files.py              # 10,000 and 2,000, some minutes
    python tests/stress/mutate_files.py --random 500 --signed 500 --seed 1

Random mutations change bytes, cut, repeat or swap parts. Signed ones change what is in
a file, an array or a value of its tree, and put the right checksum on it, as whoever
means harm would. For each file one of these comes out:

- `refused`: a `ModelFileError`;
- `same`: a model that answers as the one that was saved;
- `other`: a sound model that answers with finite numbers, but others;
- `missing parameter`: the file says that `save` was told to omit something;
- `unclean`: any other error, of `load` or of a method;
- `nan`: a model that answers what is not a number.

Random ones must be refused, or the same; of signed ones none may be unclean or nan.
Nobody can tell a weight that has been changed from one that was learned: a checksum is
for accidents, and no signature.
"""

import argparse
import copy
import json
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.numpy import load, save

import skae
from skae import (
    AutoencoderImputer,
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    VAETransformer,
    VAETransformerCV,
)
from skae._storage._file import LENGTH_BYTES, NAME, checksum
from skae.architectures import MLP, Conv
from skae.corruptions import GaussianNoise

ODD = (
    None, True, -1, 0, 1, 2, 7, 2**31, 2**63, -(2**70), 1e300, -0.5, 0.5, "", "x",
    "auto", "cuda", "__class__", "fit", [], [1], {"tuple": []}, {"dict": []},
    {"float": "nan"}, {"float": "inf"}, {"ref": 0}, {"ref": 10**6}, {"object": []},
    {"object": ["MLP", []]}, {"object": ["Popen", []]}, {"call": ["os.system", "ls"]},
)  # fmt: skip


def models():
    """Return small fitted models by name, each with rows for it."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 4)) + rng.normal(size=(60, 1))
    holed = np.where(rng.random(X.shape) < 0.1, np.nan, X)
    table = pd.DataFrame(X[:, :2], columns=["a", "b"])
    table["kind"] = pd.Categorical(rng.choice(["x", "y", "z"], 60))
    small = {"architecture": MLP((6,)), "max_epochs": 2, "random_state": 0}
    ae = AutoencoderTransformer(2, **small)
    vae = VAETransformer(2, **small)
    images = AutoencoderTransformer(
        2, architecture=Conv((2,)), image_shape=(1, 4, 4), max_epochs=1, random_state=0
    )
    noisy = ae.set_params(corruption=GaussianNoise(0.1))
    made = {
        "autoencoder": (noisy, X),
        "VAE": (vae, X),
        "VAE of a table": (VAETransformer(2, **small), table),
        "chosen VAE": (VAETransformerCV((1, 2), betas=1.0, cv=2, **small), X),
        "images": (images, rng.random((60, 16))),
        "imputer": (AutoencoderImputer(ae, similar_rows=True, random_state=0), holed),
        "imputer with draws": (
            AutoencoderImputer(
                ae, n_imputations=2, sample_posterior=True, random_state=0
            ),
            holed,
        ),
        "detector": (AutoencoderOutlierDetector(ae, cv=2, random_state=0), X),
        "detector of a table": (
            AutoencoderOutlierDetector(vae, cv=2, random_state=0),
            table,
        ),
    }
    return {name: (e.fit(rows), rows) for name, (e, rows) in made.items()}


def answers(model, rows):
    """Return what the methods of a model make of rows, as arrays of numbers."""
    found = []
    for name in ("transform", "reconstruct", "score_samples", "p_values"):
        method = getattr(model, name, None)
        if method is not None:
            result = method(rows)
            if hasattr(result, "columns"):
                result = result.select_dtypes("number").to_numpy()
            found.append(np.asarray(result, float))
    return found


# -- mutations -------------------------------------------------------------------------


def mutate_bytes(data, rng):
    """Return bytes with one accident."""
    data, n = bytearray(data), len(data)
    kind, i = rng.integers(6), int(rng.integers(n))
    if kind == 0:
        data[i] ^= 1 << int(rng.integers(8))
    elif kind == 1:
        for j in rng.integers(n, size=rng.integers(2, 20)):
            data[j] = rng.integers(256)
    elif kind == 2:
        del data[i:]
    elif kind == 3:
        del data[i : i + int(rng.integers(1, 64))]
    elif kind == 4:
        data[i:i] = rng.bytes(int(rng.integers(1, 64)))
    else:
        j, size = int(rng.integers(n)), int(rng.integers(1, 64))
        data[i : i + size] = data[j : j + size]
    return bytes(data)


def mutate_signed(data, rng):
    """Return a file with something else in it, and the right checksum."""
    stop = LENGTH_BYTES + int.from_bytes(data[:LENGTH_BYTES], "little")
    signed = json.loads(data[LENGTH_BYTES:stop])["__metadata__"][NAME]
    document, arrays = json.loads(signed.partition(" ")[2]), load(data)
    if rng.random() < 0.4:
        mutate_array(arrays, rng)
    else:
        mutate_tree(document, rng)
    text = json.dumps(document)
    return save(arrays, {NAME: f"{checksum(text, arrays)} {text}"})


def mutate_array(arrays, rng):
    """Change one array in place."""
    names = sorted(arrays)
    name = names[rng.integers(len(names))]
    array, kind = arrays[name], rng.integers(7)
    if kind == 0:
        del arrays[name]
    elif kind == 1:
        arrays[name] = array[..., :-1].copy() if array.ndim else array[None]
    elif kind == 2:
        other = rng.choice(["float16", "float32", "float64", "int64", "uint8", "bool"])
        with np.errstate(all="ignore"):
            arrays[name] = array.astype(other)
    elif kind == 3:
        arrays[name] = arrays[names[rng.integers(len(names))]].copy()
    elif kind == 4 and array.size and array.dtype.kind == "f":
        array = array.copy()
        odd = rng.choice([np.nan, np.inf, -np.inf, 0.0, -1.0, 1e300, 1e-300])
        with np.errstate(over="ignore"):
            array.flat[rng.integers(array.size)] = odd
        arrays[name] = array
    elif kind == 5 and array.size:
        array = array.copy()
        array.flat[rng.integers(array.size)] = 0
        arrays[name] = array
    else:
        arrays[name] = array[None].copy()


def mutate_tree(document, rng):
    """Change one value, key or item of a nested document in place."""
    places = []

    def walk(node):
        if isinstance(node, dict | list):
            for key in node if isinstance(node, dict) else range(len(node)):
                places.append((node, key))
                walk(node[key])

    walk(document)
    node, key = places[rng.integers(len(places))]
    kind = rng.integers(4)
    if kind == 0:
        del node[key]
    elif kind == 1 and isinstance(node, list):
        node.insert(key, copy.deepcopy(node[rng.integers(len(node))]))
    elif kind == 2:
        other, at = places[rng.integers(len(places))]
        node[key] = copy.deepcopy(other[at])
    else:
        node[key] = copy.deepcopy(ODD[rng.integers(len(ODD))])


def judge(path, rows, expected):
    """Return what comes of loading a file, and the error if it is unclean."""
    try:
        model = skae.load(path)
    except skae.persistence.ModelFileError:
        return "refused", None
    except TypeError as error:
        if "save was told to omit" in str(error):
            return "missing parameter", None
        return "unclean", error
    except Exception as error:
        return "unclean", error
    try:
        found = answers(model, rows)
    except Exception as error:
        return "unclean", error
    if not all(np.isfinite(own).all() for own in found):
        return "nan", None
    is_same = len(found) == len(expected) and all(
        own.shape == other.shape and (own == other).all()
        for own, other in zip(found, expected, strict=True)
    )
    return ("same" if is_same else "other"), None


def run(n_random, n_signed, seed, show=False):
    """Return counts of what came out of random and of signed mutations."""
    rng, counts = (
        np.random.default_rng(seed),
        {"random": Counter(), "signed": Counter()},
    )
    fitted = models()
    names = list(fitted)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path, files = Path(folder) / "model.skae", {}
        for name, (model, rows) in fitted.items():
            model.save(path)
            files[name] = path.read_bytes(), answers(model, rows)
        for kind, mutate, n in (
            ("random", mutate_bytes, n_random),
            ("signed", mutate_signed, n_signed),
        ):
            for i in range(n):
                name = names[i % len(names)]
                data, expected = files[name]
                changed = mutate(data, rng)
                path.write_bytes(changed)
                verdict, error = judge(path, fitted[name][1], expected)
                if changed == data:
                    verdict = "same"
                counts[kind][verdict] += 1
                if error is not None and show:
                    import traceback

                    print(kind, i, name, repr(error)[:300])
                    traceback.print_tb(error.__traceback__, limit=-4)
                if verdict == "nan" and show:
                    print(kind, i, name, "NAN")
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--random", type=int, default=10_000)
    parser.add_argument("--signed", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", action="store_true", help="print unclean errors")
    arguments = parser.parse_args()
    counts = run(arguments.random, arguments.signed, arguments.seed, arguments.show)
    for kind, own in counts.items():
        print(kind, dict(own))
    bad = counts["random"].keys() - {"refused", "same"}
    bad |= counts["signed"].keys() & {"unclean", "nan"}
    sys.exit(f"failed: {sorted(bad)}" if bad else 0)


if __name__ == "__main__":
    main()
