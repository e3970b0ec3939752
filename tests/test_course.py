"""The course of training: step sizes, noise, clipping, averaging; and the refit."""

import numpy as np
import pytest
import skorch.callbacks
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer, VAETransformer, _setup
from skae._random import Rng
from skae._training import _course
from skae._training._course import ConstantCourse, Course
from skae._training._flat import FlatParameters
from skae.architectures import MLP
from skae.architectures._layers import linear
from skae.likelihoods import Bernoulli

BOTH = pytest.mark.parametrize("estimator", [AutoencoderTransformer, VAETransformer])
X_WINE = load_wine().data
X_DIGITS = load_digits().data


def make_course(n_steps=100, n_weights=3, **options):
    """Return a course of plain gradient descent over a few weights, and these."""
    flat = FlatParameters(linear(n_weights, 1, Rng(0), bias=False))
    optimizer = torch.optim.SGD([flat.vector], lr=1.0)
    return Course(optimizer, flat, n_steps, options.get("spread", 1.0), Rng(1)), flat


ROWS = torch.zeros(400, 50)


# -- step sizes --------------------------------------------------------------------


def test_the_step_size_rises_from_zero_and_falls_to_zero_in_straight_lines():
    course, _ = make_course(n_steps=100)
    steps = []
    for _ in range(100):
        course.begin_step(ROWS)
        steps.append(course.optimizer.param_groups[0]["lr"])
    np.testing.assert_allclose(steps[:5], [0.2, 0.4, 0.6, 0.8, 1.0])
    np.testing.assert_allclose(np.diff(steps[5:]), -1 / 95)
    assert steps[-1] == pytest.approx(1 / 95)


@pytest.mark.parametrize("n_steps", [1, 2, 3, 19])
def test_a_short_course_takes_steps_too(n_steps):
    course, _ = make_course(n_steps=n_steps)
    steps = []
    for _ in range(n_steps):
        course.begin_step(ROWS)
        steps.append(course.optimizer.param_groups[0]["lr"])
    assert min(steps) > 0
    assert max(steps) > 0.5


@BOTH
def test_history_has_the_step_sizes_of_the_course(estimator):
    fitted = estimator(
        2, architecture=MLP((8,)), lr=0.5e-2, max_epochs=10, batch_size=len(X_WINE),
        early_stopping=False, random_state=0,
    ).fit(X_WINE)  # fmt: skip
    expected = 0.5e-2 * np.arange(10, 0, -1) / 9.5
    np.testing.assert_allclose(fitted.history_["lr"], np.minimum(expected, 0.5e-2))


def test_the_constant_course_leaves_the_step_size_alone():
    ae = AutoencoderTransformer(
        2, architecture=MLP((8,)), lr=0.5e-2, schedule="constant", max_epochs=3
    ).fit(X_WINE)
    assert set(ae.history_["lr"][1:]) == {0.5e-2}


@BOTH
def test_a_scheduler_beside_the_course_is_refused_before_training(estimator):
    scheduler = ("steps", skorch.callbacks.LRScheduler("StepLR", step_size=1))
    fitted = estimator(2, callbacks=[scheduler])
    with pytest.raises(ValueError, match=r"callbacks\[0\].*schedule='constant'"):
        fitted.fit(X_WINE)
    assert not hasattr(fitted, "net_")


# -- noise ---------------------------------------------------------------------------


def test_the_noise_falls_with_the_step_size():
    course, _ = make_course(n_steps=100, spread=3.0)
    for _ in range(100):
        noise = course.begin_step(ROWS).std().item()
        share = course.optimizer.param_groups[0]["lr"]
        assert noise == pytest.approx(_course.JITTER * 3.0 * share, rel=0.03)


def test_the_noise_leaves_the_rows_themselves_alone():
    course, _ = make_course()
    rows = torch.ones(4, 2)
    assert not torch.equal(course.begin_step(rows), rows)
    assert torch.equal(rows, torch.ones(4, 2))


