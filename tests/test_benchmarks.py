"""The benchmark of speed runs, and what it puts beside skae has skae's size."""

import argparse
import json
import math
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
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


@pytest.mark.slow
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


# -- what is put beside the literature -------------------------------------------------


@pytest.fixture
def literature(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    return import_module("literature")


@pytest.fixture
def few_labels(literature):
    return import_module("few_labels")


def read_tables(markdown):
    """Return the tables of a report by heading, each a list of dicts."""
    tables = {}
    for section in markdown.split("\n## ")[1:]:
        heading, _, text = section.partition("\n")
        headers, _, *rows = (
            [cell.strip() for cell in line.split("|")[1:-1]]
            for line in text.splitlines()
            if line.startswith("|")
        )
        tables[heading] = [dict(zip(headers, row, strict=True)) for row in rows]
    return tables


def quick_output(script, *arguments):
    """Return what a script prints with --quick."""
    done = subprocess.run(
        [sys.executable, str(FOLDER / script), "--quick", *arguments],
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


def quick_report(script, *arguments):
    """Return the tables that a script prints with --quick."""
    report = quick_output(script, *arguments)
    assert "Sizes too small for a verdict." in report
    return read_tables(report)


def figures_of(tables, figure):
    """Return a figure of every model, which is beside the published one."""
    rows = [r for r in tables["Beside the literature"] if r["figure"] == figure]
    for row in rows:
        assert 0 < float(row["mean"]) <= float(row["worst"]) < math.inf
        assert float(row["published"]) > 0
        assert row["verdict"] == ""
    fitted = {row["model"]: row for row in tables["Fits"]}
    for row in rows:
        assert float(fitted[row["model"]]["seconds"]) >= 0
    return {row["model"]: float(row["mean"]) for row in rows}


COIN = 64 * math.log(2)  # nats of 64 pixels, each as likely black as white


@pytest.mark.slow
def test_the_quick_example_of_pytorch_has_a_loop_beside_it():
    tables = quick_report("pytorch_vae.py")
    many, one = (figures_of(tables, figure) for figure in ("64 draws", "one draw"))
    assert list(many) == ["skae, epochs: 2", "skae, epochs: 1"]
    assert list(one) == ["skae, epochs: 2", "loop of PyTorch"]
    assert max([*many.values(), *one.values()]) < COIN
    ours = "skae, epochs: 2"
    assert many[ours] == pytest.approx(one[ours], abs=0.5)  # nats
    curve = tables["Test loss after each epoch"]
    assert [row["epoch"] for row in curve] == ["1", "2"]
    assert float(curve[-1]["skae"]) == one[ours]
    assert float(curve[-1]["loop of PyTorch"]) == one["loop of PyTorch"]


@pytest.mark.slow
def test_the_quick_bound_is_below_that_of_a_coin_for_every_size_of_code():
    bounds = figures_of(quick_report("aevb.py"), "-ELBO")
    assert list(bounds) == ["components: 3", "components: 20"]
    assert max(bounds.values()) < COIN


@pytest.mark.slow
@pytest.mark.parametrize(("n_draws", "model"), [(1, "VAE"), (5, "IWAE, draws: 5")])
def test_the_quick_log_likelihood_is_above_the_elbo(n_draws, model):
    tables = quick_report("iwae.py", "--draws", str(n_draws))
    nats = figures_of(tables, "-log p(x)")
    (fit,) = tables["Fits"]
    assert list(nats) == [model] == [fit["model"]]
    assert nats[model] <= float(fit["-ELBO"]) < COIN
    assert 0 <= float(fit["standard error"]) < 0.5


@pytest.mark.slow
def test_the_quick_deep_autoencoder_leaves_a_tenth_of_the_error_of_the_mean(literature):
    errors = figures_of(quick_report("deep_autoencoder.py"), "squared error")
    assert list(errors) == ["PCA", "784-1000-500-250-30"]
    images = literature.load_images(quick=True)
    of_mean = np.square(images.X_test - images.X_train.mean(axis=0)).sum(axis=1).mean()
    assert max(errors.values()) < of_mean / 10


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [(), ("--develop",)])
def test_quick_classifiers_of_codes_err_less_the_more_labels_there_are(
    few_labels, arguments
):
    errors = figures_of(quick_report("few_labels.py", *arguments), "error, %")
    names = few_labels.make_classifiers(develop=bool(arguments), quick=True)
    assert list(errors) == [
        f"{name}, labels: {n_labels}" for n_labels in (100, 600) for name in names
    ]
    for name in names:
        few, more = (errors[f"{name}, labels: {n}"] for n in (100, 600))
        assert more < few < 50  # 90 by chance


@pytest.mark.slow
def test_the_quick_ordered_code_is_beside_pca_of_every_size():
    lines = quick_output("ordered.py").splitlines()
    rows = [line.removeprefix("digits").split() for line in lines[2:5]]
    assert [int(k) for k, *_ in rows] == [1, 2, 3]
    for _, ordered, alone, pca, to_alone, to_pca in np.array(rows, dtype=float):
        assert ordered / alone == pytest.approx(to_alone, abs=1e-3)
        assert ordered / pca == pytest.approx(to_pca, abs=1e-3)
        assert to_pca < 1


@pytest.mark.slow
def test_the_quick_tutorials_have_networks_of_the_users_own():
    tables = quick_report("conv_vae.py")
    bounds = figures_of(tables, "-ELBO")
    loop, ours = "TensorFlow, loop of PyTorch", ["TensorFlow, skae", "Keras, skae"]
    assert set(bounds) == {loop, *ours}
    assert max(bounds[name] for name in ours) < bounds[loop] < COIN + 1


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [(), ("--grey",)])
def test_the_quick_codec_costs_little_more_than_the_bound(arguments):
    tables = quick_report("lossless.py", *arguments)
    rates = figures_of(tables, "bits a pixel")
    (fit,) = tables["Fits"]
    bound = float(fit["-ELBO, the same"])
    assert bound < rates["VAE"] < 1.1 * bound
    others = {row[""]: float(row["bits a pixel"]) for row in tables["Others"]}
    assert set(others) == {"bz2", "gzip", "xz", "PNG", "WebP"}
    if not arguments:  # two epochs of 1,297 rows are too few for grey levels
        assert rates["VAE"] < min(others.values())


