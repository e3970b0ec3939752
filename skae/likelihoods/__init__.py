"""Laws of a row given its code: what a reconstruction error means in nats."""

from skae.likelihoods._base import Likelihood, Surrogate
from skae.likelihoods._bernoulli import Bernoulli
from skae.likelihoods._calibrated import Calibrated
from skae.likelihoods._categorical import Categorical
from skae.likelihoods._gaussian import Gaussian
from skae.likelihoods._laplace import Laplace
from skae.likelihoods._negative_binomial import NegativeBinomial
from skae.likelihoods._ordinal import Ordinal
from skae.likelihoods._per_column import PerColumn
from skae.likelihoods._poisson import Poisson

__all__ = [
    "Bernoulli",
    "Calibrated",
    "Categorical",
    "Gaussian",
    "Laplace",
    "Likelihood",
    "NegativeBinomial",
    "Ordinal",
    "PerColumn",
    "Poisson",
    "Surrogate",
]