def test_the_loss_is_that_of_the_clean_rows(monkeypatch):
    """A network that copies its input cannot help but copy the noise."""
    monkeypatch.setattr(_course, "JITTER", 3.0)
    monkeypatch.setattr(_course, "WARMUP_SHARE", 1e-9)
    ae = AutoencoderTransformer(
        13, architecture=MLP(()), optimizer="sgd", lr=1e-30, max_epochs=1,
        batch_size=len(X_WINE), early_stopping=False, random_state=0,
    ).fit(X_WINE)  # fmt: skip
    # the reconstruction is x + noise, the target x: half its square over 13 columns
    nats = 0.5 * 13 * 3.0**2 + 0.5 * 13 * np.log(2 * np.pi)
    assert ae.loss_curve_[0] == pytest.approx(nats, rel=0.05)


@pytest.mark.parametrize("scale", [0.1, 1.0])
def test_the_noise_is_a_share_of_the_spread_of_rows_without_a_scaling(scale):
    class Spread(skorch.callbacks.Callback):
        def on_epoch_begin(self, net, **kwargs):
            spreads.append(net.course_.spread)

    spreads = []
    X = scale * X_DIGITS / 16
    AutoencoderTransformer(
        2, architecture=MLP(()), loss="binary_cross_entropy", max_epochs=1,
        early_stopping=False, callbacks=[Spread()],
    ).fit(X)  # fmt: skip
    expected = np.sqrt(X.var(axis=0).mean())
    assert spreads[0] == pytest.approx(expected, rel=0.03)


# -- clipping ------------------------------------------------------------------------


def test_a_gradient_that_is_much_longer_than_usual_is_shortened():
    course, flat = make_course()
    for _ in range(50):
        flat.gradient.copy_(torch.tensor([3.0, 0.0, 4.0]))
        course.before_update()
        assert flat.gradient.norm().item() == pytest.approx(5.0, rel=1e-5)
    flat.gradient.copy_(torch.tensor([0.0, 5e6, 0.0]))
    course.before_update()
    assert flat.gradient.tolist() == pytest.approx([0.0, 10.0, 0.0], rel=1e-4)
    # one giant says little about what is usual
    assert course.usual.exp().item() < 10.0


def test_clipping_does_not_depend_on_the_unit_of_the_loss():
    lengths = torch.rand(200, generator=torch.Generator().manual_seed(0)).exp() ** 4
    clipped = []
    for unit in (1e-12, 1.0, 1e12):
        course, flat = make_course(n_weights=1)
        for length in lengths:
            flat.gradient.fill_(unit * length)
            course.before_update()
            clipped.append(flat.gradient.item() / unit)
    one, two, three = np.split(np.array(clipped), 3)
    assert (two < 0.99 * lengths.numpy()).any()  # some were shortened
    np.testing.assert_allclose(one, two, rtol=1e-4)
    np.testing.assert_allclose(three, two, rtol=1e-4)


def test_a_gradient_of_zero_stays_zero_and_does_no_harm():
    course, flat = make_course()
    for _ in range(3):
        flat.gradient.zero_()
        course.before_update()
        assert torch.equal(flat.gradient, torch.zeros(3))
    for _ in range(200):  # and usual is found again
        flat.gradient.fill_(1.0)
        course.before_update()
    np.testing.assert_allclose(flat.gradient, np.ones(3), rtol=1e-6)


# -- averaging -----------------------------------------------------------------------


