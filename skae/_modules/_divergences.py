"""The terms of the bounds on log p(x), as functions of tensors."""

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


def importance_weighted_bound(log_weights):
    """Return log of the mean weight over the draws of each row, in nats.

    Its expectation rises with the number of draws from the ELBO to log p(x). Burda et
    al., "Importance Weighted Autoencoders", arXiv:1509.00519.

    Parameters
    ----------
    log_weights : Tensor of shape (n_draws, n_rows)
        log p(x, z) - log q(z | x) of each draw.

    Returns
    -------
    Tensor of shape (n_rows,)
    """
    return log_weights.logsumexp(dim=0) - math.log(len(log_weights))


def doubly_reparameterise(Z, log_weights):
    """Complete the gradient of `importance_weighted_bound` at the draws Z.

    The weights must hold mean and log_var of q(z | x) constant. The gradient through
    those is `-v * d log q`, with `v` the share of a draw in the weights of its row, and
    noisy. In expectation it is the gradient `v * d log w` that reaches the draw, times
    `v - 1`, and a hook on Z adds it in this form: `v**2 * d log w`. That has no noise
    where the posterior is exact, for there d log w is zero.

    Tucker et al., "Doubly Reparameterized Gradient Estimators for Monte Carlo
    Objectives", arXiv:1810.04152.

    Parameters
    ----------
    Z : Tensor of shape (n_draws * n_rows, n_components)
        The draws behind the weights, which take the hook once.
    log_weights : Tensor of shape (n_draws, n_rows)
        log p(x, z) - log q(z | x) of each draw.
    """
    if Z.requires_grad:
        shares = log_weights.detach().softmax(dim=0).reshape(-1, 1)
        Z.register_hook(lambda grad: grad * shares)


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
