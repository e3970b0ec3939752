"""A fully connected network from rows with holes to whole rows."""

from skae._storage import storable
from skae.architectures._mlp import MLP


@storable
class RestoringMLP(MLP):
    """Fully connected layers from a row with holes to the whole row, without a code.

    A hole is filled with its mean given what is known of the row, by a joint normal
    law of all columns that is fitted to the rows of `fit` first. The network is shown
    the filled row and where its holes are, and learns what to add: training starts
    from the best linear answer. Values that are known stay what they are, unless a
    corruption other than `Masking(fill="missing")` may have changed them.

    Of a table with categories the law is that of entries that say whether a column has
    a category, and its mean a probability. The network is shown numbers in steps, too,
    and a linear map runs beside it.

    Trained with that corruption, a row without holes is restored as it is, and scores
    as if nothing had been lost. For tables of up to a few hundred columns: each row
    has a system of linear equations to solve.

    Parameters
    ----------
    hidden_layer_sizes : tuple of int, default=(256, 256)
        Widths of the hidden layers.
    activation, normalization : str
        As for `MLP`.
    dropout : float, default=0.3
        As for `MLP`.

    Examples
    --------
    >>> from skae import AutoencoderTransformer
    >>> from skae.architectures import RestoringMLP
    >>> from skae.corruptions import Masking
    >>> restorer = AutoencoderTransformer(
    ...     architecture=RestoringMLP((64,)),
    ...     corruption=Masking("random", fill="missing"),
    ... )
    """

    has_bottleneck = False
    is_shown_holes = True

    def __init__(
        self,
        hidden_layer_sizes=(256, 256),
        *,
        activation="gelu",
        normalization=None,
        dropout=0.3,
    ):
        super().__init__(
            hidden_layer_sizes,
            activation=activation,
            normalization=normalization,
            dropout=dropout,
        )

    def build_restorer(self, n_features, rng, n_more=0):
        """Return the network that says what to add to filled rows."""
        sizes, n_inputs = tuple(self.hidden_layer_sizes), 3 * n_features + n_more
        return self._build(n_inputs, sizes, n_features, rng)
