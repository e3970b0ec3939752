"""What a user says about the laws of columns."""

from skae._sklearn import ParameterHolder
from skae._storage import storable
from skae.likelihoods._base import Likelihood


@storable
class PerColumn(ParameterHolder):
    """A law for each column, for `likelihood=` and `loss=` of the estimators.

    Columns with categories have the law of categories whatever is said here.

    Parameters
    ----------
    laws : dict or None, default=None
        From names or positions of columns to their laws: a `Likelihood`, or a name that
        the estimator's parameter takes.
    rest : Likelihood, str or None, default=None
        The law of the other columns of numbers. None is the estimator's default.

    Examples
    --------
    >>> import numpy as np
    >>> from skae import VAETransformer
    >>> from skae.likelihoods import PerColumn, Poisson
    >>> random_state = np.random.RandomState(0)
    >>> X = np.column_stack([random_state.randn(90), random_state.poisson(3, 90)])
    >>> laws = PerColumn({1: Poisson()}, rest="gaussian")
    >>> vae = VAETransformer(1, likelihood=laws, max_epochs=1, random_state=0).fit(X)
    >>> bool((vae.sample(9, random_state=0)[:, 1] % 1 == 0).all())
    True
    """

    _parameter_constraints = {
        "laws": [dict, None],
        "rest": [str, Likelihood, None],
    }

    goes_by_column = True

    def __init__(self, laws=None, rest=None):
        self.laws = laws
        self.rest = rest
