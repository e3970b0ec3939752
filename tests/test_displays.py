"""Pictures of fitted models: what stands in them is what the models say."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderOutlierDetector, AutoencoderTransformer, VAETransformer
from skae.inspection import (
    ActiveUnitsDisplay,
    AnomalyDisplay,
    LatentSpaceDisplay,
    LatentTraversalDisplay,
    LossCurveDisplay,
    ReconstructionDisplay,
    SampleDisplay,
)

mpl.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")

DIGITS, CLASSES = load_digits(return_X_y=True)
DIGITS, CLASSES = DIGITS[:300], CLASSES[:300]
WINE = load_wine(as_frame=True).data


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def vae():
    settings = {"image_shape": (1, 8, 8), "architecture": "mlp", "max_epochs": 8}
    return VAETransformer(3, random_state=0, **settings).fit(DIGITS)


@pytest.fixture(scope="module")
def wine_vae():
    return VAETransformer(2, max_epochs=8, random_state=0).fit(WINE)


@pytest.fixture(scope="module")
def detector():
    ae = AutoencoderTransformer(2, max_epochs=3)
    return AutoencoderOutlierDetector(
        ae, contamination=0.1, cv=2, n_neighbors=0, random_state=0
    ).fit(WINE)


# -- losses ----------------------------------------------------------------------------


def test_losses_are_the_columns_of_the_history(vae):
    display = LossCurveDisplay.from_estimator(vae, terms="all")
    assert set(display.lines_) == {
        f"{rows}_{term}"
        for rows in ("train", "validation")
        for term in ("loss", "reconstruction", "kl")
    }
    for column, line in display.lines_.items():
        curve = vae.history_[["epoch", column]].dropna().to_numpy()
        assert np.array_equal(np.transpose(line.get_data()), curve)
    assert display.best_line_.get_xdata()[0] == vae.best_epoch_


def test_losses_of_a_pipeline_without_held_out_rows_are_one_line():
    ae = AutoencoderTransformer(2, max_epochs=2, early_stopping=False, random_state=0)
    pipe = make_pipeline(StandardScaler(), ae).fit(WINE)
    display = LossCurveDisplay.from_estimator(pipe)
    assert list(display.lines_) == ["train_loss"]


# -- rows before and after -------------------------------------------------------------


def tile(picture, i, j, size=8):
    """Return an image of a mosaic."""
    step = size + 1
    picture = np.ma.filled(picture, np.nan)
    return picture[i * step : i * step + size, j * step : j * step + size]


def test_images_before_after_and_their_difference_are_where_they_belong(vae):
    display = ReconstructionDisplay.from_estimator(vae, DIGITS, n_rows=4)
    picture = display.image_.get_array()
    after = vae.reconstruct(DIGITS[:4])
    low = min(DIGITS[:4].min(), after.min())
    span = max(DIGITS[:4].max(), after.max()) - low
    for j in range(4):
        before = DIGITS[j].reshape(8, 8)
        came = after[j].reshape(8, 8)
        assert tile(picture, 0, j) == pytest.approx((before - low) / span)
        assert tile(picture, 1, j) == pytest.approx((came - low) / span)
        error = np.clip(1 - abs(came - before) / span, 0, 1)
        assert tile(picture, 2, j) == pytest.approx(error)
    assert picture.mask.sum() == 26 * 35 - 12 * 64  # nothing but what is between them
    labels = [text.get_text() for text in display.ax_.get_yticklabels()]
    assert labels == ["before", "after", "error"]


def test_what_rows_should_be_is_a_line_and_gives_the_error():
    noisy = DIGITS[:2] + 1
    display = ReconstructionDisplay.from_predictions(
        noisy, DIGITS[:2], X_true=DIGITS[:2], image_shape=(8, 8)
    )
    picture = display.image_.get_array()
    assert (tile(picture, 3, 0) == 1).all()  # no error is white
    assert np.array_equal(tile(picture, 1, 1), tile(picture, 2, 1))


def test_rows_of_a_table_are_in_standard_deviations_of_the_column():
    pca = PCA(2).fit(WINE.to_numpy())
    display = ReconstructionDisplay.from_estimator(pca, WINE.to_numpy(), n_rows=3)
    heat = np.ma.filled(display.image_.get_array(), np.nan)
    z = (WINE - WINE.mean()) / WINE.std(ddof=0)
    assert heat[[0, 4, 8]] == pytest.approx(z.to_numpy()[:3])
    assert heat[[2, 6, 10]] == pytest.approx(heat[[1, 5, 9]] - heat[[0, 4, 8]])


def test_missing_pixels_are_seen_and_images_of_colours_are_drawn():
    rows = np.random.RandomState(0).rand(2, 12)
    rows[0, 0] = np.nan
    grey = ReconstructionDisplay.from_predictions(rows, rows, image_shape=(4, 3))
    assert grey.image_.get_array().mask[0, 0]
    assert not grey.image_.get_array().mask[0, 1]
    display = ReconstructionDisplay.from_predictions(rows, rows, image_shape=(3, 2, 2))
    low, high = np.nanmin(rows), np.nanmax(rows)
    picture = np.asarray(display.image_.get_array())
    pixel = rows[1].reshape(3, 2, 2)[:, 1, 0]  # its three channels
    assert picture[1, 3] == pytest.approx((pixel - low) / (high - low))
    assert picture[0, 0, 0] == 1  # white, in that channel


# -- codes -----------------------------------------------------------------------------


def test_codes_are_points_in_the_colour_of_their_class(vae):
    Z = vae.transform(DIGITS)
    display = LatentSpaceDisplay.from_estimator(vae, DIGITS, CLASSES, components=[2, 0])
    assert len(display.ax_.collections) == 10
    for digit, points in enumerate(display.ax_.collections):
        assert np.array_equal(points.get_offsets(), Z[digit == CLASSES][:, [2, 0]])
        assert points.get_label() == str(digit)


def test_many_components_are_projected_to_their_principal_axes(vae):
    Z = vae.transform(DIGITS)
    (points,) = LatentSpaceDisplay.from_estimator(vae, DIGITS).ax_.collections
    offsets = np.asarray(points.get_offsets())
    assert offsets == pytest.approx(PCA(2).fit_transform(Z))


def test_numbers_have_a_scale_and_a_density_counts_rows():
    Z = np.random.RandomState(0).randn(500, 2)
    y = Z[:, 0] * 2
    display = LatentSpaceDisplay.from_codes(Z, y)
    assert np.array_equal(display.ax_.collections[0].get_array(), y)
    assert display.colorbar_ is not None
    density = LatentSpaceDisplay.from_codes(Z, kind="density")
    assert density.ax_.collections[0].get_array().sum() == 500


def test_pairs_and_histograms_hold_each_code():
    Z = np.random.RandomState(0).randn(60, 3)
    y = np.repeat(["a", "b", "c"], 20)
    display = LatentSpaceDisplay.from_codes(Z, y, kind="pairs")
    points = display.axes_[2, 1].collections[1].get_offsets()
    assert np.array_equal(points, Z[20:40][:, [1, 2]])
    heights = [bar.get_height() for bar in display.axes_[1, 1].patches]
    assert sum(heights) == 60
    single = LatentSpaceDisplay.from_codes(Z[:, :1])
    assert sum(bar.get_height() for bar in single.ax_.patches) == 60


def test_images_along_a_component_are_those_of_traverse(vae):
    display = LatentTraversalDisplay.from_estimator(
        vae, DIGITS[:1], components=[2, 0], n_steps=5, span=1.5
    )
    rows = vae.traverse(DIGITS[:1], [2, 0], n_steps=5, span=1.5)
    low, high = rows.min(), rows.max()
    picture = display.image_.get_array()
    for i, j in np.ndindex(2, 5):
        expected = (rows[i, j].reshape(8, 8) - low) / (high - low)
        assert tile(picture, i, j) == pytest.approx(expected)
    ticks = [text.get_text() for text in display.ax_.get_xticklabels()]
    assert (ticks[0], ticks[-1]) == ("-1.5", "+1.5")


def test_profiles_along_a_component_are_in_standard_deviations(wine_vae):
    display = LatentTraversalDisplay.from_estimator(wine_vae)
    rows = wine_vae.traverse()
    spread = wine_vae.sample(1000, random_state=0).std(axis=0)
    change = (rows - rows.mean(axis=1, keepdims=True)) / spread
    for i, j in np.ndindex(*display.lines_.shape):
        assert display.lines_[i, j].get_ydata() == pytest.approx(change[i, j])
    names = [text.get_text() for text in display.axes_[-1].get_xticklabels()]
    assert names == list(WINE.columns)


# -- new rows --------------------------------------------------------------------------


def test_new_images_are_decoded_codes_and_stand_beside_real_ones(vae):
    display = SampleDisplay.from_estimator(vae, DIGITS, n_samples=6, random_state=3)
    new = vae.inverse_transform(vae.sample_codes(6, random_state=3))
    low, high = DIGITS[:6].min(), DIGITS[:6].max()  # black and white of real ones
    picture = display.image_.get_array()
    expected = np.clip((new[1].reshape(8, 8) - low) / (high - low), 0, 1)
    assert tile(picture, 0, 1) == pytest.approx(expected)
    real = picture[:, -35:]  # four in a line
    assert tile(real, 1, 1) == pytest.approx(DIGITS[5].reshape(8, 8) / 16)


def test_columns_of_new_rows_are_histograms_on_those_of_real_ones(wine_vae):
    options = {"features": ["hue", 0], "n_samples": 50, "random_state": 0}
    display = SampleDisplay.from_estimator(wine_vae, WINE, **options)
    assert [ax.get_title() for ax in display.axes_] == ["hue", "alcohol"]
    new = wine_vae.sample(50, random_state=0)[:, 0]
    edges = np.histogram_bin_edges(np.concatenate([new, WINE["alcohol"]]), 30)
    expected, _ = np.histogram(WINE["alcohol"], edges, density=True)
    heights = [bar.get_height() for bar in display.axes_[1].patches[:30]]
    assert heights == pytest.approx(expected)


# -- components in use -----------------------------------------------------------------


def test_bars_are_the_kl_terms_and_colours_say_what_is_active():
    mean = np.column_stack([[1.0, -1.0], [0.05, -0.05], [2.0, 2.0]])
    std = np.array([[1.0, 1.0, 0.5], [1.0, 1.0, 0.5]])
    display = ActiveUnitsDisplay.from_predictions(mean, std)
    # N(1, 1) is half a nat from N(0, 1); N(2, 1/4) by (4 + 1/4 - 1) / 2 + log 2
    heights = [bar.get_height() for bar in display.bars_]
    assert heights == pytest.approx([0.5, 0.00125, 1.625 + np.log(2)])
    assert display.is_active.tolist() == [True, False, False]
    assert display.ax_.get_title() == "1 of 3 components are active"


def test_bars_of_the_training_rows_are_what_the_fit_has_learned(vae):
    display = ActiveUnitsDisplay.from_estimator(vae, DIGITS)
    assert display.kl == pytest.approx(vae.kl_per_component_, rel=1e-5)
    assert display.is_active.sum() == vae.n_active_components_


# -- anomalies -------------------------------------------------------------------------


def test_scores_and_their_threshold_and_who_is_to_blame(detector):
    strange = WINE.copy()
    strange.loc[:10, "ash"] += 30
    display = AnomalyDisplay.from_estimator(detector, strange, n_features=4)
    assert display.threshold_line_.get_xdata()[0] == detector.offset_
    share = np.mean(detector.predict(strange) == -1)
    assert f"{share:.1%} below" in display.threshold_line_.get_label()
    assert display.blame.index[0] == "ash"
    blamed = detector.explain(strange[detector.predict(strange) == -1])
    widths = [bar.get_width() for bar in display.bars_]
    expected = 100 * blamed.abs().mean().sort_values(ascending=False)[:4]
    assert widths == pytest.approx(expected.to_numpy())
    heights = [bar.get_height() for bar in display.axes_[0].patches]
    assert sum(heights) == pytest.approx(200)  # per cent of either


def test_another_detector_has_scores_without_features():
    forest = IsolationForest(n_estimators=10, random_state=0).fit(WINE)
    display = AnomalyDisplay.from_estimator(forest, WINE)
    assert display.bars_ is None
    assert display.threshold == forest.offset_


# -- where they are drawn, and bad input -----------------------------------------------


@pytest.mark.parametrize("kind", ["loss", "rows", "codes", "steps", "new", "units"])
def test_a_display_draws_where_it_is_told_and_again(kind, vae):
    draw = {
        "loss": lambda ax: LossCurveDisplay.from_estimator(vae, ax=ax),
        "rows": lambda ax: ReconstructionDisplay.from_estimator(vae, DIGITS, ax=ax),
        "codes": lambda ax: LatentSpaceDisplay.from_estimator(vae, DIGITS, ax=ax),
        "steps": lambda ax: LatentTraversalDisplay.from_estimator(vae, ax=ax),
        "new": lambda ax: SampleDisplay.from_estimator(vae, random_state=0, ax=ax),
        "units": lambda ax: ActiveUnitsDisplay.from_estimator(vae, DIGITS, ax=ax),
    }[kind]
    figure, axes = plt.subplots(1, 2)
    display = draw(axes[1])
    assert display.ax_ is axes[1]
    assert display.figure_ is figure
    assert display.plot() is display
    assert display.figure_ is not figure
    first = draw(None).figure_
    second = draw(None).figure_
    first.canvas.draw()
    second.canvas.draw()
    pixels = [np.asarray(f.canvas.buffer_rgba()) for f in (first, second)]
    assert np.array_equal(*pixels)
    assert pixels[0].std() > 0


def no_display(vae):
    table = pd.DataFrame({"a": list("xy"), "b": list("yx")})
    return [
        (
            lambda: LossCurveDisplay.from_estimator(vae, terms=["recon"]),
            r"terms .* among \['reconstruction', 'kl'\], got \['recon'\]",
        ),
        (
            lambda: LossCurveDisplay.from_estimator(PCA(2).fit(DIGITS)),
            "PCA has no history_",
        ),
        (
            lambda: LossCurveDisplay.from_estimator(VAETransformer()),
            "not fitted",
        ),
        (
            lambda: ReconstructionDisplay.from_estimator(vae, DIGITS, n_rows=0),
            "n_rows must be a positive int, got 0",
        ),
        (
            lambda: ReconstructionDisplay.from_predictions(
                DIGITS, DIGITS, image_shape=(9, 9)
            ),
            r"image_shape=\(1, 9, 9\) means 81 features, but there are 64",
        ),
        (
            lambda: ReconstructionDisplay.from_predictions(
                DIGITS, DIGITS, image_shape=(4, 4, 4)
            ),
            "1 or 3 channels to be drawn",
        ),
        (
            lambda: ReconstructionDisplay.from_predictions(DIGITS, DIGITS[:, :5]),
            "X_reconstructed has 5 features, but X has 64",
        ),
        (
            lambda: ReconstructionDisplay.from_predictions(table, table),
            "X has no column of numbers",
        ),
        (
            lambda: LatentSpaceDisplay.from_codes(DIGITS, CLASSES[:5]),
            r"y must have the shape \(300,\), an entry a row, got \(5,\)",
        ),
        (
            lambda: LatentSpaceDisplay.from_codes(DIGITS, components=[0, 64]),
            "components must be ints from 0 to 63",
        ),
        (
            lambda: LatentSpaceDisplay.from_codes(DIGITS, kind="pie"),
            "kind must be in .*, got 'pie'",
        ),
        (
            lambda: LatentSpaceDisplay.from_codes(np.full((3, 2), np.nan)),
            "Z contains NaN",
        ),
        (
            lambda: LatentTraversalDisplay.from_estimator(vae, components=[7]),
            "components must be ints from 0 to 2",
        ),
        (
            lambda: SampleDisplay.from_estimator(vae, n_samples=1.5),
            "n_samples must be a positive int, got 1.5",
        ),
        (
            lambda: SampleDisplay.from_samples(WINE, features=["colour"]),
            "features has 'colour', which is none of the columns",
        ),
        (
            lambda: SampleDisplay.from_samples(WINE, WINE.iloc[:, :3]),
            "X has 3 columns of numbers, but the new rows have 13",
        ),
        (
            lambda: ActiveUnitsDisplay.from_estimator(PCA(2).fit(DIGITS), DIGITS),
            "PCA has no posterior",
        ),
        (
            lambda: ActiveUnitsDisplay.from_predictions(DIGITS, DIGITS - 1),
            "std must be positive, got -1",
        ),
        (
            lambda: ActiveUnitsDisplay.from_predictions(DIGITS, DIGITS[:5]),
            "mean and std must have one shape",
        ),
        (
            lambda: AnomalyDisplay.from_predictions([0.0, np.inf], 0.0),
            "scores contains infinity",
        ),
        (
            lambda: AnomalyDisplay.from_predictions([0.0], "low"),
            "threshold must be a number, got 'low'",
        ),
    ]


@pytest.mark.parametrize("case", range(21))
def test_bad_input_is_told_by_name(case, vae):
    cases = no_display(vae)
    assert len(cases) == 21
    draw, message = cases[case]
    with pytest.raises(ValueError, match=message):
        draw()
