"""Codes of which few components are active."""

from skae._sklearn import (
    Integral,
    Interval,
    InvalidParameterError,
    Real,
    StrOptions,
)
from skae._storage import storable
from skae.penalties._base import Penalty

# Mean activations are kept this far from 0 and 1, whose logarithms are infinite.
MARGIN = 1e-6

# Mean squares below this are those of components that are off.
TINY = 1e-12


# Share of the training steps over which the number of active components changes.
WARMUP = 0.5


@storable
class Sparse(Penalty):
    r"""Let few components of a code be active.

    Parameters
    ----------
    kind : {"l1", "kl", "top_k"}, default="l1"
        "l1" costs the sum of the components' sizes, each in units of its root mean
        square in the batch: smaller codes before larger weights of the decoder would
        else be had for nothing, and nothing would be sparse. "kl" puts a sigmoid
        behind the encoder, and costs the divergence
        :math:`\sum_j KL(\rho \| \hat\rho_j)` between Bernoulli laws of the target
        :math:`\rho` and of each component's mean activation in a batch [1]_. "top_k"
        costs nothing: of each code the largest components by size are kept, and the
        others are zero [2]_.
    weight : float, default=0.1
        Factor of the cost, which is in nats per row; not used by "top_k".
    target : float, default=0.05
        Mean activation that "kl" asks of each component, in (0, 1).
    n_active : int, default=8
        Components that "top_k" keeps.
    n_active_trained : int, tuple of two ints or None, default=None
        Components that "top_k" keeps in training; None is `n_active`. Of a tuple the
        first number holds at the beginning, and goes over into the second one during
        the first half of the steps: from a large number on, every component finds
        something to do [2]_. Features for a classifier are better with a larger
        `n_active` than in training; held-out rows meet `n_active`, so it takes
        `early_stopping=False` then.
    positive : bool, default=False
        Whether a component below zero is zero, as behind a rectifier; "top_k" then
        keeps the largest by value. Components of "kl" are positive anyway.

    References
    ----------
    .. [1] H. Lee, C. Ekanadham, A. Ng, "Sparse Deep Belief Net Model for Visual Area
       V2", NeurIPS 2007.
    .. [2] A. Makhzani, B. Frey, "k-Sparse Autoencoders", ICLR 2014, arXiv:1312.5663.

    Examples
    --------
    >>> import torch
    >>> from skae.penalties import Sparse
    >>> Sparse("top_k", n_active=2).activate(torch.tensor([[1.0, -3.0, 2.0, 0.5]]))
    tensor([[ 0., -3.,  2.,  0.]])
    >>> positive = Sparse("top_k", n_active=2, positive=True)
    >>> positive.activate(torch.tensor([[1.0, -3.0, 2.0, 0.5]]))
    tensor([[1., 0., 2., 0.]])
    """

    _parameter_constraints = {
        "kind": [StrOptions({"l1", "kl", "top_k"})],
        "weight": [Interval(Real, 0, None, closed="left")],
        "target": [Interval(Real, 0, 1, closed="neither")],
        "n_active": [Interval(Integral, 1, None, closed="left")],
        "n_active_trained": [
            Interval(Integral, 1, None, closed="left"),
            tuple,
            list,
            None,
        ],
        "positive": ["boolean"],
    }

    def __init__(
        self,
        kind="l1",
        *,
        weight=0.1,
        target=0.05,
        n_active=8,
        n_active_trained=None,
        positive=False,
    ):
        self.kind = kind
        self.weight = weight
        self.target = target
        self.n_active = n_active
        self.n_active_trained = n_active_trained
        self.positive = positive

    @property
    def squashes(self):
        """Whether a sigmoid stands behind the encoder."""
        return self.kind == "kl"

    @property
    def warmup(self):
        """Share of the training steps over which the number of active ones changes."""
        first, last = self._numbers_trained()
        return WARMUP if first != last else 0.0

    def _numbers_trained(self):
        """Return how many components are active at the beginning and in the end."""
        n = self.n_active if self.n_active_trained is None else self.n_active_trained
        if not isinstance(n, tuple | list):
            return n, n
        ints = [m for m in n if isinstance(m, Integral) and not isinstance(m, bool)]
        if not (len(n) == len(ints) == 2 and min(ints) > 0):
            raise InvalidParameterError(
                "The 'n_active_trained' parameter of Sparse must be a positive int, "
                "two of them (at the beginning, in the end), or None. Got "
                f"{n!r} instead."
            )
        return tuple(n)

    def check_size(self, n_components):
        """Raise ValueError if more components are to be kept than there are."""
        if self.kind != "top_k":
            return
        numbers = {
            "n_active": self.n_active, "n_active_trained": max(self._numbers_trained()),
        }  # fmt: skip
        for name, n in numbers.items():
            if n > n_components:
                raise ValueError(
                    f"penalty={self!r} keeps {name}={n} components of a code of "
                    f"n_components={n_components}; use a smaller {name}, or a larger "
                    "n_components"
                )

    def activate(self, A):
        """Return the codes of the encoder's output."""
        return self._activate(A, self.n_active)

    def activate_trained(self, A, share):
        """Return the codes in training, where other numbers may be active."""
        first, last = self._numbers_trained()
        return self._activate(A, round(first * (last / first) ** share))

    def _activate(self, A, n_active):
        A = super().activate(A)
        if self.positive:
            A = A.relu()
        if self.kind != "top_k":
            return A
        largest = A.detach().abs().topk(n_active, dim=-1).indices
        return _kept(A, largest)

    def cost(self, Z, U, encoder, rng):
        """Return the cost of codes, in nats per row."""
        if self.kind == "top_k":
            return Z.new_zeros(())
        if self.kind == "l1":
            return self.weight * relative_sizes(Z).sum()
        return self.weight * bernoulli_kl(self.target, Z.mean(dim=0)).sum()


def relative_sizes(Z):
    """Return the mean size of each component over its root mean square.

    The root of the share of rows in which a component is on, if it is then always of
    the same size; 0 for one that is always zero.
    """
    return Z.abs().mean(dim=0) / (Z.square().mean(dim=0) + TINY).sqrt()


def _kept(A, columns):
    """Return A with zeros everywhere but in some columns of each row."""
    import torch

    return torch.zeros_like(A).scatter(-1, columns, A.gather(-1, columns))


def bernoulli_kl(p, q):
    """Return KL(Bernoulli(p) to Bernoulli(q)) of a float and a Tensor, in nats."""
    import torch

    p, q = torch.as_tensor(p).to(q), q.clamp(MARGIN, 1 - MARGIN)
    return p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()