@pytest.mark.slow
def test_the_quick_new_digits_are_doubted_less_when_they_are_more_typical(tmp_path):
    picture = tmp_path / "digits.png"
    tables = quick_report("generation.py", "--output", str(picture))
    fits = {row["model"]: row for row in tables["Fits"]}
    assert set(fits) == {
        "test digits", "training digits", "AE, mixture", "AE, mixture, temperature 0.7",
        "VAE, prior", "VAE, aggregate", "VAE, mixture", "PCA(16), mixture",
        "PCA(32), mixture",
    }  # fmt: skip
    doubt = {name: float(row["doubt, %"]) for name, row in fits.items()}
    assert doubt["AE, mixture, temperature 0.7"] < doubt["AE, mixture"] < 50
    distance = {name: float(row["Frechet distance"]) for name, row in fits.items()}
    assert abs(distance["test digits"]) < 1e-3 < distance["training digits"]
    assert distance["training digits"] < distance["AE, mixture"]
    asked = {row["asked"] for row in tables["Beside the literature"]}
    assert asked == {f"<= {fits['test digits']['doubt, %']}"}
    assert picture.stat().st_size > 1000


def test_the_distance_of_two_normal_laws_is_that_of_frechet(literature):
    generation = import_module("generation")
    rng = np.random.default_rng(0)
    A = rng.normal(size=(5000, 3))
    A = (A - A.mean(axis=0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(A.T))).T
    B = A * [1, 2, 0] + [3, 0, 0]  # of variances 1, 4 and 0
    assert generation.frechet_distance(A, B) == pytest.approx(9 + 0 + 1 + 1)


