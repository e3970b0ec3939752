"""Pictures of what has been fitted, as scikit-learn draws them."""

from skae.inspection._search_display import SearchDisplay

__all__ = ["SearchDisplay"]
