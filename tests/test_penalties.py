"""Penalties are the formulas of their papers, and do in a fit what they are for."""

import pickle

import numpy as np
import pytest
import torch
from scipy.stats import entropy
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV

from skae import AutoencoderTransformer
from skae._modules._linear_path import LinearPath
from skae._random import Rng
from skae.architectures import MLP
from skae.corruptions import Masking
from skae.penalties import Contractive, Penalty, Sparse


def encoder(hidden, n_inputs=5, n_outputs=3):
    rng = Rng(0)
    network = MLP(hidden, activation="tanh").build_encoder(n_inputs, n_outputs, rng)
    path = LinearPath(n_inputs, n_outputs, network, rng).double()
    with torch.no_grad():
        path.linear.bias.normal_(generator=rng.generator())
    return path


def rows(n=7):
    U = Rng(1).normal_like(torch.empty(n, 5, dtype=torch.float64))
    return U.requires_grad_()


def jacobian_norms(penalty, path, U):
    """Return squared norms of the Jacobian by central differences, (n_rows,)."""

    steps = 1e-5 * torch.eye(U.shape[1], dtype=U.dtype)

    def code(U):
        return penalty.activate(path(U))

    with torch.no_grad():
        slopes = [(code(U + step) - code(U - step)) / 2e-5 for step in steps]
    return torch.stack(slopes).square().sum(dim=(0, 2))


# -- formulas --------------------------------------------------------------------------


def test_l1_counts_sizes_whatever_the_unit_of_a_component():
    # on in a half, in a quarter, and in none of the rows
    Z = torch.tensor([[1.0, -9.0, 0.0], [0, 0, 0], [-1.0, 0, 0], [0, 0, 0]])
    penalty = Sparse("l1", weight=2.0)
    cost = penalty.cost(Z, None, None, None)
    assert torch.isclose(cost, torch.tensor(2 * (0.5**0.5 + 0.5)))
    scaled = Z * torch.tensor([0.01, 3.0, 1.0])
    assert torch.isclose(penalty.cost(scaled, None, None, None), cost)


def test_kl_is_the_divergence_of_mean_activations_from_the_target():
    Z = torch.tensor([[0.1, 0.9], [0.3, 0.5]], dtype=torch.float64)
    ours = Sparse("kl", weight=3.0, target=0.05).cost(Z, None, None, None)
    target = [[0.05] * 2, [0.95] * 2]
    expected = entropy(target, [[0.2, 0.7], [0.8, 0.3]]).sum()
    assert np.isclose(ours, 3.0 * expected)


def test_top_k_keeps_the_largest_components_and_their_gradients():
    A = torch.tensor([[3.0, -4.0, 0.5, 1.0], [0.0, 2.0, -1.0, 5.0]], requires_grad=True)
    Z = Sparse("top_k", n_active=2).activate(A)
    assert Z.tolist() == [[3.0, -4.0, 0.0, 0.0], [0.0, 2.0, 0.0, 5.0]]
    Z.sum().backward()
    assert A.grad.tolist() == [[1, 1, 0, 0], [0, 1, 0, 1]]


def test_positive_top_k_keeps_the_largest_by_value_and_nothing_below_zero():
    A = torch.tensor([[3.0, -4.0, 0.5, 1.0], [-1.0, 2.0, -3.0, -5.0]])
    A.requires_grad_()
    Z = Sparse("top_k", n_active=2, positive=True).activate(A)
    assert Z.tolist() == [[3.0, 0.0, 0.0, 1.0], [0.0, 2.0, 0.0, 0.0]]
    Z.sum().backward()
    assert A.grad.tolist() == [[1, 0, 0, 1], [0, 1, 0, 0]]


@pytest.mark.parametrize("kind", ["l1", "kl"])
def test_positive_codes_are_rectified_or_those_of_the_sigmoid(kind):
    A = torch.tensor([[3.0, -4.0, 0.5]])
    Z = Sparse(kind, positive=True).activate(A)
    assert torch.equal(Z, A.relu() if kind == "l1" else A.sigmoid())


@pytest.mark.parametrize(
    ("trained", "numbers", "warmup"),
    [(None, [4, 4, 4], 0), (9, [9, 9, 9], 0), ((36, 9), [36, 18, 9], 0.5)],
)
def test_the_active_components_of_training_fall_by_a_factor_a_step(
    trained, numbers, warmup
):
    penalty = Sparse("top_k", n_active=4, n_active_trained=trained)
    A = Rng(0).normal_like(torch.empty(3, 50))
    for share, number in zip((0.0, 0.5, 1.0), numbers, strict=True):
        Z = penalty.activate_trained(A, share)
        assert ((Z != 0).sum(dim=1) == number).all()
    assert ((penalty.activate(A) != 0).sum(dim=1) == 4).all()
    assert penalty.warmup == warmup


