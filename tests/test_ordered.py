"""Ordered codes: one fit has every size."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer, VAETransformer, _modules
from skae._random import Rng
from skae.architectures import MLP, Conv, RestoringMLP
from skae.likelihoods import Gaussian
from skae.penalties import Sparse

K = 4


def curved_rows(n_rows=300, seed=0):
    rng = np.random.default_rng(seed)
    t = rng.normal(size=(n_rows, 3)) * [2.0, 1.5, 1.0]
    features = np.column_stack([t, t**2 / 2, np.sin(2 * t)])
    X = features @ rng.normal(size=(9, 10))
    return X + 0.3 * rng.normal(size=X.shape)


X = curved_rows()


def make(n_components=K, **parameters):
    defaults = {"architecture": MLP((16,)), "max_epochs": 8, "random_state": 0}
    return AutoencoderTransformer(n_components, ordered=True, **defaults | parameters)


@pytest.fixture(scope="module")
def fitted():
    return make().fit(X)


def scaled(ae, X):
    scaler = ae.module_.scaler
    return (X - scaler.center.numpy()) / scaler.scale.numpy()


def explained(ae, X, k):
    """The share of variance that the first k components explain, in network space."""
    decoded = scaled(ae, ae.inverse_transform(ae.transform(X)[:, :k]))
    U = scaled(ae, X)
    return 1 - np.square(U - decoded).sum() / np.square(U - U.mean(axis=0)).sum()


def at_its_start(**parameters):
    # steps too small to change a number
    return make(max_epochs=1, lr=1e-30, scale="standard", **parameters).fit(X)


def test_the_start_is_pca_of_every_size():
    ae = at_its_start()
    scaler = StandardScaler().fit(X)
    for k in range(1, K + 1):
        pca = PCA(k).fit(scaler.transform(X))
        rows = pca.inverse_transform(pca.transform(scaler.transform(X)))
        decoded = ae.inverse_transform(ae.transform(X)[:, :k])
        np.testing.assert_allclose(
            decoded, scaler.inverse_transform(rows), atol=1e-5 * np.abs(X).max()
        )


def test_the_shares_at_the_start_are_those_of_pca():
    pca = PCA(K).fit(StandardScaler().fit_transform(X))
    np.testing.assert_allclose(
        at_its_start().explained_variance_ratio_,
        pca.explained_variance_ratio_,
        rtol=1e-4,
    )


def test_the_first_codes_of_a_fit_decode_better_than_pca_of_every_size():
    ae = make(max_epochs=60).fit(X)
    U = scaled(ae, X)
    for k in (1, 2, 3):
        pca = PCA(k).fit(U)
        assert explained(ae, X, k) > pca.explained_variance_ratio_.sum() + 0.01


def test_shares_are_what_each_component_adds(fitted):
    direct = [explained(fitted, X, k) for k in range(1, K + 1)]
    np.testing.assert_allclose(
        fitted.explained_variance_ratio_, np.diff(direct, prepend=0), rtol=1e-9
    )


def test_shares_sum_to_the_score_of_the_training_rows(fitted):
    total = fitted.explained_variance_ratio_.sum()
    assert total == pytest.approx(fitted.score(X), rel=1e-12)


def test_more_components_explain_more(fitted):
    assert fitted.explained_variance_ratio_.shape == (K,)
    assert (fitted.explained_variance_ratio_ > 0).all()


def test_shares_do_not_count_missing_values():
    holed = X.copy()
    holed[::7, 1] = np.nan
    ae = make().fit(holed)
    total = ae.explained_variance_ratio_.sum()
    assert total == pytest.approx(ae.score(holed), rel=1e-12)


def test_whole_codes_decode_as_reconstruct_says(fitted):
    decoded = fitted.inverse_transform(fitted.transform(X))
    np.testing.assert_array_equal(decoded, fitted.reconstruct(X))


@pytest.mark.parametrize("k", range(1, K + 1))
def test_k_columns_go_through_the_decoder_of_k_components(fitted, k):
    Z = fitted.transform(X.astype(np.float32))[:, :k]
    with torch.no_grad():
        U = fitted.module_.decoders[k - 1](torch.from_numpy(Z)).numpy()
    np.testing.assert_allclose(
        scaled(fitted, fitted.inverse_transform(Z)), U, rtol=1e-4, atol=1e-4
    )


def test_codes_wider_than_the_network_are_refused(fitted):
    with pytest.raises(ValueError, match=f"n_components={K}"):
        fitted.inverse_transform(np.zeros((2, K + 1)))


def test_codes_of_other_estimators_have_one_width():
    ae = AutoencoderTransformer(2, max_epochs=1).fit(X)
    with pytest.raises(ValueError, match="Z has 1 features"):
        ae.inverse_transform(np.zeros((3, 1)))
    assert not hasattr(ae, "explained_variance_ratio_")


# -- the width that explains a share -------------------------------------------


def test_a_share_takes_the_fewest_components_that_explain_it():
    share, parameters = 0.9, {"max_epochs": 30}
    ae = make(share, **parameters).fit(X)
    n_pca = AutoencoderTransformer(share, max_epochs=1).fit(X).n_components_
    whole = make(n_pca, **parameters).fit(X)
    cumulative = np.cumsum(whole.explained_variance_ratio_)
    n = int(np.argmax(cumulative >= share)) + 1
    assert ae.n_components_ == n < n_pca
    np.testing.assert_array_equal(
        ae.explained_variance_ratio_, whole.explained_variance_ratio_[:n]
    )
    np.testing.assert_array_equal(ae.transform(X), whole.transform(X)[:, :n])
    np.testing.assert_array_equal(
        ae.inverse_transform(ae.transform(X)),
        whole.inverse_transform(whole.transform(X)[:, :n]),
    )
    assert len(ae.get_feature_names_out()) == n


@pytest.mark.parametrize("n_components", [K, 0.9])
def test_a_pickle_has_the_same_codes_and_shares(n_components):
    ae = make(n_components).fit(X)
    back = pickle.loads(pickle.dumps(ae))
    Z = back.transform(X)
    np.testing.assert_array_equal(Z, ae.transform(X))
    for k in range(1, ae.n_components_ + 1):
        np.testing.assert_array_equal(
            back.inverse_transform(Z[:, :k]), ae.inverse_transform(Z[:, :k])
        )
    np.testing.assert_array_equal(
        back.explained_variance_ratio_, ae.explained_variance_ratio_
    )


# -- the loss ------------------------------------------------------------------


def make_module(n_features=5, n_components=3):
    module = _modules.OrderedModule(
        n_features=n_features,
        n_components=n_components,
        architecture=MLP((8,)),
        likelihood=Gaussian(scale=1.0),
        rng=Rng(0),
    )
    return module.double()


def test_the_loss_is_that_of_normal_laws_with_a_variance_for_each_size():
    module, U = make_module().train(), torch.randn(40, 5, dtype=torch.float64)
    output = module(U)
    losses = []
    for params in output.params:
        variance = (params - U).square().mean() + 1e-6
        normal = torch.distributions.Normal(params, variance.sqrt())
        losses.append(-normal.log_prob(U).sum(dim=1).mean())
    loss, terms = module.loss(output, U)
    assert loss.item() == pytest.approx(torch.stack(losses).mean().item(), rel=1e-5)
    assert terms["reconstruction"] == loss


def test_holes_cost_nothing():
    module, U = make_module().train(), torch.randn(40, 5, dtype=torch.float64)
    known = torch.ones_like(U)
    known[::3, 2] = 0
    output = module(U)
    elsewhere = U + 100 * (1 - known)
    assert module.loss(output, U, known)[0] == module.loss(output, elsewhere, known)[0]
    everything = torch.ones_like(U)
    assert module.loss(output, U, everything)[0].item() == pytest.approx(
        module.loss(output, U)[0].item()
    )


def test_held_out_rows_that_pca_explains_better_cost_more():
    rows = np.random.default_rng(0).normal(size=(200, 5)) * [3, 2, 1, 0.5, 0.5]
    U = torch.from_numpy(rows)
    module = make_module()
    scaler = _modules.Scaler(5)
    axes = _modules.principal_axes(rows, None, scaler, n_axes=3)
    module.start_at_pca(axes)
    output = module.train()(U)
    training_loss = module.loss(output, U)[0].item()
    assert module.eval().loss(output, U)[0].item() == pytest.approx(training_loss)
    # a size is worse than PCA now
    worse = output._replace(
        params=output.params * torch.tensor([0.5, 1, 1])[:, None, None]
    )
    on_top = module.eval().loss(worse, U)[0] - module.train().loss(worse, U)[0]
    ratio = (worse.params[0] - U).square().mean() / (
        output.params[0] - U
    ).square().mean()
    assert on_top.item() == pytest.approx(
        0.5 * 5 * 10 * ratio.log().item() / 3, rel=1e-4
    )


def test_no_size_is_worse_than_pca_on_rows_of_noise():
    noise = np.random.default_rng(0).normal(size=(150, 8))
    ae = make(max_epochs=30, architecture=MLP((64,))).fit(noise[:100])
    U_train, U = scaled(ae, noise[:100]), scaled(ae, noise[100:])
    for k in range(1, K + 1):
        pca = PCA(k).fit(U_train)
        left = np.square(U - pca.inverse_transform(pca.transform(U))).sum()
        of_pca = 1 - left / np.square(U - U.mean(axis=0)).sum()
        assert explained(ae, noise[100:], k) > of_pca - 0.02


# -- going on ------------------------------------------------------------------


@pytest.mark.parametrize("n_components", [K, 0.9])
def test_warm_start_and_partial_fit_go_on(n_components):
    ae = make(n_components, warm_start=True, early_stopping=False).fit(X)
    before = ae.explained_variance_ratio_
    ae.fit(X)
    after = ae.explained_variance_ratio_
    assert len(after) == ae.n_components_ <= len(before)
    assert after.sum() > before[: len(after)].sum()
    streaming = make(n_components, early_stopping=False)
    for _ in range(2):
        streaming.partial_fit(X)
    total = streaming.explained_variance_ratio_.sum()
    assert total == pytest.approx(streaming.score(X), rel=1e-12)


def test_training_does_not_go_on_with_codes_of_another_kind():
    ae = make(warm_start=True).fit(X)
    with pytest.raises(ValueError, match="ordered=False"):
        ae.set_params(ordered=False).fit(X)


def test_two_fits_agree_to_the_bit(fitted):
    again = clone(fitted).fit(X)
    np.testing.assert_array_equal(again.transform(X), fitted.transform(X))


def test_images_have_ordered_codes():
    images = np.random.default_rng(0).random((40, 64))
    conv = Conv((4, 8))
    ae = make(3, architecture=conv, image_shape=(1, 8, 8), max_epochs=1).fit(images)
    assert ae.inverse_transform(ae.transform(images)[:, :2]).shape == images.shape
    assert ae.explained_variance_ratio_.sum() == pytest.approx(ae.score(images))


def test_a_random_start_learns_every_size():
    ae = make(init="random", max_epochs=40).fit(X)
    assert ae.explained_variance_ratio_[0] > 0.3


# -- what it is not for --------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"loss": "absolute_error"}, "squared_error"),
        ({"penalty": Sparse()}, "penalty"),
        ({"architecture": RestoringMLP(), "n_components": None}, "bottleneck"),
    ],
)
def test_what_ordered_codes_cannot_have_is_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        make(**parameters).fit(X)


def test_categories_are_refused():
    table = pd.DataFrame({"a": X[:, 0], "b": pd.Categorical(["x", "y"] * 150)})
    with pytest.raises(ValueError, match="ordered=True is for tables of numbers"):
        make(1).fit(table)


def test_a_vae_has_no_ordered_codes():
    assert "ordered" not in VAETransformer().get_params()
