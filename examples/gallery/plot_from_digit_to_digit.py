"""
What lies between two digits?
=============================

Half of one image and half of another is no digit. Half of the way between their codes
is one, if the model has learned what digits are.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skae import VAETransformer

X, y = load_digits(return_X_y=True)
vae = VAETransformer(12, beta=0.5, max_epochs=60, random_state=0).fit(X)

# %%
# From each digit to the next one, in nine steps: through the pixels, and through the
# codes.

first = np.array([np.flatnonzero(y == digit)[0] for digit in range(10)])
start, end = X[first], X[np.roll(first, -1)]
share = np.linspace(0, 1, 9)[:, None]
through_pixels = (1 - share) * start[:, None] + share * end[:, None]
through_codes = vae.interpolate(start, end, n_steps=9)

# %%
# Left, the images fade into each other. Right, strokes bend, open and close.


def put_together(ways):
    """Return (rows, steps, 64) as one image, with a margin around each tile."""
    n_rows, n_steps, _ = ways.shape
    tiles = np.pad(
        ways.reshape(n_rows, n_steps, 8, 8), [(0, 0), (0, 0), (1, 1), (1, 1)]
    )
    return tiles.transpose(0, 2, 1, 3).reshape(10 * n_rows, 10 * n_steps)


figure, panels = plt.subplots(1, 2, figsize=(9, 5.2), layout="constrained")
ways = {"through the pixels": through_pixels, "through the codes": through_codes}
for ax, (name, images) in zip(panels, ways.items(), strict=True):
    ax.imshow(put_together(images), cmap="gray_r", vmin=0, vmax=16)
    ax.set(title=name, xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
