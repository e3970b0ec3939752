"""The network of a variational autoencoder."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from skae._modules._autoencoder import AutoencoderModule
from skae._modules._divergences import (
    doubly_reparameterise,
    importance_weighted_bound,
    kl_to_standard_normal,
    log_normal,
    log_standard_normal,
    reparameterise,
    sampled_kl,
)
from skae._modules._linear_vae import linear_vae
from skae._random import Rng

# A posterior is hardly ever wider than the prior, whose log-variance is 0. Without a
# bound near that, one row far from those of training may cost 10^13 nats: the network
# is extrapolated there, and the KL term grows as the variance.
LOG_VAR_RANGE = (-30.0, 2.0)

# Importance weights have the power 1 / beta. That is the greatest weight alone at
# beta 0, and here to rounding.
SMALLEST_TEMPERATURE = 1e-6

# Draws are taken in blocks of this size, whatever the memory at hand, so that the
# same draws meet every row.
DRAWS_PER_BLOCK = 64


class VAEOutput(NamedTuple):
    """What a forward pass returns; n_rows counts each of `n_draws` draws of a row."""

    Z: Tensor  # (n_draws * n_rows, n_components), draws from the posterior
    mean: Tensor  # (n_draws * n_rows, n_components)
    log_var: Tensor  # (n_draws * n_rows, n_components)
    params: Tensor  # (n_draws * n_rows, n_features)


class VAEModule(AutoencoderModule):
    """Encoder to a normal posterior, decoder, and the bound on log p(x) between them.

    Parameters
    ----------
    beta : float
        Weight of the KL term.
    free_bits : float
        Nats per component that the KL term does not charge for.
    n_draws : int
        Draws from the posterior of each row and step.
    elbo : {"analytic", "monte_carlo", "importance_weighted"}
        The bound: the ELBO with its KL term in closed form, or estimated at the draws,
        or the bound that weighs the draws.
    **settings : object
        As for `AutoencoderModule`.
    """

    terms = ("reconstruction", "kl")
    n_outputs_per_component = 2

    def __init__(self, *, beta, free_bits, n_draws, elbo, **settings):
        super().__init__(**settings)
        self.warmup = 1.0  # share of beta in force; training raises it from 0 to 1
        self.set_objective(beta=beta, free_bits=free_bits, n_draws=n_draws, elbo=elbo)

    def settings(self):
        """Return the arguments that rebuild this module, but for the weights."""
        return super().settings() | {
            "beta": self.beta,
            "free_bits": self.free_bits,
            "n_draws": self.n_draws,
            "elbo": self.elbo_estimate,
        }

    # -- the start -------------------------------------------------------------

    def start_at_pca(self, axes):
        """Make the network the optimal linear VAE on the given `PrincipalAxes`."""
        eigenvalues, components = axes.padded(self.n_components)
        surrogate = self.likelihood.surrogate(axes.mean)
        # variances as PCA.score has them, so that the ELBO is that score
        factor = surrogate.gain**2 * axes.bessel
        start = linear_vae(
            factor * eigenvalues,
            factor * axes.total_variance,
            self.n_features,
            n_axes=min(axes.n_rows, self.n_features),
            beta=self.beta,
            noise=surrogate.noise_variance,
            left_out=surrogate.gain**2 * axes.left_out_by(self.n_components),
        )
        weight = (surrogate.gain * start.encoder_gains)[:, None] * components
        log_var = np.log(start.posterior_variances)
        self.encoder.start_at(
            np.vstack([weight, np.zeros_like(weight)]),
            np.concatenate([-weight @ axes.mean, log_var]),
        )
        self.decoder.start_at(components.T * start.loadings, surrogate.bias)
        self._start_likelihood(start.noise_variance)

    def start_at_mixed(self, start):
        """Make the network the linear VAE of a `MixedStart`, where noise is 1."""
        axes = start.axes
        eigenvalues, components = axes.padded(self.n_components)
        linear = linear_vae(
            axes.bessel * eigenvalues,
            axes.bessel * axes.total_variance,
            self.n_features,
            beta=self.beta,
            noise=1.0,
        )
        directions = linear.encoder_gains[:, None] * components
        weight = directions * start.weights
        log_var = np.log(linear.posterior_variances)
        self.encoder.start_at(
            np.vstack([weight, np.zeros_like(weight)]),
            np.concatenate([-directions @ axes.mean, log_var]),
        )
        loadings = start.deviations[:, None] * components.T * linear.loadings
        self.decoder.start_at(loadings, start.bias)
        self._start_likelihood(start.deviations**2)

    # -- training, in network space --------------------------------------------

    def set_objective(self, *, beta, free_bits, n_draws, elbo):
        """Set the parameters of the loss."""
        self.beta = beta
        self.free_bits = free_bits
        self.n_draws = n_draws
        self.elbo_estimate = elbo

    def set_warmup(self, share):
        """Set the share of beta in force in training, from 0 to 1."""
        self.warmup = share

    def schedule(self):
        """Return the beta in force in training."""
        return {"beta": self.beta * self.warmup}

    def posterior(self, U):
        """Return mean and log-variance of q(z | u), each (n_rows, n_components)."""
        # in bfloat16 a small standard deviation would be lost in the rounding of a draw
        mean, log_var = self.encoder(U).to(U.dtype).chunk(2, dim=-1)
        return mean, log_var.clamp(*LOG_VAR_RANGE)

    def encode(self, U):
        """Return the posterior mean of rows in network space."""
        return self.posterior(U)[0]

    def forward(self, U, rng=None):
        """Return the `VAEOutput` of rows in network space, with noise from `rng`."""
        mean, log_var = self.posterior(U)
        if self.n_draws > 1:
            mean = mean.repeat(self.n_draws, 1)
            log_var = log_var.repeat(self.n_draws, 1)
        noise = (self.rng if rng is None else rng).normal_like(mean)
        Z = reparameterise(mean, log_var, noise)
        return VAEOutput(Z, mean, log_var, self.decoder(Z))

    def loss(self, output, U, known=None):
        """Return minus the bound at the beta in force, and its terms, in nats a row."""
        if self.n_draws > 1:
            U = U.repeat(self.n_draws, 1)
            known = None if known is None else known.repeat(self.n_draws, 1)
        log_prob = self.log_prob(output.params, U, known)  # (n_draws * n_rows,)
        kl = self._kl(output)  # (n_draws * n_rows, n_components)
        reconstruction, mean_kl = -log_prob.mean(), kl.mean(dim=0)
        terms = {
            "reconstruction": reconstruction.detach(),
            "kl": mean_kl.sum().detach(),
        }
        if self.elbo_estimate == "importance_weighted":
            return self._weighted_loss(output.Z, log_prob, kl), terms
        charged = mean_kl.clamp(min=self.free_bits) if self.free_bits else mean_kl
        return reconstruction + self.beta_in_force * charged.sum(), terms

    def _kl(self, output):
        """Return the KL term of every draw and component, in nats."""
        if self.elbo_estimate == "analytic":
            return kl_to_standard_normal(output.mean, output.log_var)
        mean, log_var = output.mean, output.log_var
        if self.elbo_estimate == "importance_weighted":  # see doubly_reparameterise
            mean, log_var = mean.detach(), log_var.detach()
        return sampled_kl(output.Z, mean, log_var)

    def _weighted_loss(self, Z, log_prob, kl):
        """Return minus beta times the bound for the likelihood p(x | z) ** (1 / beta).

        For one draw that is the ELBO at beta, for any number it is highest at the same
        posterior. Beta times the KL term inside the weights would be lowest there, for
        beta above K / (K - 1) of K draws.
        """
        beta = max(self.beta_in_force, SMALLEST_TEMPERATURE)
        log_weights = (log_prob / beta - kl.sum(dim=1)).view(self.n_draws, -1)
        doubly_reparameterise(Z, log_weights)
        return -beta * importance_weighted_bound(log_weights).mean()

    @property
    def beta_in_force(self):
        """Beta times the warm-up in training; beta itself in evaluation."""
        return self.beta * self.warmup if self.training else self.beta

    # -- inference, in the units of X ------------------------------------------

    def encode_distribution(self, X):
        """Return mean and standard deviation of the posterior of rows X."""
        U, _ = self.open_rows(X)
        mean, log_var = self.posterior(U)
        return mean, (0.5 * log_var).exp()

    def mean_and_kl(self, X):
        """Return mean and KL term of the posterior of rows X, by component, in nats."""
        U, _ = self.open_rows(X)
        mean, log_var = self.posterior(U)
        return mean, kl_to_standard_normal(mean, log_var)

    def elbo(self, X, noise):
        """Return the ELBO of rows X at beta 1, in nats, in the units of X.

        It bounds the log-density of what is known of a row.

        Parameters
        ----------
        X : Tensor of shape (n_rows, n_features)
            Rows in the user's units.
        noise : Tensor of shape (n_draws, n_components)
            Standard normal draws, shared by all rows.

        Returns
        -------
        Tensor of shape (n_rows,)
        """
        U, known = self.open_rows(X)
        mean, log_var = self.posterior(U)
        Z = self._draw(mean, log_var, noise)  # (n_draws, n_rows, n_components)
        reconstruction = self._log_prob_of_draws(Z, U, known).mean(dim=0)
        kl = kl_to_standard_normal(mean, log_var).sum(dim=-1)
        return reconstruction - kl + self._log_jacobian(known)

    def log_weights(self, X, noise):
        """Return log p(x, z) - log q(z | x) of draws, (n_draws, n_rows), in nats."""
        U, known = self.open_rows(X)
        mean, log_var = self.posterior(U)
        Z = self._draw(mean, log_var, noise)
        log_prior = log_standard_normal(Z).sum(dim=-1)
        log_posterior = log_normal(Z, mean, log_var).sum(dim=-1)
        log_joint = self._log_prob_of_draws(Z, U, known) + log_prior
        return log_joint - log_posterior + self._log_jacobian(known)

    def log_likelihood(self, X, n_draws, seed):
        """Return the importance-weighted estimate of log p(x) of rows X, in nats."""
        rng = Rng(seed)
        total = None
        for start in range(0, n_draws, DRAWS_PER_BLOCK):
            block = X.new_empty(DRAWS_PER_BLOCK, self.n_components, dtype=torch.float64)
            noise = rng.normal_like(block)[: n_draws - start].to(self.dtype)
            block_total = self.log_weights(X, noise).logsumexp(dim=0)
            total = (
                block_total if total is None else torch.logaddexp(total, block_total)
            )
        return total - np.log(n_draws)

    def sample(self, Z, rng):
        """Return rows drawn from p(x | z) for codes Z, in the units of X."""
        Z = Z.to(self.dtype)
        U = self.likelihood.sample(self.decoder(Z), rng, **self.likelihood_parameters)
        return self._whole(self.scaler.inverse(U))

    def _whole(self, X):
        """Return drawn rows, with whole numbers where there are no others.

        The unit that these were divided by has left their last digits to rounding.
        """
        if self.layout is None:
            return X.round() if self.likelihood.whole else X
        for where, part in self.layout.blocks:
            if part.law.whole:
                X[:, where] = X[:, where].round()
        return self.layout.collapse(X)

    def _log_jacobian(self, known):
        """Return what turns the log-likelihood of a row into that in the units of X."""
        if self.layout is not None:
            return self.scaler.log_jacobian(known, self.likelihood.densities)
        return self.scaler.log_jacobian(known) if self.likelihood.scalable else 0.0

    def _draw(self, mean, log_var, noise):
        return reparameterise(mean, log_var, noise[:, None, :].to(mean))

    def _log_prob_of_draws(self, Z, U, known):
        n_draws, n_rows, n_components = Z.shape
        params = self.decoder(Z.reshape(-1, n_components))
        return self.log_prob(params.reshape(n_draws, n_rows, -1), U, known)
