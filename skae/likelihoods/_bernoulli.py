"""Bernoulli law on logits."""

from functools import partial

import numpy as np

from skae._storage import storable
from skae.likelihoods._base import Likelihood, Surrogate

# A column that is constant at 0 or 1 has an infinite logit.
SMALLEST_PROBABILITY = 1e-3


@storable
class Bernoulli(Likelihood):
    """Bernoulli law whose logits are the decoder's output: the cross-entropy.

    X must lie in [0, 1]; values between 0 and 1 count as probabilities, as is usual
    for grey images.

    Parameters
    ----------
    binarize : bool, default=False
        Whether training sees zeros and ones that are drawn with the values of X as
        their probabilities, anew in every batch: dynamic binarisation [1]_. Scores
        and codes are those of X as it is given.

    References
    ----------
    .. [1] R. Salakhutdinov, I. Murray, "On the Quantitative Analysis of Deep Belief
       Networks", ICML 2008, doi:10.1145/1390156.1390266.

    Examples
    --------
    >>> import torch
    >>> from skae.likelihoods import Bernoulli
    >>> round(Bernoulli().log_prob(torch.zeros(1), torch.ones(1)).item(), 4)
    -0.6931
    """

    _parameter_constraints = {"binarize": ["boolean"]}

    support = (0.0, 1.0)
    scalable = False

    def __init__(self, binarize=False):
        self.binarize = binarize

    def observe(self, X, rng):
        """Return zeros and ones drawn with probabilities X, or X itself."""
        return rng.bernoulli(X) if self.binarize else X

    def log_prob(self, params, X):
        """Return x log p + (1 - x) log(1 - p) with p = sigmoid(params), in nats."""
        from torch.nn.functional import softplus

        return X * params - softplus(params)

    def backward(self, params, X, *, weight, out, parameters, gradients, known=None):
        """Return the operations from decoder outputs to the gradient by them."""

        def set_log_prob():
            log_prob = self.log_prob(params, X)
            if known is not None:
                log_prob.mul_(known)
            out.copy_(log_prob.sum(dim=(1, 2)).mul_(weight))

        factor = params.new_tensor(weight)
        return [
            set_log_prob,
            params.sigmoid_,
            params.neg_,
            partial(params.add_, X),
            partial(params.mul_, factor),
            *([] if known is None else [partial(params.mul_, known)]),
        ]

    def mean(self, params):
        """Return the probability of a one."""
        return params.sigmoid()

    def sample(self, params, rng):
        """Return zeros and ones."""
        import torch

        uniform = torch.empty_like(params)
        uniform.uniform_(generator=rng.generator(params.device))
        return (uniform < params.sigmoid()).to(params.dtype)

    def surrogate(self, means):
        """Return the quadratic lower bound at the column means.

        The curvature of the Bernoulli log-likelihood in its logit is at most 1/4, so
        a normal law of variance 4 around `bias + 4 * (x - means)` bounds it from
        below and touches it at the bias [1]_. A linear start fitted to the bound can
        only raise the likelihood above that of the column means.

        References
        ----------
        .. [1] D. Böhning, "Multinomial logistic regression algorithm", Annals of the
           Institute of Statistical Mathematics 44, 1992, doi:10.1007/BF00048682.
        """
        p = np.clip(means, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
        return Surrogate(bias=np.log(p) - np.log1p(-p), gain=4.0, noise_variance=4.0)
