"""`save` and `load`: nothing is lost, and nothing is let in."""

import errno
import io
import json
import os
import pickle
import subprocess
import sys
import tarfile
import zipfile
from importlib import import_module
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import save as save_arrays
from sklearn.base import clone
from sklearn.datasets import load_wine
from skorch.callbacks import Callback

import skae
from skae import (
    AutoencoderImputer,
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    VAETransformer,
    VAETransformerCV,
)
from skae._storage import _file
from skae._storage._tree import Decoder, Encoder, NotStorableError
from skae.architectures import MLP, Conv, DenoisingMLP, RestoringMLP, UNet
from skae.corruptions import Blur, GaussianNoise, Masking, Patch, SaltAndPepper
from skae.likelihoods import Ordinal, PerColumn, Poisson
from skae.penalties import Contractive, Sparse
from skae.persistence import ModelFileError

STRESS = Path(__file__).parent / "stress"

X = load_wine().data[:, :5]
HOLED = np.where(np.random.RandomState(0).uniform(size=X.shape) < 0.1, np.nan, X)
COUNTS = np.random.RandomState(0).poisson(4.0, size=(60, 4)).astype(float)
COUNTS *= np.arange(60)[:, None] % 3
IMAGES = np.random.RandomState(0).uniform(size=(40, 16))
TABLE = pd.DataFrame(X[:, :3], columns=["alcohol", "acid", "ash"]).assign(
    kind=pd.Categorical(np.array(list("abc"))[load_wine().target]),
    year=pd.array(np.arange(len(X)) % 7, dtype="Int64"),
    dry=load_wine().target > 1,
)
TABLE.loc[::9, "kind"] = None

FAST = {"max_epochs": 2, "random_state": 0}
SMALL = FAST | {"architecture": MLP((6,))}
IMAGE = FAST | {"image_shape": (1, 4, 4)}

AE, VAE = AutoencoderTransformer, VAETransformer

