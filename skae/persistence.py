"""Models from files: `load` what `save` has written, and nothing else."""

from skae import _onnx
from skae._autoencoder import AutoencoderTransformer
from skae._imputer import AutoencoderImputer
from skae._outlier_detector import AutoencoderOutlierDetector
from skae._storage import FORMAT, Decoder, ModelFileError, read_file
from skae._trial import try_out
from skae._vae import VAETransformer
from skae._vae_cv import VAETransformerCV

__all__ = ["ModelFileError", "load", "register_onnx_converters"]

# What a file can be of as a whole.
ESTIMATORS = {
    cls.__name__: cls
    for cls in (
        AutoencoderImputer,
        AutoencoderOutlierDetector,
        AutoencoderTransformer,
        VAETransformer,
        VAETransformerCV,
    )
}


def load(path, **parameters):
    """Return the estimator that `save` has written to a file.

    The file cannot run code, and is not believed: its checksum is compared, every class
    must be one of this package, every parameter valid, the arrays those of the network
    that the parameters describe, and finite. Then the model is tried on a few rows.

    Parameters
    ----------
    path : str or Path
        The file.
    **parameters : object
        Those that `save` was told to omit, by name.

    Returns
    -------
    estimator : estimator
        As it was when it was saved: on the same machine its answers are the same to the
        bit. `device="auto"` finds a device anew; one that is not here becomes "auto".

    Raises
    ------
    ModelFileError
        If the file is not a model, damaged, or of a later version. It is a ValueError.
    OSError
        If the file is not there, is a folder, or cannot be read.
    TypeError
        If `parameters` are not those that were omitted.

    Examples
    --------
    >>> import tempfile
    >>> import skae
    >>> from sklearn.datasets import load_iris
    >>> X = load_iris().data
    >>> ae = skae.AutoencoderTransformer(2, max_epochs=5, random_state=0).fit(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ae.save(f"{folder}/flowers.skae")
    ...     same = skae.load(f"{folder}/flowers.skae")
    >>> bool((same.transform(X) == ae.transform(X)).all())
    True
    """
    document, arrays = read_file(path)
    _check_format(path, document)
    _check_omitted(document, parameters)
    try:
        estimator = Decoder(arrays, parameters).decode(document["model"])
        if type(estimator) is not ESTIMATORS[document["class"]]:
            raise ValueError(f"it is a {type(estimator).__name__}")
        try_out(estimator)
    except Exception as error:  # whatever a part that is not what it should be leads to
        raise ModelFileError(
            path,
            f"what is in it is no model ({type(error).__name__}: {error})",
            "save the model again; if the file is from elsewhere, do not trust it",
        ) from error
    return estimator


def _check_format(path, document):
    """Raise `ModelFileError` unless a document is one of a version that is known."""
    number = document.get("format") if isinstance(document, dict) else None
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise ModelFileError(
            path, "it does not say which format it has", "save the model again"
        )
    if number > FORMAT:
        versions = document.get("versions")
        own = versions.get("skae") if isinstance(versions, dict) else None
        raise ModelFileError(
            path,
            f"it has format {number}, of skae {own}, and this version reads formats "
            f"up to {FORMAT}",
            "install a newer version of skae",
        )
    keys = {"format", "class", "versions", "omitted", "model"}
    omitted = document.get("omitted")
    is_known = set(document) == keys and document["class"] in list(ESTIMATORS)
    if not (
        is_known
        and isinstance(omitted, list)
        and all(isinstance(name, str) for name in omitted)
    ):
        raise ModelFileError(
            path, "it is not of an estimator of this package", "save the model again"
        )


def _check_omitted(document, parameters):
    """Raise TypeError unless what was left out is given, and nothing else."""
    omitted = document["omitted"]
    if set(omitted) != set(parameters):
        raise TypeError(
            f"save was told to omit {omitted or 'nothing'}, but load got "
            f"{sorted(parameters) or 'none of them'}; pass what was left out, and that "
            "alone, by name"
        )


def register_onnx_converters():
    """Let `skl2onnx.to_onnx` convert pipelines with transformers of this package.

    A step is exported as its encoder, so that the pipeline may go on with a classifier
    of scikit-learn. What cannot be exported is said when the pipeline is.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.
    """
    _onnx.register_converters(
        [AutoencoderTransformer, VAETransformer, VAETransformerCV]
    )