@pytest.mark.slow
def test_the_quick_features_are_drawn_and_sparse_as_they_should_be(tmp_path):
    picture = tmp_path / "features.png"
    tables = quick_report("sparse_features.py", "--output", str(picture))
    errors = figures_of(tables, "error, %")
    names = ["pixels", "sparse, images", "sparse, patches", "contractive, images"]
    assert list(errors) == names
    assert max(errors.values()) < 20
    active = {row["model"]: float(row["active, %"]) for row in tables["Fits"]}
    assert active["sparse, images"] == pytest.approx(10, abs=0.5)
    assert picture.stat().st_size > 1000


def test_pooled_codes_are_sums_over_the_parts_of_an_image(literature):
    features = import_module("sparse_features")
    X = literature.load_images(quick=True).X_train[:50]
    ae = features.make_autoencoder(5, features.sparse(2, 2, 5), 1, 0)
    pooled = features.PooledCodes(ae, width=3, stride=1, n_parts=2).fit(X)
    patches = pooled._patches(X, 1)
    assert patches.shape == (50, 6, 6, 9)
    first = X.reshape(50, 8, 8)[:, 2:5, 4:7].reshape(50, 9)
    first = first - first.mean(axis=1, keepdims=True)
    deviations = np.sqrt(np.square(first).mean(axis=1) + 0.05)
    np.testing.assert_allclose(patches[:, 2, 4], first / deviations[:, None], atol=1e-6)
    codes = pooled.autoencoder_.transform(patches.reshape(-1, 9)).reshape(50, 6, 6, 5)
    sums = pooled.transform(X).reshape(50, 2, 2, 5)
    np.testing.assert_allclose(
        sums[:, 1, 0], codes[:, 3:, :3].sum(axis=(1, 2)), rtol=1e-5, atol=1e-5
    )


def test_the_labelled_rows_are_as_many_of_each_class(few_labels):
    y = np.random.default_rng(0).choice(5, 1000, p=(0.6, 0.1, 0.1, 0.1, 0.1))
    rows = few_labels.draw_labelled(y, 100, seed=0)
    assert len(np.unique(rows)) == 100
    assert np.bincount(y[rows]).tolist() == [20] * 5


def test_a_classifier_is_chosen_without_the_test_images(literature, few_labels):
    images = literature.load_images(quick=True)
    development = few_labels.developing(images)
    for name in ("X", "y"):
        train, test = (
            getattr(development, f"{name}_{part}") for part in ("train", "test")
        )
        rejoined = np.concatenate([train, test])
        np.testing.assert_array_equal(rejoined, getattr(images, f"{name}_train"))


def test_the_graph_of_codes_has_edges_both_ways_and_none_to_new_codes(few_labels):
    rng = np.random.default_rng(0)
    Z_train, Z = rng.standard_normal((50, 2)), rng.standard_normal((7, 2))
    kernel = few_labels.NeighborGraph(3)
    graph = kernel(Z_train, Z_train).toarray()
    np.testing.assert_array_equal(graph, graph.T)
    assert (graph.diagonal() == 0).all()
    assert (graph.sum(axis=1) >= 3).all()
    nearest = np.argsort(np.linalg.norm(Z[:, None] - Z_train, axis=2), axis=1)[:, :3]
    edges = kernel(Z_train, Z).toarray().T  # (7, 50)
    assert [set(np.flatnonzero(row)) for row in edges] == list(map(set, nearest))