MODELS = {
    "AE": (AE(2, **FAST), X),
    "AE, linear, not all components": (AE(0.9, architecture=MLP(()), **FAST), X),
    "AE, batch norm": (AE(2, architecture=MLP((8,), normalization="batch"), **FAST), X),
    "AE, ordered": (AE(3, ordered=True, **FAST), X),
    "AE, noise and masks": (
        AE(2, corruption=[GaussianNoise(0.3, relative=True), Masking(0.1)], **SMALL),
        X,
    ),
    "AE, sparse": (AE(4, penalty=Sparse("kl"), **SMALL), X),
    "AE, contractive": (AE(2, penalty=Contractive(), **SMALL), X),
    "AE, holes": (AE(2, **SMALL), HOLED),
    "AE, restorer": (
        AE(
            architecture=RestoringMLP((6,)),
            corruption=Masking("random", fill="missing"),
            **FAST,
        ),
        HOLED,
    ),
    "AE, denoiser": (AE(architecture=DenoisingMLP((6,)), **FAST), X),
    "AE, images": (AE(2, architecture=Conv((2,)), **IMAGE), IMAGES),
    "AE, U-Net": (
        AE(
            architecture=UNet((2, 4), n_blocks=1),
            corruption=[Patch(2), SaltAndPepper(0.1), Blur(0.5)],
            **IMAGE,
        ),
        IMAGES,
    ),
    "AE, table": (AE(2, **SMALL), TABLE),
    "VAE": (VAE(2, **FAST), X),
    "VAE, warm start": (VAE(2, warm_start=True, **SMALL), X),
    "VAE, draws": (VAE(2, elbo="importance_weighted", n_draws=3, **SMALL), X),
    "VAE, counts": (VAE(2, likelihood=Poisson(), **SMALL), COUNTS),
    "VAE, levels": (VAE(2, likelihood=Ordinal(17), **SMALL), COUNTS),
    "VAE, table": (VAE(2, **SMALL), TABLE),
    "VAE, laws of columns": (
        VAE(2, likelihood=PerColumn({0: "laplace"}, rest="gaussian"), **SMALL),
        X,
    ),
    "VAE, chosen": (VAETransformerCV((1, 2), betas=(0.5, 1.0), cv=2, **SMALL), X),
    "imputer": (AutoencoderImputer(AE(2, **SMALL), similar_rows=True), HOLED),
    "imputer, members": (
        AutoencoderImputer(AE(2, **SMALL), n_members=2, add_indicator=True), HOLED
    ),
    "imputer, draws": (
        AutoencoderImputer(
            AE(2, **SMALL), sample_posterior=True, n_imputations=2, random_state=0
        ),
        HOLED,
    ),
    "imputer, table": (
        AutoencoderImputer(
            AE(2, **SMALL), sample_posterior=True, n_imputations=2, random_state=0
        ),
        TABLE,
    ),
    "detector": (AutoencoderOutlierDetector(AE(2, **SMALL), random_state=0), X),
    "detector, members, VAE": (
        AutoencoderOutlierDetector(
            VAE(2, **SMALL), cv=2, n_members=2, contamination=0.1, random_state=0
        ),
        X,
    ),
    "detector, default": (AutoencoderOutlierDetector(cv=2, random_state=0), X),
    "detector, default, outliers": (
        AutoencoderOutlierDetector(cv=2, contamination=0.1, random_state=0),
        TABLE,
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def fitted():
    """Return each model by name when it is asked for, fitted once."""
    made = {}

    def fit(name):
        if name not in made:
            model, rows = MODELS[name]
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("skae._restorers.STEPS", 10)
                made[name] = clone(model).fit(rows)
        return made[name], MODELS[name][1]

    return fit


def answers(model, rows):
    """Return what every method of a model makes of rows."""
    found = {}
    for name in (
        "transform", "reconstruct", "score_samples", "predict", "p_values",
        "explain", "encode_distribution", "reconstruct_proba", "imputation_spread",
        "sample_imputations",
    ):  # fmt: skip
        method = getattr(model, name, None)
        if name == "imputation_spread" and getattr(model, "n_members", 1) < 2:
            continue
        if name == "reconstruct_proba" and getattr(model, "is_categorical_", 1) is None:
            continue
        if method is not None:
            options = {"random_state": 0} if name == "sample_imputations" else {}
            found[name] = method(rows, **options)
    if hasattr(model, "sample") and model._kept_codes is not None:
        found["sample"] = model.sample(5, random_state=0)
        found["history"] = model.history_
    return found


def assert_same(found, expected):
    """Raise unless nested results are the same to the bit, dtypes and names too."""
    assert type(found) is type(expected)
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            assert_same(found[key], value)
    elif isinstance(expected, list | tuple):
        for own, other in zip(found, expected, strict=True):
            assert_same(own, other)
    elif isinstance(expected, pd.DataFrame):
        pd.testing.assert_frame_equal(found, expected, check_exact=True)
    else:
        np.testing.assert_array_equal(found, expected, strict=True)


# -- nothing is lost -------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_the_same_to_the_bit_after_a_file(fitted, name, tmp_path):
    model, rows = fitted(name)
    model.save(tmp_path / "model.skae")
    again = skae.load(tmp_path / "model.skae")
    assert type(again) is type(model)
    assert repr(again) == repr(model)
    assert_same(answers(again, rows), answers(model, rows))
    again.save(tmp_path / "again.skae")
    first, second = (tmp_path / f"{n}.skae" for n in ("model", "again"))
    assert first.read_bytes() == second.read_bytes()
    assert pickle.loads(pickle.dumps(again)).get_params().keys() == (
        model.get_params().keys()
    )


@pytest.mark.parametrize("cls", [AE, VAE])
def test_training_goes_on_from_a_file_as_from_the_model(cls, tmp_path):
    model = cls(2, architecture=MLP((6,), dropout=0.2), random_state=0)
    model.partial_fit(X).partial_fit(X)
    model.save(tmp_path / "model.skae")
    again = skae.load(tmp_path / "model.skae")
    for one in (model, again):
        one.partial_fit(X)
    assert_same(again.transform(X), model.transform(X))
    assert again.n_epochs_ == 3


def test_tables_of_polars_come_back_as_such(tmp_path):
    polars = pytest.importorskip("polars")
    table = polars.from_pandas(TABLE.drop(columns="year")).with_columns(
        polars.col("kind").cast(polars.Enum(["c", "b", "a"]))
    )
    model = VAE(2, **SMALL).fit(table)
    model.save(tmp_path / "model.skae")
    again = skae.load(tmp_path / "model.skae")
    sample = again.sample(5, random_state=0)
    assert sample.equals(model.sample(5, random_state=0))
    assert sample.schema == table.schema


def test_what_set_output_has_set_is_kept(tmp_path):
    model = AE(2, **SMALL).fit(X).set_output(transform="pandas")
    model.save(tmp_path / "model.skae")
    again = skae.load(tmp_path / "model.skae")
    pd.testing.assert_frame_equal(again.transform(X), model.transform(X))


def test_a_model_that_is_not_fitted_keeps_its_parameters(tmp_path):
    model = AutoencoderImputer(VAE(beta=np.float64(0.1), lr=np.nan), max_iter=3)
    model.estimator.lr = 0.01
    model.save(tmp_path / "model.skae")
    again = skae.load(tmp_path / "model.skae")
    assert repr(again) == repr(model)
    assert isinstance(again.estimator.beta, np.float64)
    again.set_params(estimator__max_epochs=1).fit(HOLED)


def test_files_are_of_safetensors(fitted, tmp_path):
    model, _ = fitted("VAE")
    model.save(tmp_path / "model.skae")
    with safe_open(tmp_path / "model.skae", framework="pt") as file:
        weight = file.get_tensor("_net_state.module.arrays.encoder.linear.weight")
    assert torch.equal(weight, model.module_.encoder.linear.weight)


def test_a_file_loads_in_a_new_process_and_says_the_same(fitted, tmp_path):
    model, rows = fitted("detector")
    model.save(tmp_path / "model.skae")
    np.save(tmp_path / "rows.npy", rows)
    script = (
        "import skae, numpy as np; m = skae.load('model.skae');"
        "np.save('scores.npy', m.score_samples(np.load('rows.npy')))"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    np.testing.assert_array_equal(
        np.load(tmp_path / "scores.npy"), model.score_samples(rows)
    )


def test_a_model_of_another_device_loads_here(fitted, tmp_path):
    """The file says "cuda", wherever it is read."""
    if torch.cuda.is_available():
        pytest.skip("there is CUDA here")
    model = clone(MODELS["VAE"][0]).fit(X)
    model.device = "cuda:3"
    model.net_.plan = model.net_.plan.__class__(
        **{**vars(model.net_.plan), "device": "cuda:3"}
    )
    model.save(tmp_path / "model.skae")
    with pytest.warns(UserWarning, match="device='cuda:3', which is not here"):
        again = skae.load(tmp_path / "model.skae")
    assert again.device == "auto"
    np.testing.assert_array_equal(again.transform(X), model.transform(X))


# -- parameters that no file can hold --------------------------------------------------


class Own(MLP):
    """A user's architecture."""


@pytest.mark.parametrize(
    ("parameters", "name", "kind"),
    [
        ({"callbacks": [Callback()]}, "callbacks", "Callback"),
        ({"architecture": Own((6,))}, "architecture", "Own"),
        ({"corruption": lambda X, rng: X}, "corruption", "function"),
        ({"optimizer": torch.optim.SGD}, "optimizer", "type"),
        ({"random_state": np.random.RandomState(0)}, "random_state", "RandomState"),
    ],
)
def test_parameters_of_other_classes_are_refused_by_name_or_given_again(
    parameters, name, kind, tmp_path
):
    path = tmp_path / "model.skae"
    model = AE(2, **SMALL | parameters).fit(X)
    with pytest.raises(TypeError, match=rf"cannot be saved: {name}.* is a .*{kind}"):
        model.save(path)
    assert not list(tmp_path.iterdir())
    model.save(path, omit=[name])
    with pytest.raises(TypeError, match=rf"omit \['{name}'\], but load got none"):
        skae.load(path)
    with pytest.raises(TypeError, match="but load got"):
        skae.load(path, **parameters, lr=0.1)
    again = skae.load(path, **parameters)
    assert getattr(again, name) is parameters[name]
    np.testing.assert_array_equal(again.transform(X), model.transform(X))


def test_parameters_of_an_estimator_within_are_left_out_by_their_whole_name(tmp_path):
    path, own = tmp_path / "model.skae", Own((6,))
    detector = AutoencoderOutlierDetector(
        AE(2, architecture=own, **FAST), cv=2, random_state=0
    ).fit(X)
    with pytest.raises(TypeError, match=r"estimator\.architecture is a"):
        detector.save(path)
    detector.save(path, omit="estimator__architecture")
    again = skae.load(path, estimator__architecture=own)
    assert_same(again.score_samples(X + 0.1), detector.score_samples(X + 0.1))


def test_what_is_left_out_must_be_a_parameter(tmp_path):
    with pytest.raises(ValueError, match="omit has 'layers', but AutoencoderTransf"):
        AE().save(tmp_path / "model.skae", omit=["layers"])


def test_a_class_of_the_user_is_refused(tmp_path):
    class Mine(AE):
        pass

    with pytest.raises(TypeError, match=r"the object is a .*Mine"):
        Mine().save(tmp_path / "model.skae")


# -- nothing is let in -----------------------------------------------------------------


class Bomb:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch exploded",)


def _zip(name, data):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, data)
    return file.getvalue()


def _tar():
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("x"))
    return file.getvalue()


def _saved(function, value):
    file = io.BytesIO()
    function(value, file)
    return file.getvalue()


def _header(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def _document(document):
    text = json.dumps(document)
    return save_arrays({}, {"skae": f"{_file.checksum(text, {})} {text}"})


FOREIGN = {
    "pickle": lambda: pickle.dumps(Bomb()),
    "joblib": lambda: _saved(joblib.dump, Bomb()),
    "torch": lambda: _saved(torch.save, {"a": torch.zeros(3)}),
    "torch with code": lambda: _saved(torch.save, Bomb()),
    "numpy": lambda: _saved(lambda v, f: np.save(f, v), np.zeros(3)),
    "zip": lambda: _zip("schema.json", '{"__loader__": "x"}'),
    "tar": _tar,
    "png": lambda: b"\x89PNG\r\n\x1a\n" + bytes(100),
    "text": lambda: b"skae",
    "json": lambda: b'{"format": 1}',
    "empty": lambda: b"",
    "seven bytes": lambda: bytes(7),
    "zeros": lambda: bytes(1000),
    "ones": lambda: b"\xff" * 1000,
    "header longer than the file": lambda: (2**40).to_bytes(8, "little") + b"{}",
    "header longer than all files": lambda: (2**63).to_bytes(8, "little") + b"{}",
    "header of nests": lambda: _header(b"[" * 100_000),
    "header that is a list": lambda: _header([]),
    "safetensors of another program": lambda: save_arrays({"a": np.zeros(3)}),
    "no checksum": lambda: _header({"__metadata__": {"skae": "{}"}}),
    "metadata of another type": lambda: _header({"__metadata__": {"skae": 3}}),
    "array out of bounds": lambda: _header(
        {
            "__metadata__": {"skae": "0 {}"},
            "a": {"dtype": "F32", "shape": [9], "data_offsets": [0, 36]},
        }
    ),
    "no document": lambda: _document(None),
    "document that is a list": lambda: _document([]),
    "no format": lambda: _document({}),
    "format of no number": lambda: _document({"format": "1"}),
    "no model": lambda: _document({"format": 1}),
    "class of another package": lambda: _document(
        {
            "format": 1, "class": "Popen", "versions": {}, "omitted": [],
            "model": {"object": ["Popen", []]},
        }
    ),
    "nests": lambda: _document(
        {
            "format": 1, "class": "VAETransformer", "versions": {}, "omitted": [],
            "model": json.loads("[" * 900 + "]" * 900),
        }
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FOREIGN)
def test_files_of_other_kinds_are_refused_and_run_nothing(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "model.skae"
    path.write_bytes(FOREIGN[name]())
    with pytest.raises(ModelFileError, match=r"model.skae' cannot be loaded: .*; "):
        skae.load(path)
    assert [file.name for file in tmp_path.iterdir()] == ["model.skae"]


def test_what_is_no_file_is_refused_at_once(tmp_path):
    with pytest.raises(FileNotFoundError):
        skae.load(tmp_path / "model.skae")
    with pytest.raises(IsADirectoryError):
        skae.load(tmp_path)
    os.mkfifo(tmp_path / "pipe")  # to open one waits for a writer
    with pytest.raises(ModelFileError, match="it is not a regular file"):
        skae.load(tmp_path / "pipe")


def test_a_later_format_asks_for_a_later_version(tmp_path):
    document = {"format": 99, "versions": {"skae": "7.0"}}
    (tmp_path / "model.skae").write_bytes(_document(document))
    with pytest.raises(ModelFileError, match=r"format 99, of skae 7\.0, and this"):
        skae.load(tmp_path / "model.skae")


def test_an_error_names_file_reason_and_remedy_and_goes_through_pickles():
    error = ModelFileError("a.skae", "it is cut off", "take another copy")
    assert str(error) == "'a.skae' cannot be loaded: it is cut off; take another copy"
    again = pickle.loads(pickle.dumps(error))
    assert (again.path, again.reason, again.remedy) == (
        "a.skae", "it is cut off", "take another copy"
    )  # fmt: skip


def signed(path, change):
    """Change the document and the arrays of a file, and put the right checksum on."""
    document, arrays = _file.read_file(path)
    change(document, arrays)
    text = json.dumps(document)
    path.write_bytes(
        save_arrays(arrays, {"skae": f"{_file.checksum(text, arrays)} {text}"})
    )


WEIGHT = "_net_state.module.arrays.encoder.network.hidden.0.weight"


def _settings(document):
    """Return the pairs of settings of the network in a document."""
    state = dict(document["model"]["object"][1])
    module = dict(dict(state["_net_state"]["dict"])["module"]["dict"])
    return module["settings"]["dict"]


def _resize(document, arrays):
    _settings(document)[0][1] = 10**9  # n_features


def _widen(document, arrays):
    for pair in _settings(document):
        if pair[0] == "architecture":
            pair[1]["object"][1][0][1] = {"tuple": [10**9, 10**9]}


def _poison(document, arrays):
    arrays[WEIGHT][0, 0] = np.nan


def _narrow(document, arrays):
    arrays[WEIGHT] = arrays[WEIGHT][:, :-1].copy()


def _recast(document, arrays):
    arrays[WEIGHT] = arrays[WEIGHT].astype(np.float16)


def _flatten(document, arrays):
    arrays["_net_state.module.arrays.scaler.scale"][0] = 0.0


def _spoil(document, arrays):
    arrays["_kept_codes.mean"][-1, 0] = np.nan


def _shorten(document, arrays):
    name = "_history.lr"
    arrays[name] = arrays[name][:-1].copy()


def _lose(document, arrays):
    del arrays[WEIGHT]


def _misname(document, arrays):
    document["model"]["object"][1].append(["transform", "gone"])


def _lie(document, arrays):
    document["model"]["object"][0] = "AutoencoderTransformer"


def _misuse(document, arrays):
    for pair in document["model"]["object"][1]:
        if pair[0] == "beta":
            pair[1] = -1.0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_resize, "larger than its weights"),
        (_widen, "larger than its weights"),
        (_poison, r"encoder\.network\.hidden\.0\.weight has values that are not fin"),
        (_narrow, r"weights do not fit its network: \['encoder\.network\.hidden\.0"),
        (_recast, "is of float16, expected float32"),
        (_flatten, r"scaler\.scale has values that are not positive"),
        (_spoil, "the codes of training rows are not of this network"),
        (_shorten, "its history is no table"),
        (_lose, "KeyError"),
        (_misname, "a fit sets other things than"),
        (_lie, "lacks the parameters"),
        (_misuse, "The 'beta' parameter of VAETransformer must be"),
    ],
)
def test_files_with_a_right_checksum_and_wrong_content_are_refused(
    fitted, change, reason, tmp_path
):
    model, _ = fitted("VAE")
    path = tmp_path / "model.skae"
    model.save(path)
    signed(path, change)
    with pytest.raises(ModelFileError, match=reason):
        skae.load(path)


def test_the_state_of_an_optimiser_is_that_of_its_network(tmp_path):
    path = tmp_path / "model.skae"
    model = AE(2, **SMALL).partial_fit(X)
    for change in (
        lambda array: np.append(array, array),
        lambda array: np.where(array == array, np.nan, array),
    ):
        model.save(path)

        def wrong(document, arrays, change=change):
            (name,) = (name for name in arrays if name.endswith("exp_avg"))
            arrays[name] = change(arrays[name]).astype(np.float32)

        signed(path, wrong)
        with pytest.raises(ModelFileError, match="exp_avg of the optimiser is not of"):
            skae.load(path)


def test_the_checksum_is_one_of_shapes_too(fitted, tmp_path):
    path = tmp_path / "model.skae"
    fitted("VAE")[0].save(path)
    data = path.read_bytes()
    stop = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:stop])
    header[WEIGHT]["shape"].reverse()
    path.write_bytes(_header(header, data[stop:]))
    with pytest.raises(ModelFileError, match="does not have its own checksum"):
        skae.load(path)


