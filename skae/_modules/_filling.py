"""The network that fills holes in tables: the joint normal law, and one beside it."""

import numpy as np
import torch
from torch import nn

from skae._modules._footprint import Footprint, footprint
from skae._modules._joint_normal import JointNormal, spread_rows
from skae._modules._restoring import RestoringModule
from skae._modules._steps import N_STEPS, Steps
from skae.architectures._layers import linear, zero_output

# The middle share of a column's values whose width is the unit of its robust scale,
# and the least of it, in standard deviations.
MIDDLE, LEAST_WIDTH = (0.1, 0.9), 0.05

# That width of a normal law, in standard deviations.
IN_DEVIATIONS = 2.56

# A category that the joint normal law holds to be impossible has this probability at
# the start of training.
LEAST_PROBABILITY = 0.01


class FillingModule(RestoringModule):
    """A restorer whose rows have holes, which it is shown.

    Rows in network space have NaN in their holes here, up to the path that fills them.

    Parameters
    ----------
    **settings : object
        As for `AutoencoderModule`; the architecture is one that is shown holes.
    """

    def _build_networks(self):
        build, n_features = self.architecture.build_restorer, self.n_features
        if self.layout is None:
            network = build(n_features, self.rng)
            self.encoder = FillingPath(n_features, network, self.rng)
        else:
            n_steps = N_STEPS * self.layout.n_numbers
            network = build(n_features, self.rng, n_steps)
            self.encoder = TablePath(self.layout, network, self.rng)
        self.decoder = nn.Identity()

    def start_at_rows(self, rows):
        """Make the network fill holes with their mean by the law of `TrainingRows`."""
        numbers = rows.numbers()
        if numbers is None:
            numbers = np.arange(len(rows.X))
        X = rows.X[numbers[spread_rows(len(numbers))]]
        X = torch.from_numpy(X.astype(np.float64))
        if self.layout is not None:
            X = self.layout.expand(X)
        U = self.scaler(X, torch.float64)
        self.encoder.start_at(U, *self._line())

    def corrupt(self, U, rng, known=None):
        """Return what is restored in training: rows with their holes, and more."""
        if known is not None:
            U = U.where(known > 0, torch.nan)
        if self.corruption is None:
            return U
        X = self._corrupt_rows(U, rng)
        return self.scaler(X, U.dtype)

    def encode(self, U):
        """Return the output of the network for rows in network space."""
        corruption = self.corruption
        keeps_known = corruption is not None and corruption.keeps_known
        return self.encoder(U, keeps_known=keeps_known)

    def open_rows(self, X):
        """Return rows X in network space, NaN in their holes, and what is known."""
        U = self.to_network_space(X)
        return U, (~U.isnan()).to(U.dtype)

    def inverse_transform(self, Z):
        """Return codes Z as rows in the units of X; of categories, positions."""
        return Z if self.layout is None else self.layout.collapse(Z)

    def category_probabilities(self, X):
        """Return the entries (n_rows, n_features) of the means: probabilities."""
        return self.transform(X)

    def rescaled_errors(self, X):
        """Return every entry's squared error in network space, 0 in holes."""
        return super().rescaled_errors(X).nan_to_num(0.0)