def test_mnist_comes_from_the_folder_that_is_named(literature, monkeypatch, tmp_path):
    levels = np.random.default_rng(0).integers(256, size=(8, 28, 28), dtype=np.uint8)
    y = np.arange(8, dtype=np.uint8)
    np.savez(
        tmp_path / "mnist.npz",
        X_train=levels[:5], y_train=y[:5], X_test=levels[5:], y_test=y[5:],
    )  # fmt: skip
    monkeypatch.setenv("SKAE_DATA", str(tmp_path))
    images = literature.load_images()
    assert images.X_train.shape == (5, 784)
    assert images.X_train.dtype == images.X_test.dtype == np.float32
    X = np.concatenate([images.X_train, images.X_test])
    np.testing.assert_array_equal(np.round(X * 255), levels.reshape(8, 784))
    assert [*images.y_train, *images.y_test] == list(range(8))


def test_binarised_images_are_zeros_and_ones_with_the_grey_levels_as_means(literature):
    X = np.tile(np.array([0, 0.2, 0.9, 1], np.float32), (20_000, 1))
    drawn = literature.binarized(X, seed=0)
    assert drawn.dtype == np.float32
    assert set(np.unique(drawn)) == {0, 1}
    np.testing.assert_allclose(drawn.mean(axis=0), X[0], atol=0.01)
    np.testing.assert_array_equal(drawn, literature.binarized(X, seed=0))


@pytest.mark.parametrize(("limit", "verdict"), [(2.5, "missed"), (3, "met")])
def test_a_claim_is_judged_by_its_worst_seed(literature, limit, verdict):
    fits = [
        literature.Fit("VAE", seed, 1, 60.0, {"nats": nats})
        for seed, nats in enumerate((1.0, 3.0))
    ]
    claims = [
        literature.Claim("VAE", "nats", 4.0, limit),
        literature.Claim("VAE", "seconds", limit=50),
    ]
    nats, seconds = read_tables(f"\n## A\n{literature.claims_text(fits, claims)}")["A"]
    assert (nats["mean"], nats["worst"], nats["verdict"]) == ("2.000", "3.000", verdict)
    assert (seconds["worst"], seconds["verdict"]) == ("60.00", "missed")


# -- what is put beside PCA ------------------------------------------------------------