def test_mutated_files_are_refused_or_sound(monkeypatch):
    """The short form of tests/stress/mutate_files.py."""
    monkeypatch.syspath_prepend(STRESS)
    counts = import_module("mutate_files").run(n_random=180, n_signed=180, seed=1)
    assert counts["random"].total() == counts["signed"].total() == 180
    assert counts["random"].keys() <= {"refused", "same"}
    assert not counts["signed"].keys() & {"unclean", "nan"}
    assert counts["signed"]["refused"] > 100


# -- the whole old file, or the whole new one ------------------------------------------

CALLS = ["open", "write", "fsync", "replace", "open_folder", "fsync_folder"]


class Failing:
    """Makes one of the calls that write a file fail."""

    def __init__(self, monkeypatch, call, code):
        self.call, self.error = call, OSError(code, os.strerror(code))
        self.n_synced = 0
        real = {name: getattr(os, name) for name in ("open", "fsync", "replace")}

        def fail_if(name, then, *args, **options):
            if name == call:
                raise self.error
            return then(*args, **options)

        def fsync(descriptor):
            self.n_synced += 1
            name = "fsync" if self.n_synced == 1 else "fsync_folder"
            return fail_if(name, real["fsync"], descriptor)

        def open_file(*args, **options):
            file = fail_if("open", open, *args, **options)
            if call == "write":
                file = FullDisk(file, self.error)
            return file

        monkeypatch.setattr(_file, "open", open_file, raising=False)
        monkeypatch.setattr(os, "fsync", fsync)
        monkeypatch.setattr(
            os, "replace", lambda *a: fail_if("replace", real["replace"], *a)
        )
        monkeypatch.setattr(
            os, "open", lambda *a, **k: fail_if("open_folder", real["open"], *a, **k)
        )


