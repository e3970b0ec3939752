"""Checks of the code."""

import numpy as np

from skae._diagnosis._evidence import PRIOR_MEAN
from skae._diagnosis._report import Finding
from skae._diagnosis._training import find_underfitting

#: Limits of the variance of codes, which is 1 of the prior.
PRIOR_VARIANCES = (0.3, 2.0)


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