@pytest.fixture
def never_worse(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    return import_module("never_worse_than_pca")


@pytest.mark.slow
def test_the_quick_comparison_with_pca_starts_at_its_likelihood():
    tables = quick_report("never_worse_than_pca.py", "--tables", "wine", "digits")
    assert [(row["table"], row["k"], row["scaling"]) for row in tables["Tables"]] == [
        ("wine", "3", "standard"),
        ("digits", "16", "global"),
    ]
    for row in tables["Tables"]:
        assert 0 < float(row["ratio"]) <= 1.005
        assert float(row["gain"]) > -0.1
        assert abs(float(row["start - PCA.score"])) < 1e-4
    assert "3 constant columns" in tables["Tables"][1]["notes"]
    assert len(tables["Targets"]) == 6
    assert {row["verdict"] for row in tables["Targets"]} == {""}


def test_a_target_names_the_tables_that_miss_it_and_failed_fits_miss(never_worse):
    def trials(*ratios):
        return [
            never_worse.Trial((10, 4), 2, "global", {"ratio": ratio}, [])
            for ratio in ratios
        ]

    results = {"a": trials(0.5, 1.0), "b": trials(0.25, 1.25), "c": trials()}
    text = f"\n## A\n{never_worse.targets_text(results)}"
    worst, mean = read_tables(text)["A"]
    assert (worst["tables"], worst["reached"], worst["where not"]) == ("2", "1.25", "b")
    assert worst["verdict"] == "missed by 0.25"
    assert (mean["reached"], mean["where not"]) == ("0.6287", "")
    results = {"a": trials(0.5, math.nan)}
    (worst, mean) = read_tables(f"\n## A\n{never_worse.targets_text(results)}")["A"]
    assert worst["where not"] == "a"
    assert "missed" in worst["verdict"]
    assert "missed" in mean["verdict"]


def test_a_table_that_pca_fits_exactly_is_told_and_not_compared(
    never_worse, monkeypatch
):
    few = np.random.default_rng(0).standard_normal((50, 2))
    monkeypatch.setattr(never_worse, "load_table", lambda name: np.tile(few, 5))
    trial = never_worse.try_table("copies", 0, [1, 2, 3], quick=True)
    assert "PCA discards nothing but rounding: not compared" in trial.notes
    assert set(trial.figures) == {"AE s", "VAE s", "random s", "over random"}


def test_a_fit_that_fails_is_told_and_no_number(never_worse, monkeypatch):
    def fail(estimator, X, notes):
        raise FloatingPointError("loss")

    monkeypatch.setattr(never_worse, "fit", fail)
    trial = never_worse.try_table("wine", 0, [1], quick=True)
    assert np.isnan(trial.figures["ratio"])
    assert "claim 1 failed with seed 0: FloatingPointError('loss')" in trial.notes


# -- restored pictures -----------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "subject", "title", "unit", "higher_is_better", "name"),
    [
        (
            "denoising.py",
            "digits",
            "Noise of 0.5 on digits",
            "PSNR, dB",
            True,
            "noise_on_digits",
        ),
        (
            "inpainting.py",
            "digits",
            "Holes in digits",
            "PSNR in the hole, dB",
            True,
            "holes_in_digits",
        ),
        (
            "colourisation.py",
            "pictograms",
            "Colours",
            "distance in CIE Lab",
            False,
            "colours",
        ),
    ],
)
def test_quick_pictures_are_restored_better_than_by_other_ways(
    script, subject, title, unit, higher_is_better, name, tmp_path
):
    tables = quick_report(script, "--of", subject, "--output", str(tmp_path))
    *rivals, ours = tables[title]
    assert ours["method"] in (
        "AutoencoderTransformer, seed 0",
        "AutoencoderImputer, seed 0",
    )
    figures = [float(rival[unit]) for rival in rivals]
    best = max(figures) if higher_is_better else min(figures)
    gain = float(ours[unit]) - best
    (summary,) = tables[f"{title}: beside the best rival"]
    assert float(summary["its"]) == best
    assert float(summary["difference"]) == pytest.approx(gain, abs=0.011)
    assert (gain > 0) is higher_is_better
    (picture,) = tmp_path.glob("*.png")
    assert picture.stem == name


def test_holes_are_where_they_should_be(literature):
    inpainting = import_module("inpainting")
    rng, X = np.random.default_rng(0), np.ones((500, 2 * 9 * 8))
    holes = np.isnan(inpainting.Square(3, (2, 9, 8))(X, rng)).reshape(-1, 2, 9, 8)
    assert (holes.sum(axis=(2, 3)) == 9).all()
    assert (holes[:, 0] == holes[:, 1]).all()
    assert holes[:, 0].any(axis=0).all()
    rows, columns = holes[:, 0].any(axis=2), holes[:, 0].any(axis=1)
    assert (rows.sum(axis=1) == 3).all()
    assert (columns.sum(axis=1) == 3).all()
    quarters = inpainting.Quarter((1, 8, 8))(np.ones((50, 64)), rng)
    corners = np.isnan(quarters).reshape(50, 8, 8)[:, ::4, ::4]  # (50, 2, 2)
    assert (corners.sum(axis=(1, 2)) == 1).all()
    assert corners.any(axis=0).all()


@pytest.fixture
def colourisation(literature):
    return import_module("colourisation")


