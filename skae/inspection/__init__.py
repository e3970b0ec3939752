"""Pictures of what has been fitted, as scikit-learn draws them."""

from skae.inspection._active_units_display import ActiveUnitsDisplay
from skae.inspection._anomaly_display import AnomalyDisplay
from skae.inspection._latent_space_display import LatentSpaceDisplay
from skae.inspection._latent_traversal_display import LatentTraversalDisplay
from skae.inspection._loss_curve_display import LossCurveDisplay
from skae.inspection._reconstruction_display import ReconstructionDisplay
from skae.inspection._sample_display import SampleDisplay
from skae.inspection._search_display import SearchDisplay

__all__ = [
    "ActiveUnitsDisplay",
    "AnomalyDisplay",
    "LatentSpaceDisplay",
    "LatentTraversalDisplay",
    "LossCurveDisplay",
    "ReconstructionDisplay",
    "SampleDisplay",
    "SearchDisplay",
]
