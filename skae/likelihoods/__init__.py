"""Laws of a row given its code: what a reconstruction error means in nats."""

from skae.likelihoods._base import Likelihood, Surrogate
from skae.likelihoods._bernoulli import Bernoulli
from skae.likelihoods._calibrated import Calibrated
from skae.likelihoods._gaussian import Gaussian
from skae.likelihoods._laplace import Laplace
from skae.likelihoods._ordinal import Ordinal

__all__ = [
    "Bernoulli",
    "Calibrated",
    "Gaussian",
    "Laplace",
    "Likelihood",
    "Ordinal",
    "Surrogate",
]