def test_the_average_weighs_steps_by_their_power():
    course, flat = make_course(n_steps=500)
    seen = []
    for i in range(500):
        course.begin_step(ROWS)
        flat.vector.data.fill_(float(i))
        course.after_update()
        seen.append(float(i))
    course.end_epoch()
    n = len(seen)
    # of the j-th of n: the share that it was given, and what the later ones left of it
    shares = np.array([8 / (7 + j) if j > 1 else 1.0 for j in range(1, n + 1)])
    left = np.cumprod(np.append(1.0, 1 - shares[:0:-1]))[::-1]
    expected = (shares * left * seen).sum()
    np.testing.assert_allclose(flat.vector.data, expected, rtol=1e-4)
    # the mean of the law j**7 is 8/9 of the way
    assert expected == pytest.approx(8 / 9 * n, rel=0.01)


def test_between_epochs_the_network_has_the_average_and_goes_on_with_the_last():
    course, flat = make_course(n_steps=10)
    for value in (1.0, 2.0, 3.0):
        course.begin_step(ROWS)
        flat.vector.data.fill_(value)
        course.after_update()
    course.end_epoch()
    average = flat.vector.data[0].item()
    assert 2.0 < average < 3.0
    course.begin_epoch()
    assert flat.vector.data.tolist() == [3.0] * 3


def test_what_a_callback_writes_between_epochs_is_what_training_goes_on_with():
    course, flat = make_course(n_steps=10)
    course.begin_step(ROWS)
    flat.vector.data.fill_(1.0)
    course.after_update()
    course.end_epoch()
    flat.vector.data.fill_(7.0)
    course.begin_epoch()
    assert flat.vector.data.tolist() == [7.0] * 3
    course.begin_step(ROWS)
    course.after_update()
    course.end_epoch()
    assert flat.vector.data.tolist() == [7.0] * 3  # nothing of 1.0 is left


@BOTH
def test_the_fitted_weights_are_the_average_at_the_best_epoch(estimator):
    class Shown(skorch.callbacks.Callback):
        def on_epoch_end(self, net, **kwargs):
            shown.append(net.flat_.vector.detach().clone())

        def on_epoch_begin(self, net, **kwargs):
            begun.append(net.flat_.vector.detach().clone())

    shown, begun = [], []
    fitted = estimator(
        2, architecture=MLP((8,)), max_epochs=6, early_stopping=False, random_state=0,
        callbacks=[Shown()],
    ).fit(X_WINE)  # fmt: skip
    weights = torch.cat([p.detach().flatten() for p in fitted.module_.parameters()])
    assert torch.equal(weights, shown[-1])
    assert all(torch.equal(a, b) for a, b in zip(shown, begun[1:], strict=False))


@BOTH
def test_the_constant_course_is_the_bare_optimiser(estimator):
    course = ConstantCourse(torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], 1.0))
    assert course.begin_step(ROWS) is ROWS
    options = {
        "architecture": MLP((8,)), "optimizer": "sgd", "lr": 1e-3,
        "schedule": "constant", "max_epochs": 1, "batch_size": len(X_WINE),
        "early_stopping": False, "random_state": 0,
    }  # fmt: skip
    one = estimator(2, **options).fit(X_WINE)
    two = clone(one).set_params(lr=2e-3).fit(X_WINE)
    start = clone(one).set_params(lr=1e-30).fit(X_WINE)
    first = start.module_.decoder.network.output.weight
    moved = [e.module_.decoder.network.output.weight - first for e in (one, two)]
    assert moved[0].norm() > 0
    torch.testing.assert_close(2 * moved[0], moved[1], rtol=1e-3, atol=1e-8)


