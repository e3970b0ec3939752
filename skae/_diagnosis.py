"""What went wrong in a fit, and what to change: `diagnose`.

Each check is a function of `Evidence` that returns a `Finding` or None. The thresholds
are such that fits to ordinary tables and images, with default settings, have no
finding; `tests/test_diagnosis.py` plants each fault, and has the ordinary fits.
"""

from dataclasses import dataclass, field
from functools import cached_property
from html import escape

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA

#: A component of a VAE is active if its posterior mean varies by more over the rows
#: (Burda et al. 2016), one of an autoencoder if it does in units of the one that varies
#: most.
ACTIVE_VARIANCE = 0.01
INACTIVE_SHARE = 1e-3
#: The posterior has collapsed if fewer components are active, in shares of all.
COLLAPSED_SHARE = 0.1
#: A code is wider than needed if more components are not active, in shares of all.
UNUSED_SHARE = 0.25

#: Changes of a loss that count, in nats per row.
NOTABLE = 1.0
#: Rises on held-out rows that count, in what training had gained on them.
RISE = 3.0
#: Training was cut short if its last third brought more than this share of its gain.
LATE_SHARE = 0.05

#: Spreads of columns differ too much for one common scale, by this factor.
UNLIKE_SPREADS = 100.0
#: The rows at the tail, by share; and what share of a column's variance they may have.
TAIL, TAIL_SHARE = 0.001, 0.5

#: Limits of the variance of codes, and of their mean, which are 1 and 0 of the prior.
PRIOR_VARIANCES, PRIOR_MEAN = (0.3, 2.0), 0.5

#: Fewest rows that PCA is fitted to for comparison, and the most.
FEWEST_FOR_PCA, MOST_FOR_PCA = 40, 5000
#: What may be missing to PCA: a share of the variance, and nats per row.
SHORT_OF_PCA, NATS_SHORT_OF_PCA = 0.02, 1.0


@dataclass(frozen=True)
class Finding:
    """What is wrong with a fit, and what to do.

    Parameters
    ----------
    name : str
        A word for it, such as "collapse".
    what : str
        What has been seen, with numbers.
    change : str
        Which parameter to change, and how.
    effect : str
        What to expect of the change.
    """

    name: str
    what: str
    change: str
    effect: str


@dataclass(frozen=True, repr=False)
class Diagnosis:
    """What `diagnose` has found: a list of findings that prints itself.

    It is false if nothing was found.

    Parameters
    ----------
    title : str
        The estimator.
    findings : list of Finding
        What is wrong, if anything is.
    """

    title: str
    findings: list = field(default_factory=list)

    def __len__(self):
        return len(self.findings)

    def __iter__(self):
        return iter(self.findings)

    def __repr__(self):
        if not self.findings:
            return f"{self.title}: nothing found"
        lines = [f"{self.title}:"]
        for one in self.findings:
            lines += [
                f"- {one.name}: {one.what}",
                f"  change: {one.change}",
                f"  effect: {one.effect}",
            ]
        return "\n".join(lines)

    def _repr_html_(self):
        title = escape(self.title)
        if not self.findings:
            return f"<p><b>{title}</b>: nothing found</p>"
        head = "".join(f"<th>{name}</th>" for name in ("", "found", "change", "effect"))
        rows = "".join(
            f"<tr><th>{escape(one.name)}</th><td>{escape(one.what)}</td>"
            f"<td>{escape(one.change)}</td><td>{escape(one.effect)}</td></tr>"
            for one in self.findings
        )
        return (
            f'<table style="text-align: left"><caption>{title}</caption>'
            f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        )


