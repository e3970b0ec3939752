"""The entropy coders of constriction, if they are there."""


def import_constriction():
    """Return the package, or raise ImportError with the way out."""
    try:
        import constriction
    except ImportError:
        raise ImportError(
            "skae.compression needs the entropy coders of constriction; install them "
            'with pip install "skae[compression]"'
        ) from None
    return constriction
