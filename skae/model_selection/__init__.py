"""Searches that train the networks of many candidates and folds as one."""

from skae.model_selection._search import GridSearchCV, RandomizedSearchCV

__all__ = ["GridSearchCV", "RandomizedSearchCV"]