@dataclass
class Evidence:
    """A fitted estimator and rows, and what the checks ask of them.

    Parameters
    ----------
    estimator : BaseAutoencoder
        Fitted.
    X : array-like of shape (n_samples, n_features)
        Rows, as the user has them.
    numbers : ndarray of shape (n_samples, n_features)
        The same as numbers.
    is_number : ndarray of bool of shape (n_features,)
        Which columns are no categories.
    losses : ndarray of shape (n_samples,) or None
        Reconstruction loss of each row as in training, in nats; None where the network
        has no code.
    """

    estimator: object
    X: object
    numbers: np.ndarray
    is_number: np.ndarray
    losses: np.ndarray | None

    @property
    def is_vae(self):
        """Whether codes have a posterior."""
        return hasattr(self.estimator, "encode_distribution")

    @cached_property
    def posterior(self):
        """Mean and standard deviation of each row's code; 0 for an autoencoder."""
        if self.is_vae:
            return self.estimator.encode_distribution(self.X)
        Z = np.asarray(self.estimator.transform(self.X))
        return Z, np.zeros_like(Z)

    @cached_property
    def is_active(self):
        """Which components of the code tell anything of a row."""
        variance = self.posterior[0].var(axis=0)
        if self.is_vae:
            return variance > ACTIVE_VARIANCE
        return np.sqrt(variance) > INACTIVE_SHARE * np.sqrt(variance.max())

    @cached_property
    def has_code(self):
        """Whether the network has a bottleneck, and there are rows to compare."""
        return self.losses is not None and len(self.numbers) > 1

    @cached_property
    def has_collapsed(self):
        """Whether hardly any component of a VAE tells anything."""
        n_active = self.is_active.sum()
        return self.is_vae and n_active < max(1, COLLAPSED_SHARE * len(self.is_active))

    @cached_property
    def has_dead_units(self):
        """Whether many components of the code tell nothing."""
        return np.mean(~self.is_active) > UNUSED_SHARE

    @cached_property
    def is_elsewhere(self):
        """Whether X is not where the training rows of a VAE are."""
        center = self.posterior[0].mean(axis=0)
        return self.is_vae and np.abs(center).max() > PRIOR_MEAN

    @cached_property
    def short_of_pca(self):
        """How much PCA is better, in words, or None if it is not."""
        return find_lead_of_pca(self)

    def curve(self, name):
        """Return a column of the history without what is missing."""
        history = self.estimator.history_
        if name not in history:
            return np.array([])
        return history[name].dropna().to_numpy()

    @cached_property
    def columns(self):
        """The columns of numbers, centred, NaN and all."""
        X = self.numbers[:, self.is_number].astype(np.float64)
        return X - np.nanmean(X, axis=0)

    @cached_property
    def overfits(self):
        """Whether training longer is of no use."""
        return find_overfitting(self) is not None

    def as_table(self, X):
        """Return rows of numbers with the names of the columns, if these have any."""
        names = getattr(self.estimator, "feature_names_in_", None)
        return X if names is None else pd.DataFrame(X, columns=names)

    def name(self, j):
        """Return how the user calls the j-th column of numbers."""
        j = np.flatnonzero(self.is_number)[j]
        names = getattr(self.estimator, "feature_names_in_", None)
        return f"column {j}" if names is None else f"column {names[j]!r}"


# -- codes -----------------------------------------------------------------------------


def find_collapse(evidence):
    """Find that the decoder of a VAE ignores its code."""
    if not evidence.has_code or not evidence.has_collapsed:
        return None
    estimator, n = evidence.estimator, len(evidence.is_active)
    return Finding(
        "collapse",
        f"the posterior has collapsed to the prior: {evidence.is_active.sum()} of {n} "
        "components tell anything of a row",
        f"lower beta (now {estimator.beta:g}), or raise kl_warmup (now "
        f"{estimator.kl_warmup:g}) or free_bits (now {estimator.free_bits:g})",
        "codes and reconstructions differ from row to row; the KL term rises",
    )


def find_dead_units(evidence):
    """Find that the code is wider than what it tells."""
    if not evidence.has_code or evidence.has_collapsed or not evidence.has_dead_units:
        return None
    n, n_active = len(evidence.is_active), evidence.is_active.sum()
    return Finding(
        "dead units",
        f"{n - n_active} of {n} components of the code are the same for all rows",
        f"lower n_components (now {n}) to {max(n_active, 1)}"
        + (", or beta to use more of them" if evidence.is_vae else ""),
        "the same reconstructions by a narrower code and in less time",
    )


def find_far_codes(evidence):
    """Find that codes are not where the prior of a VAE expects them."""
    if not evidence.has_code or not evidence.is_vae:
        return None
    if find_underfitting(evidence) is not None:  # these codes are of no use anyway
        return None
    mean, std = evidence.posterior
    center = mean.mean(axis=0)
    variance = mean.var(axis=0) + (std**2).mean(axis=0)
    low, high = PRIOR_VARIANCES
    far = np.abs(center) > PRIOR_MEAN
    far |= (variance < low) | (variance > high)
    if not far.any():
        return None
    worst = np.argmax(np.where(far, np.abs(np.log(variance)) + np.abs(center), 0))
    return Finding(
        "codes far from the prior",
        f"codes of {far.sum()} of {len(far)} components are not spread like N(0, 1): "
        f"component {worst} has mean {center[worst]:.2g} and variance "
        f"{variance[worst]:.2g}",
        f"raise beta (now {evidence.estimator.beta:g}); or leave it, and draw rows by "
        "sample(density='aggregate'). If X is not like the training rows, fit to rows "
        "like these",
        "rows drawn from the prior look like rows of X",
    )


# -- training --------------------------------------------------------------------------


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
    if len(curve) < 2 or estimator.max_epochs == "auto" or evidence.overfits:
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
    if not evidence.has_code or evidence.has_collapsed or evidence.overfits:
        return None
    if evidence.has_dead_units or evidence.is_elsewhere:
        return None  # PCA of that size, or of these rows, is no fair comparison
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


