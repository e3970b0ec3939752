"""A module as plain arrays and parameters, and back."""

import numpy as np
import torch

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


def export_module(module):
    """Return all that `build_module` needs, without an object of torch."""
    return {
        "kind": type(module).__name__,
        "settings": module.settings(),
        "arrays": {k: v.cpu().numpy().copy() for k, v in module.state_dict().items()},
        "rng": module.rng.get_state(),
    }


def build_module(state):
    """Return the module that `export_module` described, on the CPU."""
    module = MODULES[state["kind"]](**state["settings"], rng=Rng(0))
    # np.array: the arrays may be read-only memory maps
    arrays = {k: torch.from_numpy(np.array(v)) for k, v in state["arrays"].items()}
    module.load_state_dict(arrays)
    module.rng.set_state(state["rng"])
    return module.eval()
