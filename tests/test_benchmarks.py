"""The benchmark of speed runs, and what it puts beside skae has skae's size."""

import json
import math
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parent.parent / "examples" / "benchmarks"


@pytest.fixture
def speed(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    return import_module("speed")


@pytest.fixture
def contenders(speed):
    return sys.modules["speed_contenders"]


def shapes(module):
    return Counter(tuple(p.shape) for p in module.parameters())


def count(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("variational", [False, True])
@pytest.mark.parametrize("normalization", [None, "layer"])
@pytest.mark.parametrize(
    ("name", "n_features"), [("TAB", 30), ("MNI", 784), ("TINY", 4)]
)
def test_the_hand_written_network_has_the_parameters_of_skae(
    speed, contenders, name, n_features, normalization, variational
):
    setting = replace(getattr(speed, name), max_epochs=1, variational=variational)
    X = np.random.default_rng(0).standard_normal((64, n_features), np.float32)
    ours = contenders.skae_estimator(setting, normalization=normalization).fit(X)
    layer_norm = normalization == "layer"
    network = contenders.make_network(n_features, setting, layer_norm=layer_norm)
    assert count(network) == count(ours.module_)
    assert shapes(network) == shapes(ours.module_)


@pytest.mark.parametrize("linear_path", [False, True])
@pytest.mark.parametrize("variational", [False, True])
def test_the_bare_products_are_those_of_the_hand_written_network(
    speed, contenders, linear_path, variational
):
    setting = replace(speed.TAB, variational=variational)
    products = contenders.weight_shapes(30, setting, linear_path)
    network = contenders.make_network(30, setting, linear_path=linear_path)
    weights = [p for p in network.parameters() if p.ndim == 2]
    assert Counter((n_outputs, n_inputs) for n_inputs, n_outputs, _ in products) == (
        Counter(tuple(weight.shape) for weight in weights)
    )


def test_the_quick_benchmark_times_every_contender(contenders, tmp_path):
    fits = set(contenders.FITS)
    transforms = {
        f"{name}, {dtype}"
        for name in (contenders.SKAE, contenders.SKAE_BOTH, contenders.PCA_NAME)
        for dtype in ("float32", "float64")
    } | {f"{contenders.SKORCH_PREDICT}, float32"}
    files = tmp_path / "speed.md", tmp_path / "speed.json"
    subprocess.run(
        [sys.executable, str(FOLDER / "speed.py"), "--quick",
         "--sections", "tab,tiny,transform",
         "--markdown", str(files[0]), "--output", str(files[1])],
        check=True,
        capture_output=True,
    )  # fmt: skip

    report, results = files[0].read_text(), json.loads(files[1].read_text())
    assert list(results["sections"]) == ["tab", "tiny", "transform"]
    for (name, rows), expected in zip(
        results["sections"].items(), (fits, fits, transforms), strict=True
    ):
        assert {row["name"] for row in rows} == expected
        table = report.partition(f"## {name}\n")[2].partition("\n## ")[0]
        for row in rows:
            (run,) = row["runs"]
            assert 0 < run["wall"] < math.inf
            assert f"| {row['name']} " in table
    assert "Sizes too small for a verdict." in report
    assert results["targets"] == []