def find_lead_of_pca(evidence):
    """Return how much PCA is better, in words, or None if it is not.

    PCA is fitted to one half of X and asked about the other.
    """
    X, n_components = evidence.numbers, len(evidence.is_active)
    n, width = X.shape
    enough = n >= FEWEST_FOR_PCA and n_components < min(n // 2, width)
    if not (evidence.is_number.all() and enough) or np.isnan(X).any():
        return None
    if evidence.estimator.image_shape is not None and width > MOST_FOR_PCA:
        return None
    rows = np.random.RandomState(0).permutation(n)[:MOST_FOR_PCA]
    X = X[rows].astype(np.float64)
    compare = _nats_short if evidence.is_vae else _variance_short
    return compare(evidence, X, n_components)


def _nats_short(evidence, X, n_components):
    """Say how far the ELBO is below the log-likelihood of probabilistic PCA."""
    spread = X.std(axis=0)
    if not (spread > 0).all():
        return None
    U, log_jacobian = X / spread, np.log(spread).sum()
    halves = (U[::2], U[1::2]), (U[1::2], U[::2])
    scores = [PCA(n_components).fit(a).score(b) for a, b in halves]
    theirs = np.mean(scores) - log_jacobian
    ours = evidence.estimator.score(evidence.as_table(X))
    if ours > theirs - NATS_SHORT_OF_PCA:
        return None
    return f"{theirs:.4g} nats per row, and the ELBO is {ours:.4g}"


def _variance_short(evidence, X, n_components):
    """Say how much less variance is explained than by PCA, whatever the scaling."""
    spread, shares = X.std(axis=0), []
    back = evidence.estimator.reconstruct(evidence.as_table(X))
    for scale in (np.where(spread > 0, spread, 1.0), 1.0):
        U = X / scale
        total = ((U - U.mean(axis=0)) ** 2).sum()
        lost = 0.0
        for a, b in ((U[::2], U[1::2]), (U[1::2], U[::2])):
            pca = PCA(n_components).fit(a)
            lost += ((pca.inverse_transform(pca.transform(b)) - b) ** 2).sum()
        shares.append((1 - lost / total, 1 - ((U - back / scale) ** 2).sum() / total))
    theirs, ours = min(shares, key=lambda pair: pair[0] - pair[1])
    if ours > theirs - SHORT_OF_PCA:
        return None
    return f"{theirs:.1%} of the variance, and this {ours:.1%}"


# -- inputs ----------------------------------------------------------------------------


def find_unscaled_columns(evidence):
    """Find that some columns do not count, for others are so much wider."""
    if evidence.estimator.scale not in (None, "global"):
        return None
    spread = np.sqrt(np.nanmean(evidence.columns**2, axis=0))
    positive = spread[spread > 0]
    if len(positive) == 0 or positive.max() < UNLIKE_SPREADS * np.median(positive):
        return None
    return Finding(
        "unscaled inputs",
        f"{evidence.name(np.argmax(spread))} has a standard deviation of "
        f"{positive.max():.3g}, the median column {np.median(positive):.3g}: the loss "
        "is about the first",
        f"scale='standard' (now {evidence.estimator.scale!r})",
        "all columns count alike",
    )


def find_heavy_tails(evidence):
    """Find that a few rows make up most of what varies in a column."""
    squares = evidence.columns**2
    n = len(squares)
    n_tail = max(1, round(TAIL * n))
    if n < FEWEST_FOR_PCA or squares.shape[1] == 0:
        return None
    squares = np.nan_to_num(squares)
    total = squares.sum(axis=0)
    tail = np.sort(squares, axis=0)[-n_tail:].sum(axis=0)
    shares = np.divide(tail, total, out=np.zeros_like(total), where=total > 0)
    # a column that is mostly the same has such rows by nature
    usual = np.nanmedian(evidence.columns, axis=0)
    shares[np.mean(evidence.columns == usual, axis=0) > 0.5] = 0
    if shares.max() < TAIL_SHARE:
        return None
    which = np.flatnonzero(shares >= TAIL_SHARE)
    worst = np.argmax(shares)
    return Finding(
        "heavy tails",
        f"in {len(which)} of {len(shares)} columns {n_tail} of {n} rows make up most "
        f"of the variance; {evidence.name(worst)}: {shares[worst]:.0%}",
        "transform such columns first: numpy.log1p, or QuantileTransformer("
        "output_distribution='normal') in a Pipeline; or drop these rows if they are "
        "errors",
        "the column has the scale of most rows, and the loss is about all of them",
    )


CHECKS = (
    find_unscaled_columns,
    find_heavy_tails,
    find_collapse,
    find_dead_units,
    find_far_codes,
    find_short_training,
    find_underfitting,
    find_overfitting,
)


def diagnose(title, evidence):
    """Return the `Diagnosis` of a fit."""
    found = [check(evidence) for check in CHECKS]
    return Diagnosis(title, [one for one in found if one is not None])
