"""What is exported: the way of rows to codes, of codes to rows, or both."""

import torch
from torch import nn

from skae._modules import OrderedModule, RestoringModule


class Encoding(nn.Module):
    """From rows in the units of X, float64, to their codes in float32."""

    def __init__(self, module):
        super().__init__()
        self.center, self.scale = module.scaler.center, module.scaler.scale
        self.fill = module.scaler.fill
        self.network, self.width = module.encoder, module.n_components
        self.penalty = getattr(module, "penalty", None)

    def forward(self, X):
        """Return the codes of rows; a hole is what the mean of the column is."""
        U = (X - self.center) / self.scale
        U = torch.where(torch.isnan(U), self.fill, U).to(torch.float32)
        Z = self.network(U)[:, : self.width]  # of a VAE the means
        return Z if self.penalty is None else self.penalty.activate(Z)


class Decoding(nn.Module):
    """From codes in float32 to rows in the units of X, in float64."""

    def __init__(self, module):
        super().__init__()
        self.center, self.scale = module.scaler.center, module.scaler.scale
        self.network, self.likelihood = module.decoder, module.likelihood
        names = self.likelihood.mean_parameters
        self.learned = {name: module.likelihood_parameters[name] for name in names}

    def forward(self, Z):
        """Return the mean rows of codes."""
        mean = self.likelihood.mean(self.network(Z), **self.learned)
        return mean.to(torch.float64) * self.scale + self.center


def part_of(estimator, which):
    """Return the part of a fitted network that is to be exported.

    Parameters
    ----------
    estimator : BaseAutoencoder
        The fitted estimator.
    which : {"encoder", "decoder", "reconstruction"}
        Which way.

    Raises
    ------
    ValueError
        If there is no such part, or the network has parts that no graph can hold.
    """
    module = estimator.module_
    if estimator._columns is not None:
        raise ValueError(
            "to_onnx takes tables of numbers that have one law, but X of fit has "
            "categories or laws of columns; encode categories in the Pipeline, with "
            "OneHotEncoder say"
        )
    has_no_code = isinstance(module, RestoringModule)
    if has_no_code and type(module) is not RestoringModule:
        name = type(module.architecture).__name__
        raise ValueError(
            f"to_onnx cannot export architecture={name}(), which is told of holes or "
            "noise beside a row"
        )
    if isinstance(module, OrderedModule) and which != "encoder":
        raise ValueError(
            f"to_onnx(which={which!r}) needs one decoder, but ordered=True has one for "
            "each size of code; which='encoder' can be exported"
        )
    if which != "encoder" and module.likelihood.mean_parameters:
        raise ValueError(
            f"to_onnx(which={which!r}) has no counterpart of {module.likelihood!r}; "
            "which='encoder' can be exported"
        )
    if has_no_code and which != "reconstruction":
        raise ValueError(
            f"to_onnx(which={which!r}) needs codes, but the network has no bottleneck; "
            "use which='reconstruction'"
        )
    parts = []
    if which != "decoder":
        parts.append(Encoding(module))
    if which != "encoder":
        parts.append(Decoding(module))
    return nn.Sequential(*parts).eval()
