"""Networks that train as a stack come out as they would alone."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_wine
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from skae import AutoencoderTransformer, VAETransformer, config_context
from skae import _training as training
from skae._fit_together import Job, can_stack, train_jobs
from skae._training._flat import FlatParameters
from skae._training._stack import Stack
from skae._training._stack._parameters import StackedParameters, own_part
from skae._training._stack._updates import StackedAdam
from skae.architectures import MLP
from skae.corruptions import GaussianNoise, Masking
from skae.penalties import Sparse

WINE = load_wine().data


def make_table(n_rows=240, n_features=9):
    random = np.random.RandomState(0)
    codes = random.randn(n_rows, 3)
    X = np.tanh(codes @ random.randn(3, n_features)) + 0.3 * codes[:, :1] ** 2
    return X + 0.1 * random.randn(n_rows, n_features)


TABLE = make_table()
FOLDS = [TABLE[:200], TABLE[40:]]


def autoencoder(**parameters):
    common = {"n_components": 3, "max_epochs": 6, "random_state": 0, "refit": False}
    hidden = MLP((16,))
    return AutoencoderTransformer(architecture=hidden).set_params(**common | parameters)


def vae(**parameters):
    common = {"n_components": 3, "max_epochs": 6, "random_state": 0, "refit": False}
    return VAETransformer(architecture=MLP((16,))).set_params(**common | parameters)


def train_both(estimators, tables):
    """Return estimators fitted as a stack, and the same fitted one by one."""
    stacked = [clone(estimator) for estimator in estimators]
    jobs = [Job(own, X) for own, X in zip(stacked, tables, strict=True)]
    train_jobs(jobs)
    assert all(job.is_done for job in jobs)
    alone = [clone(e).fit(X) for e, X in zip(estimators, tables, strict=True)]
    return stacked, alone


def with_holes(X):
    holes = np.random.RandomState(1).uniform(size=X.shape) < 0.1
    return np.where(holes, np.nan, X)


STACKS = {
    "step sizes": [autoencoder(lr=lr) for lr in (1e-3, 4e-3, 1e-2)],
    "seeds": [autoencoder(random_state=seed) for seed in (0, 1, 2)],
    "weight decays": [autoencoder(weight_decay=w) for w in (0.0, 0.1, 1.0)],
    "adam with weight decays": [
        autoencoder(optimizer="adam", weight_decay=w, lr=lr)
        for w, lr in ((0.0, 1e-3), (0.1, 1e-3), (0.1, 1e-2))
    ],
    "corruptions": [autoencoder(corruption=GaussianNoise(s)) for s in (0.1, 0.5)]
    + [autoencoder(corruption=Masking(0.3))],
    "code widths": [autoencoder(n_components=k) for k in (1, 2, 5)],
    "a share of variance": [autoencoder(n_components=s) for s in (0.5, 0.9)],
    "absolute errors": [
        autoencoder(loss="absolute_error", lr=lr) for lr in (1e-3, 1e-2)
    ],
    "dropout": [
        autoencoder(architecture=MLP((16,), dropout=0.2), random_state=seed)
        for seed in (0, 0, 1)
    ],
    "random starts": [autoencoder(init="random", random_state=s) for s in (0, 0, 3)],
    "all rows": [autoencoder(early_stopping=False, lr=lr) for lr in (1e-3, 1e-2)],
    "a refit": [autoencoder(refit="auto", lr=lr) for lr in (1e-3, 4e-3, 1e-2)],
    "a refit of VAEs": [vae(refit="auto", beta=beta) for beta in (0.1, 1.0)],
    "a constant step": [autoencoder(schedule="constant", lr=lr) for lr in (1e-3, 1e-2)],
    "patience": [
        autoencoder(n_iter_no_change=n, max_epochs=12, lr=lr, schedule="constant")
        for n, lr in ((1, 3e-2), (2, 3e-2), (12, 1e-3), (12, 2e-3))
    ],
    "betas": [vae(beta=beta) for beta in (0.1, 0.5, 1.0)],
    "betas and widths": [vae(beta=b, n_components=k) for b, k in ((0.5, 1), (1.0, 4))],
    "warm-ups": [vae(kl_warmup=share) for share in (0.0, 0.3, 0.6)],
    "free bits": [vae(free_bits=f, n_components=k) for f, k in ((0.1, 2), (0.4, 4))],
    "draws": [vae(elbo="monte_carlo", n_draws=3, beta=beta) for beta in (0.5, 2.0)],
    "normal law": [vae(likelihood="gaussian", random_state=seed) for seed in (0, 1)],
}  # fmt: skip


@pytest.mark.parametrize("name", STACKS)
def test_a_stack_trains_its_members_as_they_would_train_alone(name):
    estimators = STACKS[name]
    tables = [FOLDS[i % 2] for i in range(len(estimators))]
    for stacked, alone in zip(*train_both(estimators, tables), strict=True):
        history, expected = (
            e.history_.drop(columns="seconds") for e in (stacked, alone)
        )
        assert stacked.best_epoch_ == alone.best_epoch_
        np.testing.assert_allclose(history, expected, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(
            stacked.transform(TABLE), alone.transform(TABLE), rtol=0, atol=5e-3
        )


def test_losses_agree_to_five_digits():
    """The tails of the default law have a gradient near zero that is rounding."""
    common = {"early_stopping": False, "likelihood": "gaussian"}
    estimators = [vae(beta=b, **common) for b in (0.1, 0.5, 1.0)]
    for stacked, alone in zip(*train_both(estimators, [TABLE] * 3), strict=True):
        np.testing.assert_allclose(stacked.loss_curve_, alone.loss_curve_, rtol=1e-5)


@pytest.mark.parametrize("make", [autoencoder, vae])
def test_holes_weights_and_zeros_and_ones_train_in_stacks(make):
    X = with_holes(TABLE)
    ones = MinMaxScaler().fit_transform(TABLE).round()
    law = {"loss": "binary_cross_entropy"}
    if make is vae:
        law = {"likelihood": "bernoulli"}
    weights = 1.0 + np.arange(len(TABLE)) % 2
    for parameters, table, sample_weight in (
        ({}, X, None), (law, ones, None), ({}, TABLE, weights)
    ):  # fmt: skip
        estimators = [make(lr=lr, **parameters) for lr in (1e-3, 4e-3)]
        jobs = [Job(estimator, table, sample_weight) for estimator in estimators]
        train_jobs(jobs)
        for job, estimator in zip(jobs, estimators, strict=True):
            assert job.is_done
            alone = clone(estimator).fit(table, sample_weight=sample_weight)
            score = alone.score(table, sample_weight=sample_weight)
            own = estimator.score(table, sample_weight=sample_weight)
            assert own == pytest.approx(score, abs=1e-3)


def test_tables_with_categories_train_in_stacks():
    import pandas as pd

    table = pd.DataFrame(TABLE[:, :3], columns=list("abc"))
    table["kind"] = pd.Categorical(np.where(TABLE[:, 0] > 0, "high", "low"))
    estimators = [vae(beta=beta, n_components=2) for beta in (0.5, 2.0)]
    for stacked, alone in zip(*train_both(estimators, [table] * 2), strict=True):
        assert stacked.score(table) == pytest.approx(alone.score(table), abs=1e-3)
        assert (stacked.categories_[3] == ["high", "low"]).all()


def test_what_is_stacked_may_be_pickled_and_trained_further():
    import pickle

    (stacked, _), _ = train_both([vae(), vae(beta=2.0)], [TABLE] * 2)
    again = pickle.loads(pickle.dumps(stacked))
    assert (again.transform(TABLE) == stacked.transform(TABLE)).all()
    before = stacked.history_["epoch"].max()
    assert stacked.partial_fit(TABLE).history_["epoch"].max() == before + 1


def test_members_of_one_audience_draw_as_one():
    """Candidates with one seed and one table see the same; others do not."""
    from skae._training._stack._audience import same_audience

    estimators = [vae(), vae(beta=2.0), vae(random_state=1), vae(n_components=2)]
    jobs = [Job(e, X) for e in estimators for X in FOLDS]
    keys = [same_audience(training.Member(*job.run.first)) for job in jobs]
    assert keys[0] == keys[2]  # another beta
    assert len(set(keys)) == 6


def test_a_narrow_code_has_its_blocks_of_a_wide_one():
    whole = torch.arange(12.0).view(6, 2)  # two blocks of three outputs
    part = own_part(whole, torch.Size([4, 2]), n_blocks=2)
    assert part.tolist() == [[[0, 1], [2, 3]], [[6, 7], [8, 9]]]
    assert own_part(whole, torch.Size([6, 1]), n_blocks=2).tolist() == [
        [0], [2], [4], [6], [8], [10]
    ]  # fmt: skip


def test_components_that_a_member_lacks_stay_zero():
    jobs = [Job(vae(n_components=k), TABLE) for k in (1, 4)]
    stack = Stack([training.Member(*job.run.first) for job in jobs])
    stack.train()
    for name, values in stack.weights.values.items():
        narrow = values[0]
        own = own_part(
            narrow, dict(jobs[0].run.module.named_parameters())[name].shape, 2
        )
        assert narrow.count_nonzero() == own.count_nonzero()


@pytest.mark.parametrize("name", ["adam", "adamw"])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_a_step_of_a_stack_is_that_of_torch_for_each_member(name, weight_decay):
    from skae._random import Rng
    from skae.architectures._layers import linear

    lrs = [1e-3, 1e-2]
    networks = [linear(3, 2, Rng(seed)) for seed in range(2)]
    for network in networks:
        network.rng, network.n_outputs_per_component = Rng(0), 1
    twins = [linear(3, 2, Rng(seed)) for seed in range(2)]
    weights = StackedParameters(networks, [Rng(0)] * 2)
    ours = StackedAdam(weights, name, lrs, [weight_decay] * 2)
    classes = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    theirs = [
        classes[name](twin.parameters(), lr=lr, weight_decay=weight_decay)
        for twin, lr in zip(twins, lrs, strict=True)
    ]
    for step in range(5):
        for twin, optimizer in zip(twins, theirs, strict=True):
            for parameter in twin.parameters():
                draws = Rng(step).normal_like(parameter.data)
                parameter.grad = draws
            optimizer.step()
        for gradient in weights.gradients.values():
            for own in gradient:
                own.copy_(Rng(step).normal_like(own))
        ours.step(1.0)
    for k, twin in enumerate(twins):
        weights.restore(k, weights.vector)
        for own, expected in zip(
            networks[k].parameters(), twin.parameters(), strict=True
        ):
            np.testing.assert_allclose(own.detach(), expected.detach(), rtol=2e-6)


def test_select_and_spread_go_by_member():
    from skae._random import Rng
    from skae.architectures._layers import linear

    networks = [linear(3, 2, Rng(seed)) for seed in range(3)]
    for network in networks:
        network.n_outputs_per_component = 1
    weights = StackedParameters(networks, [None] * 3)
    numbers = weights.spread(torch.tensor([1.0, 2.0, 3.0]))
    assert weights.select(numbers, [0, 2]).unique().tolist() == [1.0, 3.0]
    flat = FlatParameters(*networks[1:])
    torch.testing.assert_close(weights.select(weights.vector, [1, 2]), flat.vector.data)
    squares = weights.each(lambda value, _: value.square().sum(1))
    expected = [sum(p.square().sum() for p in n.parameters()) for n in networks]
    torch.testing.assert_close(squares, torch.stack(expected).detach())


def test_a_member_that_diverges_leaves_the_others_as_they_are():
    giant = autoencoder(lr=1e30, schedule="constant", early_stopping=False)
    calm = [autoencoder(lr=lr, schedule="constant", early_stopping=False)
            for lr in (1e-3, 4e-3)]  # fmt: skip
    estimators = [calm[0], giant, calm[1]]
    jobs = [Job(clone(estimator), TABLE) for estimator in estimators]
    train_jobs(jobs)
    assert [job.is_done for job in jobs] == [True, False, True]
    for job, estimator in ((jobs[0], calm[0]), (jobs[2], calm[1])):
        expected = clone(estimator).fit(TABLE).score(TABLE)
        assert job.estimator.score(TABLE) == pytest.approx(expected, abs=1e-6)
    assert not hasattr(jobs[1].estimator, "net_")


def test_those_who_leave_make_room():
    """A member that stops at its first epoch does not train on with the others."""
    estimators = [
        autoencoder(n_iter_no_change=n, max_epochs=9, lr=1e-2, schedule="constant")
        for n in (1, 9, 9)
    ]
    jobs = [Job(estimator, WINE) for estimator in estimators]
    stack = Stack([training.Member(*job.run.first) for job in jobs])
    first = stack.members
    stack.train()
    lengths = [len(member.history) for member in first]
    assert lengths[0] < lengths[1] == 9
    assert len(stack.members) == 2


def test_other_kinds_of_fits_are_made_alone():
    with config_context(engine="autograd"):
        jobs = [Job(autoencoder(lr=lr), TABLE) for lr in (1e-3, 1e-2)]
        train_jobs(jobs)
    assert not any(job.is_done for job in jobs)
    for parameters in (
        {"penalty": Sparse()},
        {"optimizer": "sgd"},
        {"optimizer": torch.optim.Adam},
        {"precision": "bf16"},
        {"architecture": MLP((16,), normalization="layer")},
        {"verbose": 1},
    ):
        job = Job(autoencoder(**parameters), TABLE)
        assert training.stack_key(*job.run.first) is None, parameters
    assert training.stack_key(*Job(autoencoder(), TABLE).run.first) is not None
    assert not can_stack(autoencoder(warm_start=True))
    assert not can_stack(autoencoder(callbacks=[object()]))
    assert can_stack(autoencoder())


def test_networks_of_other_shapes_are_in_other_stacks():
    keys = {
        training.stack_key(*Job(estimator, X).run.first)
        for estimator, X in (
            (autoencoder(), TABLE),
            (autoencoder(architecture=MLP((17,))), TABLE),
            (autoencoder(architecture=MLP((16,), activation="tanh")), TABLE),
            (autoencoder(max_epochs=7), TABLE),
            (autoencoder(), TABLE[:-9]),
            (autoencoder(loss="absolute_error"), TABLE),
            (vae(), TABLE),
        )
    }
    assert len(keys) == 7


def test_several_threads_train_the_same(monkeypatch):
    from skae._training._stack import _stack

    estimators = [vae(beta=beta) for beta in (0.1, 0.3, 0.5, 1.0)]
    X = StandardScaler().fit_transform(TABLE)
    jobs = [Job(clone(e), X) for e in estimators]
    train_jobs(jobs)
    monkeypatch.setattr(_stack, "ENOUGH_OPERATIONS", 1)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        threaded = [Job(clone(e), X) for e in estimators]
        train_jobs(threaded)
    finally:
        torch.set_num_threads(before)
    for one, other in zip(jobs, threaded, strict=True):
        np.testing.assert_allclose(
            one.estimator.transform(X), other.estimator.transform(X), atol=1e-4
        )
