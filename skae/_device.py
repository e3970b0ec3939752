"""Where a network lives."""


def is_elsewhere(device):
    """Return whether `device` is one of CUDA that this machine does not have."""
    if not (isinstance(device, str) and device.startswith("cuda")):
        return False
    try:
        resolve_device(device)
    except ValueError:
        return True
    return False


def resolve_device(device):
    """Return the `torch.device` that `device` asks for.

    Parameters
    ----------
    device : str
        "auto" (CUDA when there is one, else the CPU), "cpu", "cuda" or "cuda:N".

    Raises
    ------
    ValueError
        If the name is unknown or this machine has no such device.
    """
    import torch

    n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "auto":
        return torch.device("cuda" if n_gpus else "cpu")
    try:
        resolved = torch.device(device)
    except RuntimeError:
        resolved = None
    if resolved is None or resolved.type not in ("cpu", "cuda"):
        raise ValueError(
            f"device must be 'auto', 'cpu', 'cuda' or 'cuda:N', got {device!r}; "
            "use device='auto'"
        )
    if resolved.type == "cuda" and n_gpus == 0:
        raise ValueError(
            f"device={device!r}, but torch.cuda.is_available() is False; "
            "use device='auto' or device='cpu'"
        )
    if resolved.type == "cuda" and (resolved.index or 0) >= n_gpus:
        raise ValueError(
            f"device={device!r}, but this machine has {n_gpus} CUDA device(s), "
            f"numbered from 0; use device='auto'"
        )
    return resolved