class FullDisk(io.FileIO):
    """A file that takes half of what is written."""

    def __init__(self, file, error):
        super().__init__(file.name, "wb")
        file.close()
        self.error = error

    def write(self, data):
        super().write(data[: len(data) // 2])
        raise self.error


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EACCES])
@pytest.mark.parametrize("is_there", [True, False])
def test_a_file_is_whole_whatever_call_fails(
    fitted, call, code, is_there, tmp_path, monkeypatch
):
    old, new = fitted("AE, sparse")[0], fitted("VAE")[0]
    path = tmp_path / "model.skae"
    if is_there:
        old.save(path)
    with monkeypatch.context() as patch:
        Failing(patch, call, code)
        with pytest.raises(OSError, match=os.strerror(code)):
            new.save(path)
    names = [file.name for file in tmp_path.iterdir()]
    if call in ("open_folder", "fsync_folder"):  # by then it has its name
        assert type(skae.load(path)) is VAETransformer
        assert names == ["model.skae"]
    elif is_there:
        assert type(skae.load(path)) is AutoencoderTransformer
        assert names == ["model.skae"]
    else:
        assert names == []


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(FileNotFoundError):
        AE().save(tmp_path / "none" / "model.skae")


# -- other ways to keep a model --------------------------------------------------------


@pytest.mark.parametrize("name", ["AE, table", "VAE", "imputer", "detector"])
def test_skops_trusts_our_classes_alone(fitted, name):
    skops = pytest.importorskip("skops.io")
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    model, rows = fitted(name)
    pipeline = make_pipeline(FunctionTransformer(), model)
    data = skops.dumps(pipeline)
    untrusted = skops.get_untrusted_types(data=data)
    assert all(kind.startswith("skae.") for kind in untrusted)
    again = skops.loads(data, trusted=untrusted)
    assert_same(answers(again[-1], rows), answers(model, rows))


