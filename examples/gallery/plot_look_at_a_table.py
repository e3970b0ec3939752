"""
What has the model learned of a table?
======================================

The same pictures for rows of a table: what comes back of a wine, what a component of
the code does to its measurements, whether new wines are like real ones, and which
measurements make a wine strange.
"""

from sklearn.datasets import load_wine

from skae import AutoencoderOutlierDetector, AutoencoderTransformer, VAETransformer
from skae.inspection import (
    AnomalyDisplay,
    LatentTraversalDisplay,
    ReconstructionDisplay,
    SampleDisplay,
)

X, grower = load_wine(return_X_y=True, as_frame=True)
vae = VAETransformer(3, max_epochs=100, random_state=0).fit(X)

# %%
# Wines before and after three numbers, in standard deviations of each measurement.

_ = ReconstructionDisplay.from_estimator(vae, X, n_rows=5)

# %%
# What each of the three numbers stands for: how measurements change along it.

_ = LatentTraversalDisplay.from_estimator(vae)

# %%
# Wines that never were, and real ones behind them.

_ = SampleDisplay.from_estimator(vae, X, random_state=0)

# %%
# A detector that knows the first grower alone looks at all wines: how strange they are,
# and by which measurements.

ae = AutoencoderTransformer(4, max_epochs=100)
detector = AutoencoderOutlierDetector(ae, random_state=0).fit(X[grower == 0])
_ = AnomalyDisplay.from_estimator(detector, X)
