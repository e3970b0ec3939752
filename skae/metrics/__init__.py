"""How good codes, reconstructions and new rows are: arrays in, numbers out."""

from skae.metrics._active_units import active_units
from skae.metrics._beta_vae_score import beta_vae_score
from skae.metrics._bjontegaard_rate import bjontegaard_rate
from skae.metrics._classifier_two_sample_test import classifier_two_sample_test
from skae.metrics._dci import disentanglement_completeness_informativeness
from skae.metrics._factor_vae_score import factor_vae_score
from skae.metrics._frechet_distance import frechet_distance
from skae.metrics._maximum_mean_discrepancy import maximum_mean_discrepancy
from skae.metrics._mutual_information_gap import mutual_information_gap
from skae.metrics._peak_signal_to_noise_ratio import peak_signal_to_noise_ratio
from skae.metrics._separated_attribute_predictability import (
    separated_attribute_predictability,
)

__all__ = [
    "active_units",
    "beta_vae_score",
    "bjontegaard_rate",
    "classifier_two_sample_test",
    "disentanglement_completeness_informativeness",
    "factor_vae_score",
    "frechet_distance",
    "maximum_mean_discrepancy",
    "mutual_information_gap",
    "peak_signal_to_noise_ratio",
    "separated_attribute_predictability",
]