class FillingPath(nn.Module):
    """Rows filled by a joint normal law, and what a network adds to them.

    Parameters
    ----------
    n_features : int
        Width of a row, and of the result.
    network : nn.Module
        From filled rows, in two scales, and their holes to what to add.
    rng : Rng
        Source of noise.
    """

    #: How many numbers the network is shown beside these.
    n_more = 0

    def __init__(self, n_features, network, rng):
        super().__init__()
        self.law, self.network = JointNormal(n_features), network
        self.register_buffer("middle", torch.zeros(n_features))
        self.register_buffer("width", torch.ones(n_features))
        self.register_buffer("gain", torch.ones(n_features))
        self.register_buffer("bias", torch.zeros(n_features))
        of_network = footprint(network, 3 * n_features + self.n_more, rng)
        self.footprint = Footprint(
            of_network.n_operations + n_features**3 // 6,
            max(of_network.widest, n_features),
        )

    def forward(self, U, *, keeps_known):
        """Return the sum of both for rows U, NaN in their holes.

        To what is known nothing is added if it is sure to be right.
        """
        with torch.no_grad():
            holes, filled = U.isnan(), self.law(U)
        added = self._add(self._show(filled, holes))
        if keeps_known:
            added = added * holes
        return self._start(filled) + added

    def _show(self, filled, holes):
        """Return what the network is shown."""
        # values far out would drown the others but for a second scale
        robust = ((filled - self.middle) / self.width).asinh()
        near = self.law.standardise(filled)
        return torch.cat([robust, near, holes.to(filled.dtype)], dim=1)

    def _add(self, shown):
        """Return what is to be added to what the law says."""
        return self.network(shown)

    def _start(self, filled):
        """Return the output that says what the law does."""
        return self.gain * filled + self.bias

    def start_at(self, U, gain, bias):
        """Fit the law to rows U; the output is `gain * filled row + bias`."""
        self.law.fit(U)
        self.gain.copy_(torch.as_tensor(gain))
        self.bias.copy_(torch.from_numpy(bias))
        U = U.where(~U.isnan().all(dim=0), 0.0)  # what only held-out rows know
        low, middle, high = (
            torch.from_numpy(np.nanquantile(U.numpy(), q, axis=0))
            for q in (MIDDLE[0], 0.5, MIDDLE[1])
        )
        self.middle.copy_(middle)
        self.width.copy_((high - low).clamp(min=LEAST_WIDTH) / IN_DEVIATIONS)
        zero_output(self.network)


class TablePath(FillingPath):
    """The same for the entries of a table with categories.

    The law is that of the entries: whether a column has a category is a number as
    others are, and its mean a probability, whose logarithm is the output. The network
    is shown numbers in steps too, and beside it runs a linear map of what it is shown,
    which soon learns what category goes with which numbers.

    Parameters
    ----------
    layout : Layout
        Knows the entries.
    network : nn.Module
        As for `FillingPath`; it is shown the steps too.
    rng : Rng
        Source of noise.
    """

    def __init__(self, layout, network, rng):
        n_entries = len(layout.columns)
        self.n_more = N_STEPS * layout.n_numbers
        super().__init__(n_entries, network, rng)
        self.n_numbers, self.blocks = layout.n_numbers, layout.blocks
        self.steps = Steps(layout.n_numbers)
        n_shown = 3 * n_entries + self.n_more
        self.linear = linear(n_shown, n_entries, rng, bias=False)
        self.footprint = self.footprint._replace(
            n_operations=self.footprint.n_operations + n_shown * n_entries
        )

    def _show(self, filled, holes):
        steps = self.steps(filled[:, : self.n_numbers])
        return torch.cat([super()._show(filled, holes), steps], dim=1)

    def _add(self, shown):
        return self.network(shown) + self.linear(shown)

    def _start(self, filled):
        """Return means of numbers, and of categories the logarithms of shares."""
        parts = [super()._start(filled)[:, : self.n_numbers]]
        for entries, part in self.blocks:
            if part.codes is None:
                continue
            shares = filled[:, entries].clamp(LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
            of_others = torch.log1p(-shares) if part.width == 1 else 0.0
            parts.append(shares.log() - of_others)
        return torch.cat(parts, dim=1)

    def start_at(self, U, gain, bias):
        """Fit the law to rows U, and the steps."""
        super().start_at(U, gain, bias)
        self.steps.fit(U[:, : self.n_numbers])
        self.middle[self.n_numbers :] = 0.0  # they are shares
        self.width[self.n_numbers :] = 1.0
        with torch.no_grad():
            self.linear.weight.zero_()
