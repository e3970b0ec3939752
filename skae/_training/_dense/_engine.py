"""Training steps of dense autoencoders without autograd, for K networks at once.

`DenseStep.run` does what `module.loss(module(U), U)` and `backward` do, for modules
whose every part it knows, in a third of the time: where layers are small a step costs
what the calls of torch cost, and this makes few of them. All else is left to autograd.
"""

import math
from functools import partial
from itertools import pairwise

import torch
from torch import nn

from skae._modules._autoencoder import AutoencoderModule, AutoencoderOutput
from skae._modules._vae import LOG_VAR_RANGE, VAEModule, VAEOutput
from skae._training._dense._layers import RULES, DensePaths, draw_for_each
from skae._training._dense._onednn import linear_layer
from skae.architectures._layers import Dropout, Sequence
from skae.likelihoods import (
    Bernoulli,
    Calibrated,
    Categorical,
    Gaussian,
    Laplace,
    Poisson,
)
from skae.likelihoods._column_scales import ColumnScales
from skae.likelihoods._table_law import TableLaw

LIKELIHOODS = (
    Calibrated, Gaussian, Laplace, Bernoulli, Categorical, Poisson, ColumnScales
)  # fmt: skip

HOOKS = (
    "_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks",
    "_post_accumulate_grad_hooks",
)  # fmt: skip


def is_dense(module):
    """Return whether `DenseStep` knows every part of a module, and all of it trains.

    By exact types: a subclass may compute something else.
    """
    parameters = [p for _, p in module.named_parameters(remove_duplicate=False)]
    return (
        type(module) in CODES
        and getattr(module, "elbo_estimate", None) != "importance_weighted"
        and _law_is_known(module.likelihood)
        and len(set(parameters)) == len(parameters)  # none is shared
        and all(p.requires_grad for p in parameters)
        and not any(_has_hooks(part) for part in (*module.modules(), *parameters))
        and all(_path_is_dense(path) for path in (module.encoder, module.decoder))
    )


def _law_is_known(law):
    if type(law) is TableLaw:
        return all(_law_is_known(part.law) for part in law.parts)
    return type(law) in LIKELIHOODS


def _has_hooks(part):
    """Return whether a module or a parameter has one that steps would call."""
    return any(getattr(part, name, None) for name in HOOKS)


def _path_is_dense(path):
    if path.network is None:
        return True
    if type(path.network) is not Sequence:
        return False
    layers, output = [*path.network.hidden], path.network.output
    return (
        [type(layer) for layer in (*layers[:1], output)] == [nn.Linear, nn.Linear]
        and output.bias is None
        and len({*layers, output}) == len(layers) + 1  # none is there twice
        and all(_layer_is_known(*pair) for pair in pairwise([None, *layers]))
    )


def _layer_is_known(before, layer):
    if type(layer) in RULES:  # its outputs may take the place of its inputs
        return type(before) not in RULES and repr(layer) == repr(type(layer)())
    if type(layer) is nn.Linear:
        return layer.bias is not None
    return type(layer) is Dropout


