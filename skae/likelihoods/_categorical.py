"""Categories, on one logit each."""

import numpy as np

from skae._sklearn import Integral, Interval
from skae._storage import storable
from skae.likelihoods._base import Likelihood, Surrogate

# A category that no training row has would have a logit of minus infinity.
SMALLEST_PROBABILITY = 1e-4


@storable
class Categorical(Likelihood):
    """One of several categories, with probabilities by softmax: the cross-entropy.

    Rows are blocks of `n_categories` features, each block the one-hot code of a
    category, as `sklearn.preprocessing.OneHotEncoder` makes them. The decoder's output
    is the logits. The log-probability of a block is that of its category: it stands at
    the one of the block, and zeros cost nothing. Shares of categories that add up to 1
    are taken as well.

    Parameters
    ----------
    n_categories : int
        Features of a block.

    Examples
    --------
    >>> import torch
    >>> from skae.likelihoods import Categorical
    >>> X = torch.tensor([0.0, 1.0, 0.0, 0.0])
    >>> Categorical(4).log_prob(torch.zeros(4), X).sum().exp().item()
    0.25
    """

    _parameter_constraints = {
        "n_categories": [Interval(Integral, 1, None, closed="left")]
    }

    support = (0.0, 1.0)
    scalable = False

    def __init__(self, n_categories):
        self.n_categories = n_categories

    def log_prob(self, params, X):
        """Return X times the log-probabilities of the categories, in nats."""
        return self._blocks(params).log_softmax(dim=-1).flatten(-2) * X

    def backward(self, params, X, *, weight, out, parameters, gradients, known=None):
        """Return the operations from decoder outputs to the gradient by them."""
        import torch

        logits, rows = self._blocks(params), self._blocks(X)  # (K, n_rows, m, width)
        seen = None if known is None else self._blocks(known)
        log_probs, products = (logits.new_empty(logits.shape) for _ in range(2))
        factor = params.new_tensor(weight)

        def step():
            torch.log_softmax(logits, -1, out=log_probs)
            torch.mul(log_probs, rows, out=products)
            if seen is not None:
                products.mul_(seen)
            out.copy_(products.sum(dim=(1, 2, 3)).mul_(weight))
            torch.sub(rows, log_probs.exp_(), out=logits).mul_(factor)
            if seen is not None:
                logits.mul_(seen)

        return [step]

    def mean(self, params):
        """Return the probability of each category."""
        return self._blocks(params).softmax(dim=-1).flatten(-2)

    def sample(self, params, rng):
        """Return the one-hot code of one category for each block."""
        import torch

        # the largest logit with Gumbel noise: no sum of probabilities to round
        logits = self._blocks(params)
        noise = torch.empty_like(logits)
        noise.exponential_(generator=rng.generator(params.device))
        drawn = (logits - noise.log()).argmax(dim=-1, keepdim=True)
        return torch.zeros_like(logits).scatter_(-1, drawn, 1.0).flatten(-2)

    def surrogate(self, means):
        """Return the quadratic lower bound at the column means.

        The curvature of log softmax is at most 1/2 in any direction, so a normal law
        of variance 2 around `bias + 2 * (x - means)` bounds it from below and touches
        it at the bias [1]_.

        References
        ----------
        .. [1] D. Böhning, "Multinomial logistic regression algorithm", Annals of the
           Institute of Statistical Mathematics 44, 1992, doi:10.1007/BF00048682.
        """
        p = np.clip(means, SMALLEST_PROBABILITY, 1).reshape(-1, self.n_categories)
        bias = np.log(p) - np.log(p).mean(axis=1, keepdims=True)
        return Surrogate(bias=bias.ravel(), gain=2.0, noise_variance=2.0)

    def _blocks(self, tensor):
        return tensor.unflatten(-1, (-1, self.n_categories))
