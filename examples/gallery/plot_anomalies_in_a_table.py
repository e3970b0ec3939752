"""
Which wines are not of this kind, and why?
==========================================

A detector that knows wines of one grower only looks at those of two others. It has a
p-value for each wine, and says which of the thirteen measurements make it strange.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split

from skae import AutoencoderOutlierDetector, AutoencoderTransformer

X, grower = load_wine(return_X_y=True, as_frame=True)
known, unseen = train_test_split(X[grower == 0], test_size=0.3, random_state=0)
wines = {"the same": unseen, "second grower": X[grower == 1], "third": X[grower == 2]}

# %%
# The detector around a small autoencoder, which is quick. Left out, the estimator is a
# larger one, and nearest neighbours beside it.

ae = AutoencoderTransformer(4, max_epochs=100)
detector = AutoencoderOutlierDetector(ae, random_state=0).fit(known)
for name, rows in wines.items():
    share = (detector.predict(rows) == -1).mean()
    print(f"{name}: {share:.0%} are outliers")

# %%
# Above, how strange the wines are; the line is the threshold. Below, the share that
# each measurement has in that: red where it is higher than expected, blue where it is
# lower. Another grower's wines are strange for reasons that they have in common.

strangeness = [-detector.score_samples(rows) for rows in wines.values()]
parts = np.vstack([detector.explain(rows) for rows in wines.values()])
ends = np.cumsum([len(rows) for rows in wines.values()])

figure, (above, below) = plt.subplots(
    2, 1, figsize=(8, 6.5), sharex=True, height_ratios=[1, 2], layout="constrained"
)
above.axhline(-detector.offset_, color="black", linewidth=0.8)
for name, end, values in zip(wines, ends, strangeness, strict=True):
    place = np.arange(end - len(values), end)
    above.plot(place, values, ".")
    above.text(place.mean(), max(map(max, strangeness)) + 0.5, name, ha="center")
above.set(ylabel="strangeness")
above.spines[["top", "right"]].set_visible(False)

image = below.imshow(parts.T, aspect="auto", cmap="RdBu_r", vmin=-0.4, vmax=0.4)
below.set(yticks=range(X.shape[1]), yticklabels=X.columns, xlabel="wine")
for end in ends[:-1]:
    below.axvline(end - 0.5, color="black", linewidth=0.8)
figure.colorbar(image, ax=below, label="part of the strangeness")
