"""
How many numbers does a classifier of digits need?
==================================================

A digit of 8 x 8 pixels is 64 numbers. A reducer in a `Pipeline` leaves a few of them to
a linear classifier: PCA, or an autoencoder that starts at PCA and learns from there.
"""

from functools import partial

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=1 / 3, random_state=0
)

# %%
# The classifier sees nothing but the codes, of 2 to 16 numbers.

sizes = [2, 4, 8, 12, 16]
reducers = {
    "PCA": PCA,
    "AutoencoderTransformer": partial(
        AutoencoderTransformer, max_epochs=40, random_state=0
    ),
}
accuracy = {}
for name, reducer in reducers.items():
    for size in sizes:
        model = make_pipeline(
            reducer(size), StandardScaler(), LogisticRegression(max_iter=1000)
        )
        model.fit(X_train, y_train)
        accuracy[name, size] = model.score(X_test, y_test)

# %%
# Where the code is narrow, the autoencoder's tells more: its 4 numbers are worth about
# 12 of PCA's. With 16 numbers, a quarter of the pixels, either has all that a linear
# classifier needs.

figure, ax = plt.subplots(figsize=(6.4, 4), layout="constrained")
for name, color in zip(reducers, ("tab:gray", "tab:blue"), strict=True):
    values = [accuracy[name, size] for size in sizes]
    ax.plot(sizes, values, "o-", color=color)
    ax.annotate(
        name, (sizes[0], values[0]), (10, -4), textcoords="offset points", color=color
    )
ax.set(
    xlabel="numbers in the code",
    ylabel="accuracy on held-out digits",
    title="A linear classifier on the codes of digits",
    xticks=sizes,
)
ax.spines[["top", "right"]].set_visible(False)
