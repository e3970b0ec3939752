"""The contract of a corruption."""

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np

from skae._random import Rng, draw_seed
from skae._sklearn import ParameterHolder
from skae._validation import check_rows


class Frame(NamedTuple):
    """What a corruption may know of the rows beside the rows themselves.

    Parameters
    ----------
    image_shape : tuple of int or None
        (channels, height, width) of the image in a row.
    center, scale : Tensor of shape (n_features,)
        Mean of each column, and what the estimator's scaling divides it by.
    columns : Tensor of int of shape (n_features,) or None, default=None
        Of a table with categories: which column of X each entry belongs to, because a
        column of categories is an entry for each. None if they are the columns.
    """

    image_shape: tuple[int, int, int] | None
    center: object
    scale: object
    columns: object = None


class Corruption(ParameterHolder, ABC):
    """Base class of what spoils the rows that an autoencoder is to restore.

    A corruption holds parameters of the user's and no state. In training the encoder
    sees corrupted rows, anew at every step, while the loss compares with the clean
    ones [1]_. A corruption can also be called, to spoil rows for a test or a picture.

    References
    ----------
    .. [1] P. Vincent, H. Larochelle, Y. Bengio, P.-A. Manzagol, "Extracting and
       Composing Robust Features with Denoising Autoencoders", ICML 2008,
       doi:10.1145/1390156.1390294.
    """

    _parameter_constraints = {}

    #: Whether rows must be images.
    needs_image = False

    #: Whether values that are not missing afterwards are as they were.
    keeps_known = False

    @abstractmethod
    def corrupt(self, X, rng, frame):
        """Return corrupted rows.

        Parameters
        ----------
        X : Tensor of shape (n_rows, n_features)
            Rows in the units of the user; not to be changed.
        rng : Rng
            Source of all randomness.
        frame : Frame
            Shape of the images, center and scale of the columns.

        Returns
        -------
        Tensor like X
        """

    def check_image(self, image_shape):
        """Raise ValueError unless images of this shape can be corrupted.

        Parameters
        ----------
        image_shape : tuple of int or None
            (channels, height, width), or None if rows are not images.
        """
        if self.needs_image and image_shape is None:
            raise ValueError(
                f"{self!r} corrupts images, but image_shape=None; pass "
                "image_shape=(channels, height, width) of the image in a row"
            )

    def __call__(self, X, *, image_shape=None, random_state=None):
        """Return corrupted rows of an array.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, *image_shape)
            Rows.
        image_shape : tuple of int or None, default=None
            (channels, height, width) of the image in a row; known from an X of four
            dimensions.
        random_state : int, RandomState or None, default=None
            Source of the randomness.

        Returns
        -------
        ndarray like X
            Floats: of the dtype of X, or float64.
        """
        import torch

        self._validate_params()
        shape = np.shape(X)
        if image_shape is None and len(shape) == 4:
            image_shape = shape[1:]
        self.check_image(image_shape)
        rows = check_rows(X, estimator=self, image_shape=image_shape)
        if rows.dtype != np.float32:
            rows = rows.astype(np.float64)
        frame = Frame(image_shape, *map(torch.from_numpy, center_and_scale(rows)))
        rng = Rng(draw_seed(random_state))
        return self.corrupt(torch.tensor(rows), rng, frame).numpy().reshape(shape)


def center_and_scale(rows):
    """Return mean and standard deviation of the columns, 1 for a constant one."""
    std = rows.std(axis=0)
    return rows.mean(axis=0), np.where(std > 0, std, 1.0).astype(rows.dtype)
