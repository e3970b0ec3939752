"""
Anomalies in a table: found, ranked, and explained
==================================================

The usual rows are measurements of cells of 300 benign tumours. New ones are 57 benign
and 40 malignant, and the detector has never seen a malignant one. It ranks the new
rows, says which measurements make each of them strange and in which direction, and
holds the share of false alarms among all alarms below a tenth on average.

Run it with ``python examples/anomalies.py``.
"""

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import average_precision_score, roc_auc_score

from skae import AutoencoderOutlierDetector

N_USUAL, N_MALIGNANT, N_SHOWN, N_REASONS = 300, 40, 10, 3


def load():
    """Return usual rows, new rows, and which of these are malignant."""
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    benign, malignant = X[y == 1], X[y == 0].iloc[:N_MALIGNANT]
    usual, others = benign.iloc[:N_USUAL], benign.iloc[N_USUAL:]
    new = X.loc[[*others.index, *malignant.index]]
    return usual, new, np.isin(new.index, malignant.index)


def reasons(parts):
    """Return the largest parts of a row's strangeness, in words."""
    largest = parts.abs().nlargest(N_REASONS).index
    return ", ".join(
        f"{name} {'high' if parts[name] > 0 else 'low'} ({abs(parts[name]):.0%})"
        for name in largest
    )


def main():
    usual, new, is_malignant = load()
    detector = AutoencoderOutlierDetector(random_state=0).fit(usual)
    strangeness = -detector.score_samples(new)
    p_values, parts = detector.p_values(new), detector.explain(new)
    print("| row | strangeness | p-value | malignant | because |")
    print("| --- | --- | --- | --- | --- |")
    for i in np.argsort(-strangeness)[:N_SHOWN]:
        print(
            f"| {new.index[i]} | {strangeness[i]:.1f} | {p_values[i]:.3f} "
            f"| {'yes' if is_malignant[i] else 'no'} | {reasons(parts.iloc[i])} |"
        )
    selected = detector.select_outliers(new, fdr=0.1)
    print(
        f"\narea under the ROC curve {roc_auc_score(is_malignant, strangeness):.3f}, "
        "average precision "
        f"{average_precision_score(is_malignant, strangeness):.3f}\n"
        f"{selected.sum()} alarms, {(selected & ~is_malignant).sum()} of them false; "
        f"{(selected & is_malignant).sum()} of {is_malignant.sum()} malignant found"
    )


if __name__ == "__main__":
    main()
