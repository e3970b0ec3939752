"""Principal axes of rows in network space, by the cheapest way that is exact enough."""

from functools import partial
from typing import NamedTuple

import numpy as np
import scipy.linalg

from skae._modules._table import Table

# The rounding of one number, and of what many numbers add up to, as shares.
EPS, ROUNDING = np.finfo(np.float64).eps, 1e-13

# Up to this many rows or columns, their matrix of products is formed and decomposed.
LARGEST_MATRIX = 1024

# Axes are few when they are at most this share of all; float32 and a search for them
# alone pay off from this many rows and columns on.
FEW, WIDE = 1 / 4, 512

# Products in float32 resolve noise (discarded variance per axis) above this share of
# the largest eigenvalue.
FLOAT32_RESOLVES = 1e-6

# Block Krylov: columns per step at least, and the most that a block may overlap with
# those before it.
BLOCK, OVERLAP = 32, 1e-10

# Its last step gains less than so many nats of log-likelihood a row.
TOLERANCE = 1e-3

# A row is in the plane through others if more of its weight, as a share, is not in
# the range of the inner products.
IN_PLANE = 1e-6

# Entries of an axis that differ by less, as a share, are equal but for rounding.
TIE = 1e-6


class PrincipalAxes(NamedTuple):
    """The leading principal axes of rows in network space.

    None lies beyond the rank of the rows, where the direction would be chance.
    """

    mean: np.ndarray  # (n_features,)
    eigenvalues: np.ndarray  # (n_axes,), descending, of the covariance divided by n
    components: np.ndarray  # (n_axes, n_features), orthonormal rows
    total_variance: float  # sum of all eigenvalues
    n_rows: int
    left_out_variance: float  # mean squared distance of a row from the plane through
    # the others; 0 where there are more rows than columns, or axes beyond these

    def n_components_for(self, share):
        """Return the fewest axes that explain `share` of the variance, at least 1."""
        explained = np.cumsum(self.eigenvalues)
        return 1 + int(np.searchsorted(explained[:-1], share * self.total_variance))

    @property
    def bessel(self):
        """The factor from variances divided by n to those divided by n - 1."""
        return self.n_rows / max(self.n_rows - 1, 1)

    def padded(self, n_components):
        """Return eigenvalues and components for exactly `n_components` axes.

        Axes beyond the ones that exist have eigenvalue and component zero.
        """
        eigenvalues = np.zeros(n_components)
        components = np.zeros((n_components, len(self.mean)))
        n_axes = min(n_components, len(self.eigenvalues))
        eigenvalues[:n_axes] = self.eigenvalues[:n_axes]
        components[:n_axes] = self.components[:n_axes]
        return eigenvalues, components

    def left_out_by(self, n_components):
        """Return the mean squared distance of a new row from the plane of these axes.

        With all axes of no more rows than columns it is that of a left-out row: the
        rows themselves are in their plane, and others are not. Else it is 0, and the
        discarded variance tells.
        """
        return self.left_out_variance * (n_components >= len(self.eigenvalues))


def principal_axes(X, rows, scaler, *, n_axes=None, seed=0):
    """Return the principal axes of the given rows of X in network space.

    Of n rows and d columns, the covariance matrix (d, d) or the matrix of the rows'
    inner products (n, n) is decomposed, whichever is smaller. If both are large and
    few axes are needed, block Krylov iterations find them without either.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Rows in the user's units.
    rows : ndarray of int or None
        Which rows to use; None for all.
    scaler : Scaler
        The way to network space.
    n_axes : int or None, default=None
        How many axes are needed at most; None for all of them.
    seed : int, default=0
        Seed of the block Krylov iterations.

    Returns
    -------
    PrincipalAxes
        With `n_axes` axes, or as many as the rank of the rows if that is less. The
        log-likelihood of probabilistic PCA on them is its maximum, to 1e-3 nats a row.
    """
    table = Table(X, rows, scaler)
    n_rows, n_features = table.shape
    if table.unit == 0:
        none = np.empty((0, n_features))
        return PrincipalAxes(table.mean, np.empty(0), none, 0.0, n_rows, 0.0)
    narrow = min(table.shape)
    n_axes = narrow if n_axes is None else min(n_axes, narrow)
    few = narrow >= WIDE and n_axes <= FEW * narrow
    if few and narrow > LARGEST_MATRIX:
        solve = partial(_by_block_krylov, seed=seed)
    elif n_features < n_rows:
        solve = _from_covariance
    else:
        solve = _from_inner_products
    for dtype in (np.float32, np.float64) if few else (np.float64,):
        eigenvalues, vectors, total, left_out = solve(table, n_axes, dtype)
        noise = (total - eigenvalues.sum()) / (n_features - len(eigenvalues) or 1)
        if _resolves(dtype, noise, eigenvalues):
            break
    components = _tidy(vectors.T, table.varies)
    unit = table.unit**2
    return PrincipalAxes(
        table.mean,
        unit * eigenvalues,
        components,
        float(unit * total),
        n_rows,
        float(unit * left_out),
    )


