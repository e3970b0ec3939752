"""
Can noise be taken off digits?
==============================

An autoencoder that is shown noisy digits in training, and asked for the clean ones,
learns what digits look like under noise. It has never seen the digits that it restores
here.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from skae import AutoencoderTransformer
from skae.corruptions import GaussianNoise

X, y = load_digits(return_X_y=True)
X_train, X_test, _, y_test = train_test_split(X, y, test_size=1 / 3, random_state=0)

# %%
# A corruption is a part of the estimator, and can be called on rows to spoil them for a
# test. Pixels lie between 0 and 16.

noise = GaussianNoise(4.0)
noisy = noise(X_test, random_state=0)
denoiser = AutoencoderTransformer(
    32, corruption=noise, max_epochs=60, random_state=0
).fit(X_train)

# %%
# Beside it PCA of the clean digits, with the number of components that is best for the
# test digits.


def project(n_components):
    pca = PCA(n_components).fit(X_train)
    return pca.inverse_transform(pca.transform(noisy))


def error(rows):
    return np.square(rows - X_test).mean()


rows = {
    "clean": X_test,
    "noisy": noisy,
    "PCA": min(map(project, range(4, 33, 4)), key=error),
    "skae": denoiser.reconstruct(noisy),
}
for name in ("noisy", "PCA", "skae"):
    print(f"{name:>6}: mean squared error {error(rows[name]):5.2f}")

# %%
# One digit of each kind.

shown = [np.flatnonzero(y_test == digit)[1] for digit in range(10)]
figure, grid = plt.subplots(4, 10, figsize=(9, 4), layout="constrained")
for line, (name, images) in zip(grid, rows.items(), strict=True):
    for ax, image in zip(line, images[shown], strict=True):
        ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
    line[0].set_ylabel(name, rotation=0, ha="right", va="center")
