"""Pictures of searches: what stands in them is what the search has found."""

import matplotlib as mpl
import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV

from skae.inspection import SearchDisplay

mpl.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")

X = np.random.RandomState(0).randn(60, 5) * np.arange(1, 6)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def results_of(**values):
    """Return results of all combinations of values; the score is a running number."""
    grid = np.stack(np.meshgrid(*values.values(), indexing="ij"), -1).reshape(
        -1, len(values)
    )
    results = {
        f"param_{name}": np.ma.array(grid[:, j]) for j, name in enumerate(values)
    }
    results["params"] = [dict(zip(values, row, strict=True)) for row in grid]
    results["mean_test_score"] = np.arange(len(grid), dtype=float)
    return results


def test_a_heat_map_has_each_score_at_its_parameters():
    results = results_of(beta=[1.0, 0.1, 4.0], n_components=[2, 8])
    display = SearchDisplay.from_results(results)
    shown = np.asarray(display.image_.get_array())
    assert shown.tolist() == [[2.0, 0.0, 4.0], [3.0, 1.0, 5.0]]  # betas in order
    labels = [tick.get_text() for tick in display.ax_.get_xticklabels()]
    assert labels == ["0.1", "1", "4"]
    assert display.ax_.get_xlabel() == "beta"
    assert display.ax_.get_ylabel() == "n_components"
    texts = sorted(float(text.get_text()) for text in display.ax_.texts)
    assert texts == [0, 1, 2, 3, 4, 5]


def test_a_heat_map_over_two_of_three_parameters_shows_the_best_of_the_third():
    results = results_of(a=[0, 1], b=[0, 1], c=[0, 1])
    display = SearchDisplay.from_results(results, parameters=["b", "a"])
    assert display.image_.get_array().tolist() == [[1.0, 3.0], [5.0, 7.0]]


def test_a_single_parameter_is_a_row_of_the_heat_map():
    display = SearchDisplay.from_results(results_of(beta=[0.5, 2.0]))
    assert display.image_.get_array().tolist() == [[0.0, 1.0]]


def test_parallel_coordinates_lead_every_candidate_to_its_score():
    results = results_of(a=[0, 1], b=[0, 1, 2], c=[5, 6])
    display = SearchDisplay.from_results(results)
    assert display.kind == "parallel"
    for candidate, line in enumerate(display.lines_):
        a, b, c, score = line.get_ydata()
        expected = results["params"][candidate]
        assert (a, 2 * b, c + 5) == (expected["a"], expected["b"], expected["c"])
        assert score == pytest.approx(candidate / 11)


def test_values_of_any_kind_and_missing_ones_have_a_place():
    results = results_of(a=[0, 1])
    results["param_kernel"] = np.ma.array(["rbf", None], mask=[False, True])
    results["params"] = [{"a": 0, "kernel": "rbf"}, {"a": 1}]
    display = SearchDisplay.from_results(results)
    labels = [tick.get_text() for tick in display.ax_.get_yticklabels()]
    assert labels == ["rbf", "-"]
    assert np.isnan(np.ma.filled(display.image_.get_array(), np.nan)).sum() == 2


def test_it_draws_where_it_is_told_and_again():
    _, ax = plt.subplots()
    display = SearchDisplay.from_results(results_of(beta=[0.5, 2.0]), ax=ax)
    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    assert display.plot().ax_ is not ax


def test_a_search_of_a_pipeline_is_drawn_by_short_names():
    search = GridSearchCV(
        PCA(), {"n_components": [1, 2], "whiten": [True, False]}, cv=2
    ).fit(X)
    display = SearchDisplay.from_estimator(search, parameters=["n_components"])
    assert display.parameters == ["n_components"]
    results = results_of(vae__beta=[0.5, 1.0], classify__C=[1, 2])
    display = SearchDisplay.from_results(results, parameters=["C", "beta"])
    assert display.parameters == ["classify__C", "vae__beta"]


def test_bad_input_is_told_by_name():
    results = results_of(a=[0, 1], b=[0, 1], c=[0, 1])
    with pytest.raises(ValueError, match="a heat map has two parameters"):
        SearchDisplay.from_results(results, kind="heatmap")
    with pytest.raises(ValueError, match="kind must be"):
        SearchDisplay.from_results(results, kind="pie")
    with pytest.raises(
        ValueError, match=r"parameters has 'beta', .* \['a', 'b', 'c'\]"
    ):
        SearchDisplay.from_results(results, parameters=["beta"])
    with pytest.raises(ValueError, match=r"score='r2' is none of the scores"):
        SearchDisplay.from_results(results, score="r2")
    with pytest.raises(ValueError, match="not fitted"):
        SearchDisplay.from_estimator(GridSearchCV(PCA(), {"n_components": [1]}))
