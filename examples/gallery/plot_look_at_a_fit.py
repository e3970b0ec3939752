"""
What has the VAE learned?
=========================

Pictures to look at after a fit, before any number: losses, codes, digits before and
after, digits along a component, and digits that never were.
"""

from sklearn.datasets import load_digits

from skae import VAETransformer
from skae.inspection import (
    ActiveUnitsDisplay,
    LatentSpaceDisplay,
    LatentTraversalDisplay,
    LossCurveDisplay,
    ReconstructionDisplay,
    SampleDisplay,
)

X, digit = load_digits(return_X_y=True)
train, test = X[:1200], X[1200:]
vae = VAETransformer(
    8, image_shape=(1, 8, 8), architecture="mlp", max_epochs=60, random_state=0
).fit(train)

# %%
# Did training go well? The loss on held-out rows has a lowest point, and the weights of
# that epoch are kept.

_ = LossCurveDisplay.from_estimator(vae, terms="all")

# %%
# In words: what is wrong, if anything is.

print(vae.diagnose(test))

# %%
# Is every component used?

_ = ActiveUnitsDisplay.from_estimator(vae, test)

# %%
# What comes back of digits that the model has not seen? Below each pair, the
# difference: nothing is white.

_ = ReconstructionDisplay.from_estimator(vae, test, n_rows=10)

# %%
# Where are the digits among the codes? Eight components do not fit on paper: here are
# the two axes along which codes differ most.

_ = LatentSpaceDisplay.from_estimator(vae, test, digit[1200:])

# %%
# What does a component do? A digit 3, while one component changes and the others stay.

_ = LatentTraversalDisplay.from_estimator(vae, test[digit[1200:] == 3][:1], span=3.0)

# %%
# Digits that never were, decoded from codes like those of training rows, beside real
# ones.

_ = SampleDisplay.from_estimator(vae, test, density="mixture", random_state=0)