@pytest.mark.parametrize("activation", [None, "sigmoid"])
@pytest.mark.parametrize(("hidden", "n_draws"), [((), 1), ((4,), 3), ((4, 6), 5)])
def test_contraction_is_exact_for_one_layer_and_for_enough_draws(
    activation, hidden, n_draws
):
    penalty = Contractive(0.7, activation=activation, n_draws=n_draws)
    path, U = encoder(hidden), rows()
    cost = penalty.cost(penalty.activate(path(U)), U, path, Rng(2))
    assert torch.allclose(
        cost, 0.7 * jacobian_norms(penalty, path, U).mean(), rtol=1e-6
    )


def test_the_estimate_of_a_deep_contraction_is_unbiased():
    penalty = Contractive(1.0, n_draws=1)
    path, U, rng = encoder((4, 6)), rows(1), Rng(2)
    draws = torch.stack(
        [penalty.cost(path(U), U, path, rng).detach() for _ in range(3000)]
    )
    exact = jacobian_norms(penalty, path, U).mean()
    error = draws.std() / np.sqrt(len(draws))
    assert error < 0.03 * exact
    assert abs(draws.mean() - exact) < 3 * error


def test_the_gradient_of_a_contraction_reaches_the_weights_of_a_deep_encoder():
    penalty, path, U = Contractive(1.0, n_draws=3), encoder((4,)), rows()
    penalty.cost(path(U), U, path, Rng(0)).backward()
    weight = path.network.hidden[0].weight
    before, step = jacobian_norms(penalty, path, U).mean(), 1e-5
    direction = weight.grad / weight.grad.norm()
    with torch.no_grad():
        weight.add_(direction, alpha=step)
    after = jacobian_norms(penalty, path, U).mean()
    assert torch.isclose((after - before) / step, weight.grad.norm(), rtol=1e-3)


# -- fits ------------------------------------------------------------------------------


def digits():
    X = load_digits().data
    return X[:600], X[600:900]


def fitted(**settings):
    settings = {"n_components": 16, "max_epochs": 30, "random_state": 0} | settings
    return AutoencoderTransformer(**settings).fit(digits()[0])


def hoyer(Z):
    """Return Hoyer's sparseness of codes: 0 for equal sizes, 1 for one component."""
    ratio = np.abs(Z).sum(axis=1) / np.sqrt(np.square(Z).sum(axis=1))
    n = np.sqrt(Z.shape[1])
    return ((n - ratio) / (n - 1)).mean()


def test_l1_makes_codes_sparse():
    X_test = digits()[1]
    plain, sparse = fitted(), fitted(penalty=Sparse("l1", weight=1.0))

    def sparseness(ae):
        Z = ae.transform(X_test)
        return hoyer(Z / np.sqrt(np.square(Z).mean(axis=0)))

    assert sparseness(sparse) > sparseness(plain) + 0.1


def test_kl_brings_mean_activations_to_the_target():
    ae = fitted(penalty=Sparse("kl", weight=10.0, target=0.1))
    Z = ae.transform(digits()[0])
    assert Z.min() > 0
    assert Z.max() < 1
    assert np.allclose(Z.mean(axis=0), 0.1, atol=0.05)


def test_top_k_codes_have_k_components():
    ae = fitted(penalty=Sparse("top_k", n_active=5))
    X_test = digits()[1]
    Z = ae.transform(X_test)
    assert ((Z != 0).sum(axis=1) == 5).all()
    assert np.allclose(ae.inverse_transform(Z), ae.reconstruct(X_test))


class Told(Penalty):
    """Tells how far training has come whenever it is asked for codes."""

    warmup = 0.5

    def activate(self, A):
        """Return codes of inference."""
        told.append(None)
        return A

    def activate_trained(self, A, share):
        """Return codes of training."""
        told.append(share)
        return A

    def cost(self, Z, U, encoder, rng):
        """Return nothing."""
        return Z.new_zeros(())


told = []  # a clone of a penalty has nothing but its parameters


def test_training_says_how_far_it_has_come_and_inference_has_its_own_codes():
    X = digits()[0][:100]
    ae = AutoencoderTransformer(
        4, penalty=Told(), max_epochs=4, batch_size=50, random_state=0,
        early_stopping=False,
    )  # fmt: skip
    told.clear()
    ae.fit(X)
    steps, kept_codes = told[:8], told[8:]
    assert steps == [0.0, 0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 1.0]
    assert set(kept_codes) == {None}
    told.clear()
    ae.partial_fit(X).transform(X)  # of a length that is not known
    assert told[:2] == [1.0, 1.0]
    assert set(told[2:]) == {None}


def test_held_out_rows_meet_the_codes_of_inference():
    told.clear()
    AutoencoderTransformer(4, penalty=Told(), max_epochs=1, random_state=0).fit(
        digits()[0][:100]
    )
    assert told[0] is None  # the start, before any step
    assert 0.0 in told


def test_fewer_and_fewer_active_components_end_with_no_component_idle():
    X = digits()[0]

    def n_idle(trained):
        penalty = Sparse("top_k", n_active=3, n_active_trained=trained, positive=True)
        settings = {"penalty": penalty, "n_components": 60, "max_epochs": 20}
        Z = fitted(**settings, architecture=MLP(()), init="random").transform(X)
        assert ((Z > 0).sum(axis=1) <= 3).all()
        return (Z == 0).all(axis=0).sum()

    assert n_idle((30, 3)) < n_idle(None)