class DenseStep:
    """A training step of K modules on n rows each, up to the gradients.

    Parameters
    ----------
    flat : FlatParameters
        The modules, and their gradients to fill.
    n_rows : int
        Rows of a batch.
    corrupted : bool, default=False
        Whether what is encoded is not what is to be reconstructed.
    has_holes : bool, default=False
        Whether some entries are not known, and cost nothing.
    judges : bool, default=False
        Whether to judge in place of training: no unit is dropped, each term has its
        full weight, and the noise of codes is what `set_noise` says.
    """

    def __init__(self, flat, n_rows, *, corrupted=False, has_holes=False, judges=False):
        module = flat.modules[0]
        K, new = len(flat.modules), flat.vector.data.new_empty
        self.U = new(K, n_rows, module.n_features)
        self.target = torch.empty_like(self.U) if corrupted else self.U
        self.known = torch.empty_like(self.U) if has_holes else None
        paths = partial(DensePaths, flat, linear=linear_layer, drops=not judges)
        self.encoder = paths("encoder", self.U)
        self.code = CODES[type(module)](flat, self.encoder.outputs, judges=judges)
        self.decoder = paths("decoder", self.code.Z)
        # the gradient by the decoder's outputs takes their own place
        codes_grad = self.decoder.connect(self.decoder.outputs)
        self.encoder.connect(self.code.connect(codes_grad))
        self.terms = new(1 + len(module.terms), K)
        self.forward = [
            *self.encoder.forward(), *self.code.forward(), *self.decoder.forward()
        ]  # fmt: skip
        if judges:
            self.backward = [
                *self._judgement(flat, module),
                *self.code.charge(), *self.code.collect(self.terms),
            ]  # fmt: skip
            return
        self.backward = [
            *self._likelihood(flat, module),
            *self.decoder.backward(), *self.decoder.backward_inputs(),
            *self.code.backward(), *self.encoder.backward(),
            *self.code.collect(self.terms),
        ]  # fmt: skip

    def _likelihood(self, flat, module):
        """Return the operations from decoder outputs to their gradient and term."""
        params = self.decoder.outputs
        target, repeat_target = _repeated(self.target, params)
        known, repeat_known = None, []
        if self.known is not None:
            known, repeat_known = _repeated(self.known, params)
        names = {
            name: f"likelihood_parameters.{name}"
            for name in module.likelihood_parameters
        }
        return (
            repeat_target
            + repeat_known
            + module.likelihood.backward(
                params,
                target,
                weight=-1.0 / params.shape[1],
                out=self.terms[:2],  # the loss begins as the reconstruction
                parameters={name: flat.values[full] for name, full in names.items()},
                gradients={name: flat.gradients[full] for name, full in names.items()},
                known=known,
            )
        )

    def _judgement(self, flat, module):
        """Return the operations from decoder outputs to the term of the likelihood.

        As the module has it, which is more exact where a law is close to another.
        """
        params = self.decoder.outputs
        target, repeat_target = _repeated(self.target, params)
        known, repeat_known = None, []
        if self.known is not None:
            known, repeat_known = _repeated(self.known, params)
        learned = {}
        for name in module.likelihood_parameters:
            value = flat.values[f"likelihood_parameters.{name}"]  # (K, ...)
            learned[name] = value.view(len(value), 1, -1)

        def judge():
            log_prob = module.likelihood.log_prob(params, target, **learned)
            if known is not None:
                log_prob = log_prob * known
            self.terms[:2].copy_(log_prob.sum((1, 2)).div_(-params.shape[1]))

        return [*repeat_target, *repeat_known, judge]

    def run(self, U, target=None, known=None, *, keep_output=False):
        """Fill the gradients of the mean loss; return it and its terms.

        Parameters
        ----------
        U : Tensor of shape (n, n_features) or (K, n, n_features)
            Rows in network space, for all members or for each.
        target : Tensor like U or None, default=None
            What to reconstruct; matters only if `corrupted`.
        known : Tensor like U or None, default=None
            1 where an entry is known, 0 where not; needed if there are holes.
        keep_output : bool, default=False
            Whether `output` will be called.

        Returns
        -------
        Tensor of shape (1 + n_terms, K)
            The loss, then the terms of `module.terms`, in nats per row. The next run
            overwrites it.
        """
        self.fill(U, target, known)
        self.compute(keep_output=keep_output)
        return self.terms

    def fill(self, U, target=None, known=None):
        """Take the rows, and the parameters of the loss that are in force."""
        self.fill_members(slice(None), U, target, known)
        self.code.set_objective()

    def fill_members(self, members, U, target=None, known=None):
        """Take the rows of some members."""
        self.U[members].copy_(U)
        if self.target is not self.U:
            self.target[members].copy_(target)
        if self.known is not None:
            self.known[members].copy_(known)

    def compute(self, *, keep_output=False):
        """Fill gradients and terms."""
        for operation in self.forward:
            operation()
        if keep_output:
            self.kept_params = self.decoder.outputs.clone()
        for operation in self.backward:
            operation()

    def output(self):
        """Return what the forward pass of the first member returned."""
        return self.code.output(self.kept_params[0])


def _repeated(rows, params):
    """Return rows as often as there are draws of each, and the operations for it."""
    n_draws = params.shape[1] // rows.shape[1]
    if n_draws == 1:
        return rows, []
    result = torch.empty_like(params)
    return result, [lambda: result.copy_(rows.repeat(1, n_draws, 1))]


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
