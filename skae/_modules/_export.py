"""A module as plain arrays and parameters, and back."""

import numpy as np
import torch
from sklearn.base import BaseEstimator

from skae._modules._autoencoder import AutoencoderModule
from skae._modules._denoising import DenoisingModule
from skae._modules._filling import FillingModule
from skae._modules._ordered import OrderedModule
from skae._modules._penalised import PenalisedModule
from skae._modules._restoring import RestoringModule
from skae._modules._vae import VAEModule
from skae._random import Rng

KINDS = (
    AutoencoderModule, DenoisingModule, FillingModule, OrderedModule,
    PenalisedModule, RestoringModule, VAEModule,
)  # fmt: skip
MODULES = {kind.__name__: kind for kind in KINDS}

# Settings of a network are below this number, or below that of its weights.
FEW = 64


def export_module(module):
    """Return all that `build_module` needs, without an object of torch."""
    return {
        "kind": type(module).__name__,
        "settings": module.settings(),
        "arrays": {k: v.cpu().numpy().copy() for k, v in module.state_dict().items()},
        "rng": module.rng.get_state(),
    }


def check_module_state(state):
    """Raise ValueError unless a state is that of the network it describes.

    The shapes are those of a network that takes no memory, and nothing that is not a
    finite number is in it.
    """
    arrays, settings = state["arrays"], state["settings"]
    # a network with a layer that wide, or that deep, has more numbers
    most = FEW + sum(array.size for array in arrays.values())
    if any(abs(n) > most for n in integers_in(settings)):
        raise ValueError("its network is described as larger than its weights are")
    with torch.device("meta"):
        skeleton = MODULES[state["kind"]](**settings, rng=Rng(0)).state_dict()
    expected = {name: tuple(value.shape) for name, value in skeleton.items()}
    found = {name: array.shape for name, array in arrays.items()}
    if found != expected:
        names = sorted(set(found) ^ set(expected)) or [
            name for name in found if found[name] != expected[name]
        ]
        raise ValueError(f"its weights do not fit its network: {names}")
    for name, array in arrays.items():
        kind = str(skeleton[name].dtype).removeprefix("torch.")
        if str(array.dtype) != kind:
            raise ValueError(f"{name} is of {array.dtype}, expected {kind}")
        if not np.isfinite(array).all():
            raise ValueError(f"{name} has values that are not finite")
    if not (arrays["scaler.scale"] > 0).all():
        raise ValueError("scaler.scale has values that are not positive")


def integers_in(value):
    """Yield every int in nested settings, in the parameters of objects too."""
    if isinstance(value, int) and not isinstance(value, bool):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from integers_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from integers_in(item)
    elif isinstance(value, BaseEstimator):
        yield from integers_in(value.get_params(deep=False))


def build_module(state):
    """Return the module that `export_module` described, on the CPU."""
    module = MODULES[state["kind"]](**state["settings"], rng=Rng(0))
    # np.array: the arrays may be read-only memory maps
    arrays = {k: torch.from_numpy(np.array(v)) for k, v in state["arrays"].items()}
    module.load_state_dict(arrays)
    module.rng.set_state(state["rng"])
    return module.eval()
