"""The terms of the ELBO, as functions of tensors."""

import math

import torch

from skae.likelihoods._location_scale import HALF_LOG_2_PI


def kl_to_standard_normal(mean, log_var):
    """Return KL(N(mean, exp(log_var)) || N(0, 1)) of every component, in nats.

    Kingma & Welling, "Auto-Encoding Variational Bayes", appendix B,
    arXiv:1312.6114.
    """
    return 0.5 * (mean.square() + log_var.exp() - 1 - log_var)


def log_normal(Z, mean, log_var):
    """Return log N(z; mean, exp(log_var)) of every component, in nats."""
    squares = (Z - mean).square() * (-log_var).exp()
    return -0.5 * (squares + log_var) - HALF_LOG_2_PI


def log_standard_normal(Z):
    """Return log N(z; 0, 1) of every component, in nats."""
    return -0.5 * Z.square() - HALF_LOG_2_PI


def sampled_kl(Z, mean, log_var):
    """Return log q(z | x) - log p(z) of every component of draws Z, in nats.

    Its expectation over the posterior is `kl_to_standard_normal`.
    """
    return log_normal(Z, mean, log_var) - log_standard_normal(Z)


def reparameterise(mean, log_var, noise):
    """Return the draws `mean + std * noise` from the posterior.

    The gradient of an expectation over the posterior reaches mean and log_var
    through the draw; `noise` is standard normal.
    """
    return mean + (0.5 * log_var).exp() * noise


def balanced_normal(n_draws, n_components, rng):
    """Return normal draws with the mean and the second moments of N(0, I).

    The draws come in pairs of opposite sign, and are decorrelated where there are
    enough of them. Averages over them are exact for quadratic functions, hence the
    ELBO of a linear decoder is too.

    Parameters
    ----------
    n_draws : int
        Even number of draws.
    n_components : int
        Width of a draw.
    rng : Rng
        Source of the draws.

    Returns
    -------
    Tensor of shape (n_draws, n_components), float64
    """
    n_pairs = n_draws // 2
    half = rng.normal_like(torch.empty(n_pairs, n_components, dtype=torch.float64))
    if n_pairs >= n_components:
        half = torch.linalg.qr(half).Q * math.sqrt(n_pairs)
    else:
        half = half / half.square().mean(dim=0).sqrt()
    return torch.cat([half, -half])
