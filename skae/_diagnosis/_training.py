"""Checks of what training came to."""

import numpy as np

from skae._diagnosis._report import Finding

#: Changes of a loss that count, in nats per row.
NOTABLE = 1.0
#: Rises on held-out rows that count, in what training had gained on them.
RISE = 3.0
#: Training was cut short if its last third brought more than this share of its gain.
LATE_SHARE = 0.05


def find_overfitting(evidence):
    """Find that what was learned does not hold for rows not trained on."""
    held_out, train = evidence.curve("validation_loss"), evidence.curve("train_loss")
    change = (
        "fit to more rows, or make the network smaller "
        "(architecture=MLP(hidden_layer_sizes=...)), or regularise it with "
        "weight_decay or MLP(dropout=...)"
    )
    effect = "held-out loss goes on falling for longer, and ends lower"
    if len(held_out) > 1:
        gain = held_out[0] - held_out.min()
        rise = held_out[-1] - held_out.min()
        if rise < max(NOTABLE, RISE * gain) or train[-1] > train[0]:
            return None
        epoch = evidence.estimator.best_epoch_
        return Finding(
            "overfitting",
            f"on held-out rows the loss fell by {gain:.2g} nats up to epoch {epoch}, "
            f"and then rose by {rise:.2g}; only what was learned up to there is kept",
            change,
            effect,
        )
    terms = evidence.curve("train_reconstruction")
    if evidence.losses is None or len(terms) < 2:
        return None
    gain, excess = terms[0] - terms[-1], evidence.losses.mean() - terms[-1]
    if excess < max(NOTABLE, 0.5 * gain):
        return None
    return Finding(
        "overfitting",
        f"the reconstruction loss of X is {excess:.2g} nats above that of the training "
        f"rows, on which training gained {gain:.2g}",
        f"early_stopping=True (now {evidence.estimator.early_stopping!r}); {change}",
        effect,
    )


def find_short_training(evidence):
    """Find that training ended while it still brought much."""
    estimator = evidence.estimator
    curve = evidence.curve("validation_loss")
    if len(curve) < 2:
        curve = evidence.curve("train_loss")
    if (
        len(curve) < 2
        or estimator.max_epochs == "auto"
        or find_overfitting(evidence) is not None
    ):
        return None
    if estimator.n_epochs_ < estimator.max_epochs:  # something else has ended it
        return None
    gain, late = curve[0] - curve.min(), curve[2 * len(curve) // 3] - curve.min()
    at_the_end = np.argmin(curve) >= 0.9 * (len(curve) - 1)
    if not at_the_end or gain < NOTABLE or late < LATE_SHARE * gain:
        return None
    return Finding(
        "stopped too early",
        f"training ended after max_epochs={estimator.max_epochs} epochs, of which the "
        f"last third brought {late / gain:.0%} of all that it gained",
        "raise max_epochs, or leave it 'auto'",
        "a lower loss, for more time",
    )


def find_underfitting(evidence):
    """Find that PCA of the same size does better."""
    if (
        not evidence.has_code
        or evidence.has_collapsed
        or find_overfitting(evidence) is not None
    ):
        return None
    if evidence.has_dead_units or evidence.is_elsewhere:
        return None  # PCA of that size, or of these rows, is no fair comparison
    if evidence.dead_layers:
        return None  # that is why
    short = evidence.short_of_pca
    if short is None:
        return None
    estimator = evidence.estimator
    changes = []
    if estimator.init != "pca":
        changes.append(f"init='pca' (now {estimator.init!r})")
    if estimator.max_epochs != "auto":
        changes.append(f"more max_epochs (now {estimator.max_epochs})")
    changes.append(f"a higher lr (now {estimator.lr:g})")
    if evidence.is_vae and estimator.beta > 1:
        changes.append(f"a lower beta (now {estimator.beta:g})")
    return Finding(
        "underfitting",
        f"PCA with {len(evidence.is_active)} components does better on X: {short}",
        "; ".join(changes),
        "at least what PCA does",
    )


def find_dead_layers(evidence):
    """Find that hidden layers have stopped to tell rows apart."""
    if not evidence.dead_layers:
        return None
    name = max(evidence.dead_layers, key=lambda name: evidence.units[name].mean())
    is_dead, n_layers = evidence.units[name], len(evidence.units)
    return Finding(
        "dead hidden layers",
        f"{len(evidence.dead_layers)} of {n_layers} hidden layers do the same for all "
        f"rows in most of their units, {name} in {is_dead.sum()} of {len(is_dead)}",
        f"lower lr (now {evidence.estimator.lr:g}), or take an activation that does "
        "not die, such as MLP(activation='gelu')",
        "the network has the width that it was given, and a lower loss",
    )