def test_lab_space_is_that_of_the_standard(colourisation):
    # white, black and the three primaries, as the tables have them
    colours = np.array([[1, 1, 1], [0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    lab = [[100, 0, 0], [0, 0, 0], [53.24, 80.09, 67.20],
           [87.73, -86.18, 83.18], [32.30, 79.19, -107.86]]  # fmt: skip
    assert np.allclose(colourisation.to_lab(colours), lab, atol=0.02)
    some = np.random.default_rng(0).random((20, 3))
    assert np.allclose(colourisation.to_rgb(colourisation.to_lab(some)), some)


def test_the_ratio_of_signal_to_noise_is_that_of_the_mean_squared_error(literature):
    psnr = import_module("restoration").psnr
    X, Y = np.zeros((2, 4)), np.full((2, 4), 0.1)
    Y[1] = 0.3
    assert psnr(X, Y) == pytest.approx(-10 * math.log10(0.05))
    where = np.zeros((2, 4), dtype=bool)
    where[0, 1] = True
    assert psnr(X, Y, where) == pytest.approx(20)


@pytest.mark.slow
def test_the_quick_codec_of_squares_beats_jpeg(tmp_path):
    tables = quick_report("lossy.py", "--of", "squares of 8", "--output", str(tmp_path))
    ratios = {float(line["bits a pixel"]): line for line in tables["squares of 8"]}
    assert list(ratios) == [0.1, 0.2, 0.3, 0.4, 0.5]
    assert all(line["verdict"] == "" for line in ratios.values())
    assert float(ratios[0.2]["skae, dB"]) > float(ratios[0.4]["JPEG, dB"])
    assert len(list(tmp_path.glob("*.png"))) == 1


def test_faces_are_whole_where_their_quarters_are_tiled(literature):
    lossy = import_module("lossy")
    faces = np.arange(16 * 64 * 64, dtype=float).reshape(16, -1) / (16 * 64 * 64)
    subject = lossy.Subject(None, lossy.quarters(faces, 8), (1, 32, 32), 16, 2)
    image = subject.tile(subject.X_test)[..., 0]
    whole = np.rint(faces.reshape(2, 8, 64, 64).transpose(0, 2, 1, 3) * 255)
    assert np.array_equal(image, whole.reshape(128, 512))


def test_a_ratio_between_two_rates_is_on_the_line_between_them(literature):
    at_rate = import_module("lossy").at_rate
    curve = [(0.1, 20.0, None), (0.4, 24.0, None)]
    assert at_rate(curve, 0.2) == pytest.approx(22.0)
    assert math.isnan(at_rate(curve, 0.5))


def test_shares_of_clean_rows_are_near_what_was_asked_for(literature, monkeypatch):
    thresholds = import_module("anomaly_thresholds")
    monkeypatch.setattr("skae._restorers.STEPS", 100)
    X = np.random.default_rng(0).normal(size=(400, 4))
    runs = [thresholds.shares(X, seed) for seed in range(2)]
    assert (np.abs(np.mean(runs, axis=0) - thresholds.ASKED) < 4).all()
    # 40 scores have no p-value of 2 %
    few = thresholds.shares(X[:80], 0)
    assert math.isnan(few[0])
    assert not np.isnan(few[1:]).any()


@pytest.mark.slow
def test_the_quick_count_of_false_discoveries_has_every_rate():
    (lines,) = quick_report("anomaly_discoveries.py").values()
    assert [line["asked"] for line in lines] == 2 * ["0.05", "0.1", "0.2"]
    assert [line["promised"] for line in lines[:3]] == ["0.045", "0.090", "0.180"]
    found = [float(line["found"]) for line in lines[:3]]
    assert 0.2 < found[0] <= found[1] <= found[2] < 1
    false = [float(line["false"].split()[0]) for line in lines]
    assert max(false) < 0.25


def test_splits_are_added_until_the_highest_share_is_exact(
    literature, monkeypatch, tmp_path
):
    thresholds = import_module("anomaly_thresholds")
    rng = np.random.default_rng(0)
    draws = rng.normal(10, 3, size=(1000, 6)).tolist()
    monkeypatch.setattr(thresholds, "shares", lambda X, seed: draws[seed])
    table = [("some", np.ones((10, 1)), np.zeros(10))]
    arguments = argparse.Namespace(fewest=3, error=1.0, figures=tmp_path / "figures")
    (few,) = (runs for _, runs in thresholds.measure(table, arguments).values())
    arguments.error = 0.5  # goes on with those
    (runs,) = (runs for _, runs in thresholds.measure(table, arguments).values())
    assert len(few) < len(runs)
    assert runs == draws[: len(runs)]
    highest = np.array(runs)[:, [2, 5]]
    errors = [
        (highest[:n].std(axis=0, ddof=1) / np.sqrt(n)).max()
        for n in range(3, len(runs) + 1)
    ]
    assert errors[-1] <= 0.5 < min(errors[len(few) - 3 : -1])


def test_of_two_halves_each_is_trained_on_once(literature, monkeypatch):
    thresholds = import_module("anomaly_thresholds")
    seen = []
    monkeypatch.setattr(
        thresholds,
        "shares_of",
        lambda train, test, seed: seen.append((train, test)) or np.full(6, len(seen)),
    )
    assert thresholds.shares(np.arange(10.0)[:, None], 0) == [1.5] * 6
    np.testing.assert_array_equal(seen[0][0], seen[1][1])
    np.testing.assert_array_equal(seen[0][1], seen[1][0])
    assert sorted(np.concatenate(seen[0])[:, 0]) == list(range(10))


@pytest.mark.slow
def test_the_quick_memory_of_fit_is_counted():
    model = "AutoencoderTransformer"
    lines = quick_report("memory.py", "--models", model)["In the memory of the table"]
    assert [line["model"] for line in lines] == [model]
    assert 0 < float(lines[0]["memory"]) < math.inf


@pytest.mark.slow
def test_the_quick_comparison_of_imputers_runs_them_all():
    output = quick_output("imputation.py")
    lines = output.strip().splitlines()
    assert lines[0] == "wine, 30% removed"
    errors = {line[:20].strip(): float(line.split()[-2]) for line in lines[2:]}
    assert len(errors) == 5
    # a column's own spread is 1, and rows of wine tell much of it
    assert errors["AutoencoderImputer"] < 0.9 * errors["mean"] < 1.1


@pytest.mark.slow
def test_the_quick_protocol_of_imputation_has_every_imputer():
    (lines,) = quick_report("imputation_protocols.py").values()
    errors = {line["imputer"]: float(line["MSE"]) for line in lines}
    assert len(errors) == 5
    assert errors["AutoencoderImputer"] == min(errors.values())
    assert errors["mean"] == pytest.approx(1, abs=0.05)


@pytest.mark.slow
def test_the_quick_comparison_of_mixed_tables_has_every_imputer():
    means, columns = quick_report("imputation_mixed.py").values()
    figures = "RMSE of numbers", "errors of categories"
    errors = {
        line["imputer"]: [float(line[figure].split()[0]) for figure in figures]
        for line in means
    }
    assert len(errors) == 5
    ours, simple = errors["AutoencoderImputer"], errors["mean and mode"]
    assert ours[0] < 0.8 * simple[0]
    assert ours[1] < 0.8 * simple[1]
    assert sum("categories" in line["column"] for line in columns) == 3


def test_forests_that_fill_in_turn_find_what_columns_tell_of_each_other(literature):
    mixed = import_module("imputation_mixed")
    kind = np.arange(300) % 3
    X = mixed.as_categories(
        pd.DataFrame({"number": 1.0 * kind, "text": np.array(list("abc"))[kind]}), True
    )
    seen, removed = mixed.remove(X, 0.2, np.random.RandomState(0))
    one = removed.sum(axis=1) == 1
    filled = mixed.fill_by_forests(seen, 10, 5, 0)
    assert (filled["text"][one] == X["text"][one]).all()
    np.testing.assert_allclose(filled["number"][one], X["number"][one], atol=0.3)
    errors = mixed.column_errors(X, mixed.fill_simply(seen), removed)
    assert errors["text"] == pytest.approx(2 / 3, abs=0.15)
    assert errors["number"] == pytest.approx(1, abs=0.15)


def test_pooled_estimates_are_those_of_rubins_rules(literature):
    coverage = import_module("imputation_coverage")
    values, squares = np.array([[1.0], [2.0], [3.0]]), np.full((3, 1), 0.5)
    value, square, n_freedom = coverage.pool(values, squares, 1e9)
    assert value == 2.0
    assert square == pytest.approx(0.5 + 4 / 3)
    # Rubin's own degrees of freedom, for a large table
    assert n_freedom == pytest.approx(2 * (1 + 0.5 / (4 / 3)) ** 2, rel=1e-6)
    assert coverage.covers(0.0, 1.0, 1e9, np.array([-1.6, 1.6, 1.7])).tolist() == [
        True, True, False,
    ]  # fmt: skip


def test_the_quick_comparison_of_detectors_runs_them_all(
    literature, monkeypatch, capsys, tmp_path
):
    anomalies = import_module("anomalies")
    monkeypatch.setattr("skae._restorers.STEPS", 200)
    figures = tmp_path / "figures.json"
    arguments = ["anomalies.py", "--quick", "--figures", str(figures)]
    monkeypatch.setattr(sys, "argv", arguments)
    anomalies.main()
    report = capsys.readouterr().out
    assert report.splitlines()[-1] == "Sizes too small for a verdict."
    means, by_table = read_tables(report).values()
    areas = {line["method"]: float(line["ROC"]) for line in means}
    assert areas["AutoencoderOutlierDetector"] > 99
    assert len(areas) == 3
    assert min(areas.values()) > 90
    (wine,) = by_table
    assert float(wine["IsolationForest"].split()[0]) == pytest.approx(
        areas["IsolationForest"], abs=0.1
    )
    # what is in the file is not measured again
    monkeypatch.setattr(anomalies, "METHODS", {})
    anomalies.main()
    assert capsys.readouterr().out == report


def test_protocols_of_anomalies_split_rows_as_described(literature):
    anomalies = import_module("anomalies")
    X = np.arange(4000.0).reshape(2000, 2)
    y = (np.arange(2000) % 10 == 0).astype(int)
    X_train, X_test, is_anomaly = anomalies.split(X, y, 0, "one-class", 10_000)
    assert (len(X_train), len(X_test), is_anomaly.sum()) == (900, 1100, 200)
    np.testing.assert_allclose(X_train.mean(axis=0), 0, atol=1e-12)
    assert X_train[-1, 0] < X_test[0, 0]
    X_train, X_test, is_anomaly = anomalies.split(X, y, 0, "contaminated", 10_000)
    assert (len(X_train), len(X_test), is_anomaly.sum()) == (2000, 2000, 200)
    assert len(np.unique(X_train[:, 0])) < 0.7 * 2000
    small = anomalies.split(X[:50], y[:50], 0, "contaminated", 10_000)
    assert len(small[1]) == 1000


@pytest.mark.slow
def test_the_quick_comparison_of_census_tables_runs_both_parts():
    tables = quick_report("census.py")
    codes = {row[""]: row["columns"] for row in tables["Codes for a linear classifier"]}
    assert codes["codes, linear"] == "2 ± 0"  # of 25 columns
    apart = [float(row["told apart"].split()[0]) for row in tables["Synthetic rows"]]
    # of the model with all numbers, and of that with categories, for each density
    numbers, categories = np.reshape(apart, (2, 3))
    assert categories.mean() < numbers.mean() - 0.1


# -- searches --------------------------------------------------------------------------


@pytest.mark.slow
def test_the_quick_searches_come_out_the_same_together_and_one_by_one():
    tables = quick_report("search.py", "--sections", "small", "stacks")
    errors = {row[""]: row["error"] for row in tables["small"]}
    assert set(errors) == {
        "skae.model_selection",
        "GridSearchCV, skae, one by one",
    }
    assert len(set(errors.values())) == 1
    assert all(float(row["seconds"]) > 0 for row in tables["stacks"])