# -- how long ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n_rows", "n_epochs"),
    [
        (20, 600),  # 2 batches of 16: as often as is allowed
        (1_600, 600),  # 16 batches of 100: 10,000 steps, nearly
        (6_400, 400),  # 25 batches of 256
        (25_600, 100),  # 100 batches
        (256_000, 25),  # 1,000 batches: 25,000 steps
        (25_600_000, 1),
    ],
)
def test_the_number_of_epochs_suits_the_table(n_rows, n_epochs):
    batch_size = int(np.clip(n_rows // 16, 16, 256))
    assert _setup._n_epochs("auto", -(-n_rows // batch_size)) == n_epochs


@pytest.mark.parametrize(
    ("max_epochs", "patience"), [(1, 10), (20, 10), (60, 20), (300, 100)]
)
def test_patience_is_a_share_of_the_course(max_epochs, patience):
    assert _setup._patience("auto", max_epochs) == patience
    assert _setup._patience(3, max_epochs) == 3


# -- the refit -----------------------------------------------------------------------


@BOTH
def test_the_refit_is_the_fit_of_all_rows_up_to_the_best_epoch(estimator):
    options = {"architecture": MLP((8,)), "max_epochs": 40, "random_state": 0}
    fitted = estimator(2, **options).fit(X_WINE)
    assert fitted.best_epoch_ > 0

    class Stop(skorch.callbacks.Callback):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == fitted.best_epoch_:
                net.request_stop()

    alone = estimator(2, **options, early_stopping=False, callbacks=[Stop()])
    alone.set_params(batch_size=16).fit(X_WINE)
    np.testing.assert_array_equal(fitted.transform(X_WINE), alone.transform(X_WINE))


@BOTH
def test_the_history_is_that_of_the_training_with_held_out_rows(estimator):
    options = {"architecture": MLP((8,)), "max_epochs": 5, "random_state": 0}
    refitted = estimator(2, **options).fit(X_WINE)
    chosen = estimator(2, **options, refit=False).fit(X_WINE)
    for name in ("train_loss", "validation_loss", "lr"):
        np.testing.assert_array_equal(refitted.history_[name], chosen.history_[name])
    assert refitted.best_epoch_ == chosen.best_epoch_
    assert refitted.n_epochs_ == chosen.n_epochs_ == 5
    assert not np.array_equal(refitted.transform(X_WINE), chosen.transform(X_WINE))


@BOTH
def test_where_nothing_improves_on_the_start_the_refit_is_pca_of_all_rows(estimator):
    rs = np.random.RandomState(0)
    noise = rs.normal(size=(60, 8))
    fitted = estimator(
        3, architecture=MLP((8,)), scale="standard", lr=1e-30, max_epochs=3,
        random_state=0,
    ).fit(noise)  # fmt: skip
    assert fitted.best_epoch_ == 0
    U = StandardScaler().fit_transform(noise)
    pca = PCA(3).fit(U)
    if estimator is AutoencoderTransformer:
        expected = pca.inverse_transform(pca.transform(U))
        error = np.square(U - expected).sum(axis=1).mean()
        scale = fitted.module_.scaler.scale.numpy()
        ours = fitted.reconstruction_error(noise, per_feature=True) / scale**2
        assert ours.sum(axis=1).mean() == pytest.approx(error, rel=1e-5)
    else:
        jacobian = -np.log(noise.std(axis=0)).sum()
        expected = pca.score(U) + jacobian
        assert fitted.score(noise) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("options", "n_trainings"),
    [
        ({}, 2),
        ({"refit": False}, 1),
        ({"early_stopping": False}, 1),
        ({"early_stopping": False, "refit": True}, 1),  # there is nothing to take back
        ({"callbacks": []}, 2),
        ({"callbacks": [skorch.callbacks.EarlyStopping("valid_loss")]}, 2),
    ],
)
def test_auto_refits_where_rows_were_held_out(options, n_trainings, monkeypatch):
    plans = []
    train = _setup._training.train

    def recording(module, rows, plan, *args):
        plans.append((plan, rows.n_train))
        return train(module, rows, plan, *args)

    monkeypatch.setattr(_setup._training, "train", recording, raising=False)
    ae = AutoencoderTransformer(2, architecture=MLP((4,)), max_epochs=4)
    ae.set_params(**options).fit(X_WINE)
    assert len(plans) == n_trainings
    assert plans[-1][1] == (len(X_WINE) if n_trainings == 2 else plans[0][1])


@BOTH
def test_callbacks_see_the_validation_losses_again_in_the_refit(estimator):
    class Losses(skorch.callbacks.Callback):
        def on_train_begin(self, net, **kwargs):
            seen.append([])

        def on_epoch_end(self, net, **kwargs):
            seen[-1].append(net.history[-1, "valid_loss"])

    seen = []
    fitted = estimator(
        2, architecture=MLP((8,)), max_epochs=40, random_state=0, callbacks=[Losses()]
    ).fit(X_WINE)
    assert len(seen[1]) == fitted.best_epoch_ > 0
    assert seen[1] == seen[0][: fitted.best_epoch_]


def test_large_tables_are_not_refitted(monkeypatch):
    monkeypatch.setattr(_setup, "MOST_REFIT_ROWS", len(X_WINE) - 1)
    options = {"architecture": MLP((4,)), "max_epochs": 2, "random_state": 0}
    auto = AutoencoderTransformer(2, **options).fit(X_WINE)
    never = AutoencoderTransformer(2, **options, refit=False).fit(X_WINE)
    np.testing.assert_array_equal(auto.transform(X_WINE), never.transform(X_WINE))


def test_a_warm_start_is_not_refitted_from_the_start():
    ae = AutoencoderTransformer(
        2, architecture=MLP((8,)), max_epochs=5, warm_start=True, random_state=0
    ).fit(X_WINE)
    before = ae.module_.encoder.linear.weight.detach().clone()
    ae.set_params(lr=1e-30).fit(X_WINE)
    torch.testing.assert_close(ae.module_.encoder.linear.weight, before)
    assert ae.n_epochs_ == 10


# -- rows drawn anew ---------------------------------------------------------------


def test_dynamic_binarisation_draws_ones_with_the_probability_of_the_entry():
    X = torch.tensor([[0.0, 0.25, 0.7, 1.0]]).repeat(20_000, 1)
    drawn = Bernoulli(binarize=True).observe(X, Rng(0))
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    np.testing.assert_allclose(drawn.mean(dim=0), X[0], atol=0.01)
    assert Bernoulli().observe(X, Rng(0)) is X


@pytest.mark.parametrize("watched", [False, True])
def test_training_sees_new_draws_in_every_epoch(watched):
    class Watcher(skorch.callbacks.Callback):
        def on_batch_end(self, net, **kwargs):
            pass

    X = np.full((64, 3), 0.5)
    vae = VAETransformer(
        1, likelihood=Bernoulli(binarize=True), architecture=MLP(()), optimizer="sgd",
        lr=1e-30, schedule="constant", max_epochs=3, early_stopping=False,
        callbacks=[Watcher()] if watched else None, random_state=0,
    )  # fmt: skip
    with pytest.warns(match="collapsed"):
        vae.fit(X)
    # at the start the logits are 0: each entry costs log 2 whatever is drawn
    np.testing.assert_allclose(vae.loss_curve_, 3 * np.log(2), rtol=1e-4)
    skewed = np.full((64, 3), 0.9)
    with pytest.warns(match="collapsed"):
        vae.fit(skewed)
    # and here what is drawn decides, around the entropy of a coin of 0.9
    assert len(set(vae.loss_curve_)) == 3
    entropy = -(0.9 * np.log(0.9) + 0.1 * np.log(0.1))
    np.testing.assert_allclose(vae.loss_curve_, 3 * entropy, rtol=0.25)


def test_scores_are_those_of_the_rows_as_given():
    X = X_DIGITS[:100] / 16
    plain = VAETransformer(2, likelihood="bernoulli", max_epochs=1, random_state=0)
    plain.set_params(lr=1e-30, early_stopping=False).fit(X)
    drawn = clone(plain).set_params(likelihood=Bernoulli(binarize=True)).fit(X)
    np.testing.assert_allclose(plain.score_samples(X), drawn.score_samples(X))
