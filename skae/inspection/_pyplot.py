"""matplotlib, which is not needed but for pictures."""


def import_pyplot():
    """Return `matplotlib.pyplot`, or say how to get it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            'pictures need matplotlib; install it with pip install "skae[plot]"'
        ) from error
    return plt
