"""Codes in steps by hand: what lies between encoder and decoder, and what it costs."""

import math
from functools import partial

import torch

from skae._modules._autoencoder import AutoencoderModule, AutoencoderOutput
from skae._modules._vae import LOG_VAR_RANGE, VAEModule, VAEOutput
from skae._training._dense._layers import draw_for_each


class PointCode:
    """The code of an autoencoder: what the encoder returns."""

    def __init__(self, flat, outputs, *, judges=False):
        self.Z = outputs  # (K, n, n_components)

    def set_noise(self, members, noise):
        """Do nothing: there is none."""

    def set_objective(self):
        """Do nothing: there are no parameters of the loss."""

    def connect(self, grad):
        """Take the place of the gradient by the code: that by the encoder's outputs."""
        return grad

    def forward(self):
        """Return no operation: the encoder fills the code."""
        return []

    def charge(self):
        """Return no operation: there is no KL term."""
        return []

    def backward(self):
        """Return no operation."""
        return []

    def collect(self, terms):
        """Return no operation: the loss is the reconstruction."""
        return []

    def output(self, params):
        """Return the module's output for the first member."""
        return AutoencoderOutput(self.Z[0].clone(), params)


class NormalCode:
    """The code of a VAE: draws from its posterior, and the KL term."""

    def __init__(self, flat, outputs, *, judges=False):
        self.modules, self.rngs, self.judges = flat.modules, flat.rngs, judges
        modules = self.modules
        K, n, width = outputs.shape
        n_draws, k = modules[0].n_draws, width // 2
        self.mean, self.raw_log_var = outputs.chunk(2, dim=-1)  # (K, n, k)
        self.log_var, self.std, self.excess, self.spare = outputs.new_empty(4, K, n, k)
        # components that a member of a wider stack lacks have no noise
        self.noise, self.draws = outputs.new_zeros(2, K, n_draws, n, k)
        self.Z = self.draws.view(K, n_draws * n, k)
        self.kl = outputs.new_empty(K, k)
        self.outputs_grad = torch.empty_like(outputs)
        self.mean_grad, self.log_var_grad = self.outputs_grad.chunk(2, dim=-1)
        # tensors, because torch would make one of a number at every call
        self.half, self.one = outputs.new_tensor(0.5), outputs.new_tensor(1.0)
        self.share = self.half / n
        self.betas, self.beta = None, outputs.new_empty(K)
        # an estimate may be negative: no free bits are no bound, not even 0
        self.free_bits = outputs.new_full((K, k), -math.inf)
        for own, m in zip(self.free_bits, modules, strict=True):
            own[: m.n_components] = m.free_bits or -math.inf
        self.has_free_bits = any(m.free_bits for m in modules)
        self.is_sampled = modules[0].elbo_estimate == "monte_carlo"
        # the loss per nat of each component and row, and half of that
        n_prices = k if self.has_free_bits else 1
        self.price, self.half_price = outputs.new_empty(2, K, 1, n_prices)

    def connect(self, grad):
        """Take the place of the gradient by the code; return that by the outputs."""
        self.grad = grad.view_as(self.draws)
        return self.outputs_grad

    def set_objective(self):
        """Set the betas in force."""
        in_force = "beta" if self.judges else "beta_in_force"
        betas = [getattr(module, in_force) for module in self.modules]
        if betas != self.betas:
            self.betas = betas
            for k, beta in enumerate(betas):
                self.beta[k].fill_(beta)  # waits for no device
            self._set_price()

    def _set_price(self):
        price = self.beta[:, None, None] / self.std.shape[1]
        if self.has_free_bits:
            price = price * (self.kl >= self.free_bits).unsqueeze(1)
        torch.mul(self.price.copy_(price), self.half, out=self.half_price)

    def set_noise(self, members, noise):
        """Set the noise of some members, (n_draws * n, n_components) of theirs."""
        own = self.noise[members, ..., : noise.shape[-1]]
        own.copy_(noise.view(own.shape[1:]))

    def forward(self):
        """Return the operations that draw by the reparameterisation trick."""
        noises = []
        if not self.judges:
            widths = [module.n_components for module in self.modules]
            noises = draw_for_each(self.noise, self.rngs, "normal_", widths=widths)
        mean, std = self.mean.unsqueeze(1), self.std.unsqueeze(1)
        return [
            partial(torch.clamp, self.raw_log_var, *LOG_VAR_RANGE, out=self.log_var),
            partial(torch.mul, self.log_var, self.half, out=self.std),
            self.std.exp_,
            *noises,
            partial(torch.addcmul, mean, std, self.noise, out=self.draws),
        ]

    def charge(self):
        """Return the operations that set the KL term, and begin with the gradients."""
        return self._backward_sampled() if self.is_sampled else self._backward()

    def backward(self):
        """Return the operations that fill the gradient, KL term included."""
        noise, log_var_grad = self.noise, self.log_var_grad
        through_noise, summed = _summed_over_draws(noise)
        unclamped = torch.empty_like(self.std)
        return [
            *self.charge(),
            partial(noise.mul_, self.grad),
            *through_noise,
            partial(log_var_grad.addcmul_, summed, self.std, value=0.5),
            partial(torch.eq, self.raw_log_var, self.log_var, out=unclamped),
            partial(log_var_grad.mul_, unclamped),
        ]

    def _backward(self):
        """Return the operations that set the KL term and start both gradients."""
        excess, spare, mean = self.excess, self.spare, self.mean
        sum_grad, grad = _summed_over_draws(self.grad)
        return [
            partial(torch.mul, self.std, self.std, out=excess),
            partial(excess.sub_, self.one),
            partial(torch.sub, excess, self.log_var, out=spare),
            partial(spare.addcmul_, mean, mean),  # twice the KL term of a row
            partial(torch.sum, spare, 1, out=self.kl),
            partial(self.kl.mul_, self.share),
            *self._charge(),
            partial(torch.mul, excess, self.half_price, out=self.log_var_grad),
            *sum_grad,
            partial(torch.addcmul, grad, mean, self.price, out=self.mean_grad),
        ]

    def _backward_sampled(self):
        """Return those for the estimate at the draws, whose gradient they change."""
        draws, noise, n_draws = self.draws, self.noise, self.draws.shape[1]
        squares = torch.empty_like(draws)
        price = self.price.unsqueeze(1)
        add_price = partial(self.grad.addcmul_, draws, price, value=1 / n_draws)
        sum_grad, grad = _summed_over_draws(self.grad)
        return [
            partial(torch.mul, draws, draws, out=squares),
            partial(squares.addcmul_, noise, noise, value=-1.0),
            partial(torch.sum, squares, (1, 2), out=self.kl),
            lambda: self.kl.div_(n_draws).sub_(self.log_var.sum(1)).mul_(self.share),
            *self._charge(),
            lambda: self.log_var_grad.copy_(-self.half_price),
            add_price,
            *sum_grad,
            partial(self.mean_grad.copy_, grad),
        ]

    def _charge(self):
        return [self._set_price] if self.has_free_bits else []

    def collect(self, terms):
        """Return the operations that set the KL term, and add it to the loss."""
        loss, _, kl = terms
        sum_kl = partial(torch.sum, self.kl, 1, out=kl)
        if not self.has_free_bits:
            return [sum_kl, partial(loss.addcmul_, self.beta, kl)]

        def add_charged():
            charged = torch.maximum(self.kl, self.free_bits).sum(1)
            loss.addcmul_(self.beta, charged)

        return [sum_kl, add_charged]

    def output(self, params):
        """Return the module's output for the first member."""
        n_draws = self.draws.shape[1]
        mean = self.mean[0].repeat(n_draws, 1)
        log_var = self.log_var[0].repeat(n_draws, 1)
        return VAEOutput(self.Z[0].clone(), mean, log_var, params)


def _summed_over_draws(values):
    """Return the operations that sum (K, n_draws, n, k) over draws, and the sum."""
    if values.shape[1] == 1:
        return [], values[:, 0]
    result = torch.empty_like(values[:, 0])
    return [partial(torch.sum, values, 1, out=result)], result


CODES = {AutoencoderModule: PointCode, VAEModule: NormalCode}
