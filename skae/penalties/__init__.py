"""What a code may cost beside its reconstruction."""

from skae.penalties._base import Penalty
from skae.penalties._contractive import Contractive
from skae.penalties._sparse import Sparse

__all__ = ["Contractive", "Penalty", "Sparse"]
