"""The estimator and what may be tuned about it. This file is yours: any scikit-learn classifier will do."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

if TYPE_CHECKING:
    from optuna import Trial

Options = dict[str, Any]
ESTIMATORS: dict[str, Callable[..., BaseEstimator]] = {
    "linear": partial(LogisticRegression, max_iter=1000),
    "boosting": partial(HistGradientBoostingClassifier, learning_rate=0.08, max_iter=150, max_leaf_nodes=15),
    "forest": partial(RandomForestClassifier, n_estimators=200, min_samples_leaf=3),
}


def build(name: str, options: Options, numbers: list[str], categories: list[str], seed: int) -> Pipeline:
    """The pipeline from features to probabilities, unfitted. Its steps are ``prepare`` and ``model``."""
    estimator = ESTIMATORS[name](**options)
    if estimator.get_params().get("random_state", seed) is None:
        estimator.set_params(random_state=seed)
    # Boosting takes numbers as they are; the others want gaps filled, and "it was missing" as a column.
    filled = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    taken = "passthrough" if name == "boosting" else filled
    encoder = OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=25, sparse_output=False)
    parts = [("numbers", taken, numbers), ("categories", encoder, categories)]
    prepare = ColumnTransformer(parts, verbose_feature_names_out=False)
    return Pipeline([("prepare", prepare), ("model", estimator)])


def search_space(trial: "Trial", name: str) -> Options:
    """Options for one trial of the tuning (``tuning.trials`` in params.yaml)."""
    if name == "linear":
        return {"C": trial.suggest_float("C", 1e-3, 1e2, log=True)}
    if name == "forest":
        return {
            "min_samples_leaf": trial.suggest_int("min_samples_leaf", 1, 20),
            "max_features": trial.suggest_float("max_features", 0.2, 1.0),
        }
    return {
        "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.3, log=True),
        "max_leaf_nodes": trial.suggest_int("max_leaf_nodes", 4, 63, log=True),
        "l2_regularization": trial.suggest_float("l2_regularization", 1e-3, 10.0, log=True),
    }
