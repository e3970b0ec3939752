"""Many small networks of one shape, trained as one."""

from skae._training._stack._member import Member, stack_key
from skae._training._stack._stack import Stack, train_members

__all__ = ["Member", "Stack", "stack_key", "train_members"]
