"""Training steps of dense autoencoders without autograd, for K networks at once.

`DenseStep.run` does what `module.loss(module(U), U)` and `backward` do, for modules
whose every part it knows, in a third of the time: where layers are small a step costs
what the calls of torch cost, and this makes few of them. All else is left to autograd.
"""

from functools import partial
from itertools import pairwise

import torch
from torch import nn

from skae._training._dense._codes import CODES
from skae._training._dense._layers import RULES, DensePaths
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
