"""The network of an autoencoder: scaler, encoder, decoder, likelihood."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from skae._modules._layout import Layout
from skae._modules._linear_path import LinearPath
from skae._modules._scaler import Scaler
from skae._random import Rng
from skae.corruptions import Frame

# Of the linear start, until it is no worse than the column means.
SHARES = (1.0, 0.5, 0.25, 0.125, 0.0625, 2**-6, 2**-8)


class AutoencoderOutput(NamedTuple):
    """What a forward pass returns."""

    Z: Tensor  # (n_rows, n_components), codes
    params: Tensor  # (n_rows, n_features), decoder output before the likelihood


class AutoencoderModule(nn.Module):
    """Encoder and decoder around a code, and the loss between row and reconstruction.

    `forward` and `loss` work in network space and train; `transform`,
    `inverse_transform` and the like take and return the units of X and are for
    inference, in evaluation mode.

    Parameters
    ----------
    n_features, n_components : int
        Widths of a row in network space and of its code.
    architecture : Architecture
        Builds the networks beside the linear paths.
    likelihood : Likelihood
        The law of a row given the decoder's output.
    rng : Rng
        Source of the weights and of all noise in training; part of the module's
        state.
    corruption : Corruption or None, default=None
        What spoils the rows that are encoded in training.
    image_shape : tuple of int or None, default=None
        (channels, height, width) of the image in a row.
    """

    #: Names of the loss terms that `loss` returns beside the loss.
    terms = ("reconstruction",)

    #: Whether the first components of a code are a code.
    has_prefixes = False

    #: Encoder outputs per component.
    n_outputs_per_component = 1

    def __init__(
        self,
        *,
        n_features,
        n_components,
        architecture,
        likelihood,
        rng,
        corruption=None,
        image_shape=None,
    ):
        super().__init__()
        self.n_features = n_features
        self.n_components = n_components
        self.architecture = architecture
        self.likelihood = likelihood
        self.rng = rng
        self.corruption = corruption
        self.image_shape = image_shape

        self.layout = Layout.of(likelihood)
        self.scaler = Scaler(n_features)
        self._build_networks()
        self.likelihood_parameters = nn.ParameterDict()
        self._start_likelihood(noise_variance=1.0)

    def _build_networks(self):
        n_features, n_components, rng = self.n_features, self.n_components, self.rng
        n_codes = self.n_outputs_per_component * n_components
        encoder = self.architecture.build_encoder(n_features, n_codes, rng)
        decoder = self.architecture.build_decoder(n_components, n_features, rng)
        self.encoder = LinearPath(n_features, n_codes, encoder, rng)
        self.decoder = LinearPath(n_components, n_features, decoder, rng)

    def settings(self):
        """Return the arguments that rebuild this module, but for the weights."""
        return {
            "n_features": self.n_features,
            "n_components": self.n_components,
            "architecture": self.architecture,
            "likelihood": self.likelihood,
            "corruption": self.corruption,
            "image_shape": self.image_shape,
        }

    @property
    def dtype(self):
        """The dtype of the weights."""
        return next(self.encoder.parameters()).dtype

    @property
    def n_operations(self):
        """Multiplications, and as many additions, for a row there and back."""
        return sum(p.footprint.n_operations for p in (self.encoder, self.decoder))

    @property
    def widest_layer(self):
        """How many numbers of a row the widest layer has."""
        return max(p.footprint.widest for p in (self.encoder, self.decoder))

    def set_scaler(self, scaler):
        """Set what takes rows to network space."""
        self.scaler = scaler

    # -- the start -------------------------------------------------------------

    def start_at_pca(self, axes):
        """Make the network PCA on the given `PrincipalAxes`."""
        _, components = axes.padded(self.n_components)
        surrogate = self.likelihood.surrogate(axes.mean)
        self.encoder.start_at(components, -components @ axes.mean)
        self.decoder.start_at(surrogate.gain * components.T, surrogate.bias)
        discarded = axes.total_variance - axes.eigenvalues[: self.n_components].sum()
        left_out = axes.left_out_by(self.n_components)
        self._start_likelihood(max(discarded, left_out, 0.0) / self.n_features)

    def start_at_mixed(self, start):
        """Make the network PCA of rows whose columns have laws, by a `MixedStart`."""
        axes = start.axes
        _, components = axes.padded(self.n_components)
        self.encoder.start_at(components * start.weights, -components @ axes.mean)
        self.decoder.start_at(start.deviations[:, None] * components.T, start.bias)
        self._start_likelihood(start.deviations**2)

    def shrink_start(self, U, known):
        """Halve what the decoder makes of codes until it is no worse than the means.

        The surrogate of a law may have less curvature than the law.

        Parameters
        ----------
        U, known : Tensor of shape (n_rows, n_features), Tensor or None
            Rows in network space, as `loss` takes them.
        """
        weight = self.decoder.linear.weight
        kept = weight.detach().clone()
        with torch.no_grad():
            weight.zero_()
            of_means = self._loss_at_start(U, known)[1]["reconstruction"]
            for share in SHARES:
                weight.copy_(share * kept)
                if self._loss_at_start(U, known)[0] <= of_means:
                    break
        self.train()

    def _loss_at_start(self, U, known):
        return self.loss(self.eval()(U, Rng(0)), U, known)  # the same noise each time

    def _start_likelihood(self, noise_variance):
        for name, value in self.likelihood.initial_parameters(noise_variance).items():
            start = torch.as_tensor(value, dtype=torch.get_default_dtype())
            if name in self.likelihood.per_feature:
                start = start.expand(self.n_features)
            # a clone would import half of torch on the meta device
            own = torch.empty(start.shape, dtype=start.dtype).copy_(start)
            self.likelihood_parameters[name] = nn.Parameter(own)

    # -- training, in network space --------------------------------------------

    def set_objective(self, *, corruption=None):
        """Set the parameters of the loss."""
        self.corruption = corruption

    def set_warmup(self, share):
        """Set the share, from 0 to 1, of the terms that training phases in: none."""

    def schedule(self):
        """Return what is in force now and belongs in the history, by name."""
        return {}

    def corrupt(self, U, rng, known=None):
        """Return what is encoded in training for rows U in network space.

        Rows have no holes; those that a corruption makes are filled. `known` says which
        entries of U had been none, None if all.
        """
        if self.corruption is None:
            return U
        X = self._corrupt_rows(U, rng)
        return self.scaler.fill_holes(self.scaler(X, U.dtype))[0]

    def _corrupt_rows(self, U, rng):
        """Return corrupted rows in the units of X."""
        center = self.scaler.inverse(self.scaler.fill)  # the column means
        columns = None if self.layout is None else self.layout.columns
        frame = Frame(self.image_shape, center, self.scaler.scale, columns)
        return self.corruption.corrupt(self.scaler.inverse(U), rng, frame)

    def encode(self, U):
        """Return the codes of rows in network space."""
        return self.encoder(U)

    def forward(self, U, rng=None):
        """Return the `AutoencoderOutput` of rows in network space."""
        Z = self.encode(U)
        return AutoencoderOutput(Z, self.decoder(Z))

    def loss(self, output, U, known=None):
        """Return the mean loss and its terms, in nats per row.

        Parameters
        ----------
        output : AutoencoderOutput
            What `forward` returned.
        U : Tensor of shape (n_rows, n_features)
            The rows to reconstruct, in network space, their holes filled.
        known : Tensor like U or None, default=None
            1 where a value is known, 0 in holes, which cost nothing; None if there
            are none.

        Returns
        -------
        loss : Tensor of shape ()
        terms : dict of str to Tensor of shape ()
            Detached, one for each name in `self.terms`.
        """
        reconstruction = -self.log_prob(output.params, U, known).mean()
        return reconstruction, {"reconstruction": reconstruction.detach()}

    def log_prob(self, params, U, known=None):
        """Return log p(u | z) of rows, in nats, summed over known features.

        Given the code features are independent, so that is the marginal law of the
        known ones.
        """
        log_prob = self.likelihood.log_prob(params, U, **self.likelihood_parameters)
        if known is not None:
            log_prob = log_prob * known
        return log_prob.sum(dim=-1)  # (..., n_rows)

    # -- inference, in the units of X ------------------------------------------

    def to_network_space(self, X, *, exact=False):
        """Return rows in the units of X as rows of the network, see `Scaler`."""
        if self.layout is not None:
            X = self.layout.expand(X)
        return self.scaler(X, self.dtype, exact=exact)

    def from_network_space(self, U):
        """Return rows of the network in the units of X; of categories, positions."""
        X = self.scaler.inverse(U)
        return X if self.layout is None else self.layout.collapse(X)

    def open_rows(self, X):
        """Return rows X in network space, holes filled, and which entries are known.

        The latter is None for rows without holes.
        """
        U = self.to_network_space(X)
        # a sum is the fastest way to tell; infinities have been refused
        return self.scaler.fill_holes(U) if U.sum().isnan() else (U, None)

    def transform(self, X):
        """Return the codes of rows X."""
        U, _ = self.open_rows(X)
        return self.encode(U)

    def inverse_transform(self, Z):
        """Return the mean rows of codes Z, in the units of X."""
        return self.from_network_space(self._mean(self.decoder(Z)))

    def category_probabilities(self, X):
        """Return the entries (n_rows, n_features) of the means: probabilities."""
        return self.scaler.inverse(self._mean(self.decoder(self.transform(X))))

    def reconstruct(self, X):
        """Return what is left of rows X after encoding and decoding."""
        return self.inverse_transform(self.transform(X))

    def rescaled_errors(self, X):
        """Return every entry's squared reconstruction error in network space.

        It is 0 where the value is missing. Of a category it is that of its
        probabilities, summed.
        """
        U, known = self.open_rows(X)
        errors = (U - self._mean(self.decoder(self.encode(U)))).square()
        errors = errors if known is None else errors * known
        return errors if self.layout is None else self.layout.sum_columns(errors)

    def reconstruction_losses(self, X):
        """Return the reconstruction loss of each row at its code, as in training."""
        U, known = self.open_rows(X)
        return -self.log_prob(self.decoder(self.encode(U)), U, known)

    def _mean(self, params):
        """Return the mean rows of decoder outputs, in network space."""
        names = self.likelihood.mean_parameters
        learned = {name: self.likelihood_parameters[name] for name in names}
        return self.likelihood.mean(params, **learned)