def _resolves(dtype, noise, eigenvalues):
    """Return whether rounding in products of `dtype` is small beside the noise."""
    return dtype == np.float64 or noise > FLOAT32_RESOLVES * eigenvalues.max()


def _from_covariance(table, n_axes, dtype):
    n_rows, width = table.shape
    products = np.zeros((width, width))
    for U in table.row_chunks(dtype, min_rows=width):
        products += U.T @ U
    eigenvalues, vectors = _leading_eigenpairs(products / n_rows, n_axes)
    return eigenvalues, vectors, np.trace(products) / n_rows, 0.0


def _from_inner_products(table, n_axes, dtype):
    n_rows, width = table.shape
    products = np.zeros((n_rows, n_rows))
    for _, U in table.column_blocks(dtype):
        products += U @ U.T
    eigenvalues, scores = _leading_eigenpairs(products / n_rows, n_axes)
    vectors = np.empty((width, len(eigenvalues)))
    for part, U in table.column_blocks(dtype):
        vectors[part] = U.T @ scores
    vectors /= np.linalg.norm(vectors, axis=0)
    # orthonormal but for rounding, which is large beside the smallest eigenvalues
    triangle = scipy.linalg.cholesky(vectors.T @ vectors)
    vectors = scipy.linalg.solve_triangular(triangle, vectors.T, trans="T").T
    total, left_out = np.trace(products) / n_rows, 0.0
    if total - eigenvalues.sum() <= n_rows * ROUNDING * total:
        left_out = np.mean(_left_out_squares(eigenvalues, scores))
    return eigenvalues, vectors, total, left_out


def _left_out_squares(eigenvalues, scores):
    """Return the squared distance of every row from the plane through the others.

    A point of that plane is a combination of the others with weights that add up to
    1. So the squared distance is the least w' G w, where G are the inner products of
    the centred rows, with w_i = 1 and weights that add up to 0. It is 1 / (G^+)_ii
    [1]_, or 0 where row i is in the plane: where weights w' G w = 0 fulfil the two.

    Parameters
    ----------
    eigenvalues : ndarray of shape (n_axes,)
        All positive eigenvalues of G / n_rows.
    scores : ndarray of shape (n_rows, n_axes)
        Their vectors.

    References
    ----------
    .. [1] S. Sundararajan, S. Keerthi, "Predictive Approaches for Choosing
       Hyperparameters in Gaussian Processes", Neural Computation 13, 2001,
       doi:10.1162/08997660151134343: the variance of a left-out row, of which the
       features are draws from a Gaussian process with covariance G.
    """
    n_rows = len(scores)
    inverse = np.square(scores) @ (1 / eigenvalues) / n_rows  # diagonal of G^+
    # of e_i, in the range of G and in the constant weights that centring takes from it
    share = np.square(scores).sum(axis=1) + 1 / n_rows
    return np.where(share > 1 - IN_PLANE, 1 / np.maximum(inverse, EPS), 0.0)