@pytest.mark.parametrize(
    "held_back",
    [{"penalty": Sparse("top_k", n_active=5)}, {"corruption": Masking(0.5)}],
)
def test_a_wide_code_that_cannot_copy_is_no_reason_to_warn(held_back):
    ae = AutoencoderTransformer(80, max_epochs=1, random_state=0, **held_back)
    assert ae.fit(digits()[0]).n_components_ == 80


def test_contraction_makes_codes_change_less():
    X_test = digits()[1]
    step = np.random.RandomState(0).normal(size=X_test.shape) * 1e-3

    def change(ae):
        difference = ae.transform(X_test + step) - ae.transform(X_test)
        return np.square(difference).sum()

    weak, strong = (
        fitted(penalty=Contractive(weight), init="random", max_epochs=20)
        for weight in (0.0, 1.0)
    )
    assert change(strong) < 0.5 * change(weak)


def test_the_history_has_the_penalty_and_its_share_of_the_loss():
    ae = fitted(penalty=Sparse("l1", weight=0.5), max_epochs=3)
    history = ae.history_
    for part in ("train", "validation"):
        total = history[f"{part}_reconstruction"] + history[f"{part}_penalty"]
        assert np.allclose(history[f"{part}_loss"][1:], total[1:], rtol=1e-4)
    assert (history["validation_penalty"] > 0).all()


@pytest.mark.parametrize(
    "penalty",
    [Sparse("l1"), Contractive(), Sparse("kl"), Contractive(activation="sigmoid")],
    ids=["l1", "contractive", "kl", "sigmoid"],
)
def test_training_starts_at_pca(penalty):
    X, X_test = digits()
    ae = fitted(penalty=penalty, max_epochs=1, lr=1e-12, early_stopping=False)
    pca = PCA(16).fit(X)
    expected = pca.inverse_transform(pca.transform(X_test))
    difference = np.square(ae.reconstruct(X_test) - expected).sum()
    # a sigmoid is linear in its middle, and nearly so around it
    assert difference < 0.01 * np.square(X_test - X.mean(axis=0)).sum()


@pytest.mark.parametrize("penalty", [Sparse("kl"), Contractive(n_draws=2)])
def test_fits_repeat_and_pickles_keep_the_code(penalty):
    X_test = digits()[1]
    ae = fitted(penalty=penalty, max_epochs=3)
    Z = ae.transform(X_test)
    assert np.array_equal(Z, clone(ae).fit(digits()[0]).transform(X_test))
    assert np.array_equal(Z, pickle.loads(pickle.dumps(ae)).transform(X_test))


def test_a_search_reaches_the_parameters_of_a_penalty():
    ae = AutoencoderTransformer(4, penalty=Sparse(), max_epochs=2, random_state=0)
    search = GridSearchCV(ae, {"penalty__weight": [0.0, 100.0]}, cv=2)
    search.fit(digits()[0])
    assert search.best_params_ == {"penalty__weight": 0.0}


class Offset(Penalty):
    """A user's own: the squared distance of codes from one."""

    def cost(self, Z, U, encoder, rng):
        """Return the cost."""
        return 10 * (Z - 1).square().sum(dim=1).mean()


def test_a_penalty_may_be_the_users_own():
    Z = fitted(penalty=Offset(), n_components=2).transform(digits()[1])
    assert np.allclose(Z.mean(axis=0), 1.0, atol=0.1)


# -- errors ----------------------------------------------------------------------------


def test_bad_penalties_are_refused():
    X = digits()[0]
    for penalty, message in [
        (Sparse("l2"), "'kind' parameter of Sparse"),
        (Sparse(weight=-1), "'weight' parameter of Sparse"),
        (Sparse(target=1.0), "'target' parameter of Sparse"),
        (Sparse(positive=1.5), "'positive' parameter of Sparse"),
        (Sparse(n_active_trained=0), "'n_active_trained' parameter of Sparse"),
        (Sparse("top_k", n_active_trained=(9, 0)), "'n_active_trained' parameter"),
        (Sparse("top_k", n_active_trained=(4, 3, 2)), "two of them .*4, 3, 2"),
        (Sparse("top_k", n_active=1, n_active_trained=(9, 1)), "n_active_trained=9 "),
        (Contractive(n_draws=0), "'n_draws' parameter of Contractive"),
        (Sparse("top_k", n_active=5), "n_active=5 components of a code of n_comp"),
        ("l1", "'penalty' parameter"),
    ]:
        ae = AutoencoderTransformer(4, penalty=penalty)
        with pytest.raises(ValueError, match=message):
            ae.fit(X)
        assert not hasattr(ae, "net_")


def test_training_does_not_go_on_with_or_without_a_penalty():
    ae = AutoencoderTransformer(4, max_epochs=1, warm_start=True).fit(digits()[0])
    ae.set_params(penalty=Sparse())
    with pytest.raises(ValueError, match=r"penalty=Sparse.* network with penalty=None"):
        ae.fit(digits()[0])
