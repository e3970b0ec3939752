"""The network that fills holes in tables: the joint normal law, and one beside it."""

import numpy as np
import torch
from torch import nn

from skae._modules._footprint import Footprint, footprint
from skae._modules._joint_normal import JointNormal, spread_rows
from skae._modules._restoring import RestoringModule
from skae.architectures._layers import zero_output

# The middle share of a column's values whose width is the unit of its robust scale,
# and the least of it, in standard deviations.
MIDDLE, LEAST_WIDTH = (0.1, 0.9), 0.05

# That width of a normal law, in standard deviations.
IN_DEVIATIONS = 2.56


import os

OPT = dict(kv.split("=") for kv in os.environ.get("OPT", "").split(",") if kv)


def opt(name, default):
    return type(default)(OPT.get(name, default))


class FillingModule(RestoringModule):
    """A restorer whose rows have holes, which it is shown.

    Rows in network space have NaN in their holes here, up to the path that fills them.

    Parameters
    ----------
    **settings : object
        As for `AutoencoderModule`; the architecture is one that is shown holes.
    """

    def _build_networks(self):
        n_more = 0
        if self.layout is not None:
            n_more = self.layout.n_numbers * opt("bins", 16)
        network = self.architecture.build_restorer(self.n_features, self.rng, n_more)
        self.encoder = FillingPath(self.n_features, network, self.rng, self.layout)
        self.decoder = nn.Identity()

    def start_at_rows(self, rows):
        """Make the network fill holes with their mean by the law of `TrainingRows`."""
        some = spread_rows(rows.n_train)
        X = rows.X[some if rows.train is None else rows.train[some]]
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

    # -- inference, in the units of X ------------------------------------------

    def inverse_transform(self, Z):
        """Return codes Z as rows in the units of X, of categories the positions."""
        return Z if self.layout is None else self.layout.collapse(Z)

    def category_probabilities(self, X):
        """Return the entries (n_rows, n_features) of the means: probabilities."""
        return self.transform(X)

    def rescaled_errors(self, X):
        """Return every entry's squared error in network space, 0 in holes."""
        U, _ = self.open_rows(X)
        errors = (U - self._mean(self.encode(U))).square().nan_to_num(0.0)
        return errors if self.layout is None else self.layout.sum_columns(errors)


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

    def __init__(self, n_features, network, rng, layout=None):
        super().__init__()
        self.layout = layout
        self.n_bins = opt("bins", 16)
        self.linear = None
        if layout is not None and opt("lin", 0):
            from skae.architectures._layers import linear

            self.linear = linear(
                3 * n_features + layout.n_numbers * self.n_bins,
                n_features,
                rng,
                bias=False,
            )
            self.linear.weight.data.zero_()
        if layout is not None:
            self.register_buffer(
                "edges", torch.zeros(layout.n_numbers, self.n_bins + 1)
            )
        self.law, self.network = JointNormal(n_features), network
        self.register_buffer("middle", torch.zeros(n_features))
        self.register_buffer("width", torch.ones(n_features))
        self.register_buffer("gain", torch.ones(n_features))
        self.register_buffer("bias", torch.zeros(n_features))
        n_more = 0 if layout is None else layout.n_numbers * self.n_bins
        of_network = footprint(network, 3 * n_features + n_more, rng)
        self.footprint = Footprint(
            of_network.n_operations + n_features**3 // 6,
            max(of_network.widest, n_features),
        )

    def forward(self, U, *, keeps_known):
        """Return the sum of both for rows U, NaN in their holes.

        To what is known nothing is added if it is sure to be right.
        """
        with torch.no_grad():
            holes = U.isnan()
            if self.layout is not None and not opt("law", 1):
                filled = torch.where(holes, self.law.mean.to(U), U)
            else:
                filled = self.law(U)
        # values far out would drown the others but for a second scale
        robust = ((filled - self.middle) / self.width).asinh()
        near = self.law.standardise(filled)
        shown = torch.cat([robust, near, holes.to(U.dtype)], dim=1)
        if self.layout is not None:
            shown = torch.cat([shown, self._binned(filled)], dim=1)
        added = self.network(shown)
        if self.linear is not None:
            added = added + self.linear(shown)
        if keeps_known:
            added = added * holes
        if self.layout is not None:
            return self._start(filled) + added
        return self.gain * filled + self.bias + added

    def _binned(self, filled):
        n = self.layout.n_numbers
        u = filled[:, :n, None]
        low, high = self.edges[:, :-1].to(u), self.edges[:, 1:].to(u)
        t = ((u - low) / (high - low).clamp(min=1e-6)).clamp(0, 1)
        return t.flatten(1)

    def _start(self, filled):
        result = self.gain * filled + self.bias
        least = opt("least", 0.01)
        for where, part in self.layout.blocks:
            if part.codes is None:
                continue
            own = filled[:, where]
            if part.width == 1:
                p = own.clamp(least, 1 - least)
                result[:, where] = p.log() - (-p).log1p()
            else:
                result[:, where] = own.clamp(min=least).log()
        return result

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
        if self.layout is not None:
            n = self.layout.n_numbers
            numbers = U[:, :n].numpy()
            q = np.nanquantile(numbers, np.linspace(0, 1, self.n_bins + 1), axis=0)
            for j in range(n):
                v = np.unique(numbers[:, j][~np.isnan(numbers[:, j])])
                if len(v) <= self.n_bins + 1:
                    q[:, j] = np.concatenate(
                        [v, np.full(self.n_bins + 1 - len(v), v[-1])]
                    )
            self.edges.copy_(torch.from_numpy(q.T))
            cat = torch.arange(U.shape[1]) >= n
            self.middle[cat], self.width[cat] = 0.0, 1.0
        zero_output(self.network)