# -- plain values ----------------------------------------------------------------------

PLAIN = [
    *(None, True, 3, "text", 0.5, np.inf, -np.inf, np.nan, b"bytes", slice(1, None, 2)),
    *(np.float32(0.1), np.int64(7), np.bool_(True), (1, "two", [3.0])),
    {"a": 1, 2: {"b": -np.inf}},
    np.arange(6.0).reshape(2, 3),
    np.arange(3, dtype=">i4"),
    np.array(["2020-01-31", "NaT"], "datetime64[D]"),
    np.array([[1, 2]], "timedelta64[ms]"),
    np.array([["a", "longer"]]),
    np.array(["a", None, 2.5], dtype=object),
    np.ma.array([1.0, 2.0], mask=[False, True]),
]


@pytest.mark.parametrize("value", PLAIN, ids=repr)
def test_a_plain_value_is_the_same_after_text(value):
    encoder = Encoder()
    tree = json.loads(json.dumps(encoder.encode(value, "x"), allow_nan=False))
    again = Decoder(encoder.arrays, {}).decode(tree)
    assert type(again) is type(value)
    if isinstance(value, np.ndarray):
        assert again.dtype == value.dtype.newbyteorder("=")
        assert np.array_equal(np.ma.getmaskarray(again), np.ma.getmaskarray(value))
        np.testing.assert_array_equal(again, value)
    else:
        assert repr(again) == repr(value)


def test_arrays_of_one_place_have_names_of_their_own():
    encoder = Encoder()
    values = [np.full(2, k) for k in range(4)]
    trees = [encoder.encode(value, "x") for value in values]
    assert len(encoder.arrays) == 4
    decoder = Decoder(encoder.arrays, {})
    assert all(map(np.array_equal, map(decoder.decode, trees), values))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": [1, {(1, 2): 3}]}, r"x\.a\.1 is a builtins\.tuple, which"),
        ({"a": [1, {2, 3}]}, r"x\.a\.1 is a builtins\.set, which"),
        (np.zeros(2, dtype=complex), r"x is a numpy\.ndarray, which"),
    ],
)
def test_what_is_not_plain_is_refused_by_its_place(value, message):
    with pytest.raises(NotStorableError, match=message):
        Encoder().encode(value, "x")
