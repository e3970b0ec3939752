"""The joint normal law of all columns, and what it makes of holes."""

import numpy as np
import torch
from torch import nn

# The covariance is that of the rows and, as if seen in this many rows for each column,
# one without correlations: it is sound for fewer rows than columns, and few holes are
# filled from what is chance.
PRIOR_ROWS = 0.3

# A share of every variance that is no other column's, whatever the number of rows:
# equations of float32 can be solved then.
LEAST_OWN_SHARE = 1e-3

# Expectation-maximisation ends when no correlation changes by more, or after so many
# rounds.
TOLERANCE, MOST_ROUNDS = 1e-2, 30

# Values further out, in standard deviations of their column, count as these: of columns
# with heavy tails they would say too much about others.
FURTHEST = 5.0

# Most columns for which the law is worked out: it costs their cube for each row with
# holes.
MOST_COLUMNS = 128

# Rows to learn the law from, and numbers of the systems that are solved at once.
MOST_ROWS, CELLS = 5000, 2**18


class JointNormal(nn.Module):
    """A multivariate normal law, fitted to rows with holes.

    Parameters
    ----------
    n_features : int
        Width of a row.

    References
    ----------
    .. [1] R. Little, D. Rubin, "Statistical Analysis with Missing Data", 3rd edition,
       Wiley 2019, doi:10.1002/9781119482260, section 11.2.
    """

    def __init__(self, n_features):
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("covariance", torch.eye(n_features))

    def fit(self, U):
        """Find the law by expectation-maximisation [1]_, with a prior.

        Parameters
        ----------
        U : Tensor of shape (n_rows, n_features)
            float64, NaN in the holes.
        """
        U = U[torch.from_numpy(spread_rows(len(U)))]
        mean, unit = _moments(U)
        V = (U - mean) / unit
        n_rows, n_features = U.shape
        law = JointNormal(n_features).to(U.dtype)
        n_prior = PRIOR_ROWS * n_features
        for _ in range(MOST_ROUNDS):
            filled, spread = law._expect(V)
            center = filled.mean(dim=0)
            new = (filled - center).T @ (filled - center) + spread
            own = new.diagonal() / n_rows + 1e-6  # a column may be constant
            share = max(n_prior / (n_rows + n_prior), LEAST_OWN_SHARE)
            new = (1 - share) * new / n_rows + share * torch.diag(own)
            change = (new - law.covariance).abs().max()
            law.mean, law.covariance = center, new
            if change < TOLERANCE:
                break
        self.mean.copy_(mean + unit * law.mean)
        self.covariance.copy_(law.covariance * unit * unit[:, None])
        return self

    def forward(self, U):
        """Return rows with their holes filled by the mean given what is known.

        Parameters
        ----------
        U : Tensor of shape (n_rows, n_features)
            NaN in the holes; a row without a known value gets the mean.
        """
        return torch.cat([_filled(*part) for part in self._systems(U)])

    def standardise(self, U):
        """Return whole rows in standard deviations, those far out brought near."""
        unit = self.covariance.diagonal().sqrt()
        return ((U - self.mean) / unit).clamp(-FURTHEST, FURTHEST)

    def deviations(self, U):
        """Return the standard deviation of every entry given what is known of its row.

        It is 0 where the entry itself is known.
        """
        results = []
        for V, (factor, _), (_, covariance) in self._systems(U):
            holes = V.isnan()
            known = covariance.where(~holes[:, :, None], 0.0)  # (n, known, all)
            explained = torch.linalg.solve_triangular(factor, known, upper=False)
            left = covariance.diagonal() - explained.square().sum(dim=1)
            results.append(left.clamp(min=0).sqrt() * holes)
        return torch.cat(results)

    def draw(self, U, rng):
        """Return draws of what is in the holes less its mean, given what is known.

        A row's draws are correlated as the law has it; they are 0 where it is known. A
        draw of all columns, less what would be expected in the holes of it, is one.
        """
        root = torch.linalg.cholesky(self.covariance)
        whole = self.mean + rng.normal_like(U) @ root.T
        return whole - self(whole.where(~U.isnan(), torch.nan))

    def _systems(self, U):
        """Yield chunks of rows, the equations of each row's known part, and the law."""
        law = mean, covariance = self.mean.to(U.dtype), self.covariance.to(U.dtype)
        furthest = FURTHEST * covariance.diagonal().sqrt()
        for V in U.split(max(1, CELLS // len(mean) ** 2)):
            known = (~V.isnan()).to(U.dtype)
            # the identity where a row has holes: all systems are of one size
            matrices = covariance * known[:, :, None] * known[:, None, :]
            matrices += torch.diag_embed(1 - known)  # (n_rows, n_features, n_features)
            factor, _ = torch.linalg.cholesky_ex(matrices)
            centred = (V - mean).nan_to_num(0.0).clamp(-furthest, furthest)
            yield V, (factor, centred), law

    def _expect(self, V):
        """Return filled rows, and the sum of their covariances given what is known."""
        filled, inverses = [], torch.zeros_like(self.covariance)
        identity = torch.eye(len(self.mean), dtype=V.dtype)
        for part in self._systems(V):
            rows, (factor, _), _ = part
            filled.append(_filled(*part))
            roots = torch.linalg.solve_triangular(factor, identity, upper=False)
            roots = roots.flatten(end_dim=1)  # of the inverses, one below the other
            inverses += roots.T @ roots
            inverses -= torch.diag(rows.isnan().sum(dim=0).to(V.dtype))
        spread = len(V) * self.covariance - self.covariance @ inverses @ self.covariance
        return torch.cat(filled), spread


def spread_rows(n_rows):
    """Return the numbers of the rows to learn the law from: all, or some evenly."""
    return np.linspace(0, n_rows - 1, min(n_rows, MOST_ROWS)).astype(int)


def _filled(V, system, law):
    """Return rows with the mean of the law, given their known part, in the holes."""
    (factor, centred), (mean, covariance) = system, law
    weights = torch.cholesky_solve(centred[:, :, None], factor)[:, :, 0]
    return torch.where(V.isnan(), mean + weights @ covariance, V)


def _moments(U):
    """Return mean and standard deviation of known values, 1 for a constant column."""
    mean = U.nanmean(dim=0).nan_to_num(0.0)
    std = (U - mean).square().nanmean(dim=0).nan_to_num(0.0).sqrt()
    return mean, torch.where(std > 0, std, 1.0)


# -- of ndarrays -----------------------------------------------------------------------


def joint_normal(V):
    """Return mean and covariance of the law of rows, as ndarrays."""
    law = JointNormal(V.shape[1]).double().fit(torch.from_numpy(V))
    return law.mean.numpy(), law.covariance.numpy()


def expected(law, V):
    """Return rows with holes filled by their mean under a law of ndarrays."""
    return _as_module(law)(torch.from_numpy(V)).numpy()


def deviations(law, V):
    """Return `JointNormal.deviations` of rows under a law of ndarrays."""
    return _as_module(law).deviations(torch.from_numpy(V)).numpy()


def conditional_noise(law, V, rng):
    """Return `JointNormal.draw` for rows under a law of ndarrays."""
    return _as_module(law).draw(torch.from_numpy(V), rng).numpy()


def _as_module(law):
    module = JointNormal(len(law[0])).double()
    for name, value in zip(("mean", "covariance"), law, strict=True):
        setattr(module, name, torch.tensor(value))
    return module