def _by_block_krylov(table, n_axes, dtype, *, seed):
    """Return the leading eigenpairs by products with blocks of vectors alone.

    A random block's Krylov space [1]_ grows until the variance on its axes does not.
    A smaller block takes more passes over X and fewer operations.

    References
    ----------
    .. [1] C. Musco, C. Musco, "Randomized Block Krylov Methods for Stronger and
       Faster Approximate Singular Value Decomposition", NeurIPS 2015,
       arXiv:1504.05477.
    """
    n_rows, width = table.shape
    chunks = table.repeated_chunks(dtype)
    total = sum(np.einsum("ij,ij", U, U, dtype=np.float64) for U in chunks()) / n_rows
    draw = partial(_random_block, np.random.RandomState(seed), table.varies)
    block = draw(max(BLOCK, n_axes // 2))
    basis, projected = np.empty((width, 0)), np.empty((0, 0))
    eigenvalues, room = None, min(n_rows, table.varies.sum())
    while room > 0:
        block = _orthonormal(block[:, :room])
        overlap = basis.T @ block  # large if rounding is all that was left of a block
        if np.abs(overlap).max(initial=0.0) > OVERLAP:
            block = _orthonormal(block - basis @ overlap)
        basis = np.hstack([basis, block])  # (width, n_basis)
        image = _covariance_times(block.astype(dtype), chunks()) / n_rows
        new = basis.T @ image
        projected = _bordered(projected, new)  # (n_basis, n_basis)
        room -= block.shape[1]
        # the draw matters where nothing else is left of a block
        block = image - basis @ new + EPS * total * draw(block.shape[1])
        if len(projected) < n_axes:
            continue
        before, eigenvalues = eigenvalues, np.linalg.eigvalsh(projected)[-n_axes:]
        left = total - eigenvalues.sum()
        if not _resolves(dtype, left / (width - n_axes), eigenvalues):
            break
        gain = np.inf if before is None else eigenvalues.sum() - before.sum()
        enough = 2 * TOLERANCE * left / (width - n_axes)
        if gain < max(enough, ROUNDING * total):
            break
    eigenvalues, vectors = _leading_eigenpairs(projected, n_axes)
    return eigenvalues, basis @ vectors, total, 0.0


def _random_block(random_state, varies, n_columns):
    block = random_state.uniform(-1, 1, size=(len(varies), n_columns))
    block[~varies] = 0.0
    return block


def _covariance_times(block, chunks):
    """Return U' U times the block, summed in float64, for rows U in chunks."""
    image = np.zeros(block.shape)
    for U in chunks:
        image += U.T @ (U @ block)
    return image


def _bordered(matrix, columns):
    """Return the symmetric matrix that goes on from `matrix` with new columns."""
    n_old = len(matrix)
    return np.block([[matrix, columns[:n_old]], [columns[:n_old].T, columns[n_old:]]])


def _leading_eigenpairs(matrix, n_axes):
    """Return the largest eigenvalues, descending, and their vectors, within the rank.

    What is rounding beside the largest eigenvalue is left out.
    """
    width = len(matrix)
    if width < WIDE or n_axes > FEW * width:
        eigenvalues, vectors = np.linalg.eigh(matrix)
    else:
        wanted = [width - n_axes, width - 1]
        eigenvalues, vectors = scipy.linalg.eigh(matrix, subset_by_index=wanted)
    eigenvalues, vectors = eigenvalues[::-1][:n_axes], vectors[:, ::-1][:, :n_axes]
    is_real = eigenvalues > ROUNDING * eigenvalues[0]
    return eigenvalues[is_real], vectors[:, is_real]


def _orthonormal(vectors):
    return np.linalg.qr(vectors)[0]


def _tidy(components, varies):
    """Return the axes without what is chance in them.

    Their largest entry is positive, the first of them if rounding alone makes one of
    several larger, so that they do not flip; and a column that does not vary has
    weight zero: adaptive steps would blow a weight of 1e-17 up.
    """
    components = np.where(varies, components, 0.0)
    sizes = np.abs(components)
    is_largest = sizes >= (1 - TIE) * sizes.max(axis=1, keepdims=True)
    largest = is_largest.argmax(axis=1)
    return components * np.sign(components[np.arange(len(components)), largest, None])
