"""Print the types that a fitted scikit-learn estimator may hold, as JSON: run it where the emitted project's packages are.

Every estimator is fitted in several ways, written by skops and asked for the types that skops doesn't trust by itself. Options that put further
types into an estimator (losses, kernels, metrics, score functions, vectorizers) are listed here.
"""

import inspect
import json
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse
import sklearn._loss.link as links
import sklearn._loss.loss as losses
import sklearn.feature_selection as selection
import sklearn.metrics._dist_metrics as distances
import sklearn.neighbors._ball_tree as ball_trees
import sklearn.neighbors._kd_tree as kd_trees
import sklearn.neural_network._stochastic_optimizers as optimizers
import skops.io
from sklearn import (
    calibration,
    compose,
    ensemble,
    feature_extraction,
    gaussian_process,
    linear_model,
    model_selection,
    neighbors,
    pipeline,
    preprocessing,
    svm,
    tree,
)
from sklearn.gaussian_process import kernels
from sklearn.metrics import get_scorer, get_scorer_names
from sklearn.utils import all_estimators
from sklearn.utils._test_common.instance_generator import _construct_instances

ROWS = 40
RNG = np.random.RandomState(0)
NUMBERS = np.abs(RNG.normal(size=(ROWS, 4))) + 0.1
NUMBERS[: ROWS // 2] += 2
CLASSES = np.repeat([0, 1], ROWS // 2)
VALUES = NUMBERS.sum(axis=1)
TEXTS = [f"one two three {n} of them" for n in range(ROWS)]
CATEGORIES = np.array([["a", "b"][n % 2] for n in range(ROWS)], dtype=object)[:, None]
FRAME = pd.DataFrame(NUMBERS, columns=list("wxyz"))
TABLES: tuple[tuple[Any, Any], ...] = (
    (NUMBERS, CLASSES),
    (NUMBERS, np.array(["no", "yes"], dtype=object)[CLASSES]),
    (NUMBERS, VALUES),
    (FRAME, VALUES),
    (FRAME, CLASSES),
    (FRAME.astype(np.float32), CLASSES),
    (CATEGORIES, CLASSES),
    (NUMBERS, np.column_stack([CLASSES, 1 - CLASSES])),
    (NUMBERS, np.column_stack([VALUES, 1 - VALUES])),
    (scipy.sparse.csr_matrix(NUMBERS), CLASSES),
    (scipy.sparse.csr_array(NUMBERS), CLASSES),
    (scipy.sparse.csc_array(NUMBERS), CLASSES),
    (TEXTS, CLASSES),
    ([{"x": 1.0, "y": str(n % 3)} for n in range(ROWS)], CLASSES),
    (VALUES, CLASSES),
    (CLASSES, None),
    ([[n % 3] for n in range(ROWS)], None),
)
SCORES = (
    "chi2",
    "f_classif",
    "f_regression",
    "r_regression",
    "mutual_info_classif",
    "mutual_info_regression",
)
PLAIN_LOSSES = {
    "squared_error",
    "absolute_error",
    "gamma",
    "poisson",
    "quantile",
    "huber",
    "log_loss",
    "exponential",
    "hinge",
    "modified_huber",
    "squared_hinge",
    "perceptron",
    "epsilon_insensitive",
    "squared_epsilon_insensitive",
}


def varied() -> Iterator[Any]:
    """Estimators with options that put other types into them."""
    for loss in sorted(PLAIN_LOSSES):
        quantile = {"quantile": 0.5} if loss == "quantile" else {}
        yield ensemble.HistGradientBoostingRegressor(loss=loss, max_iter=2, **quantile)
        yield ensemble.HistGradientBoostingClassifier(loss=loss, max_iter=2)
        yield ensemble.GradientBoostingRegressor(loss=loss, n_estimators=2)
        yield ensemble.GradientBoostingClassifier(loss=loss, n_estimators=2)
        yield linear_model.SGDRegressor(loss=loss)
        yield linear_model.SGDClassifier(loss=loss)
        yield ensemble.AdaBoostRegressor(n_estimators=2)
    for power in (0, 1, 1.5, 2, 3):
        yield linear_model.TweedieRegressor(power=power)
    yield ensemble.HistGradientBoostingClassifier(
        early_stopping=True, max_iter=3, categorical_features=[0]
    )
    yield ensemble.HistGradientBoostingClassifier(
        early_stopping=True, scoring="accuracy", max_iter=3
    )
    for estimator in (
        tree.DecisionTreeClassifier,
        ensemble.RandomForestClassifier,
        ensemble.ExtraTreesClassifier,
    ):
        for criterion in ("gini", "entropy", "log_loss"):
            yield estimator(criterion=criterion, random_state=np.random.RandomState(1))
    for estimator in (
        tree.DecisionTreeRegressor,
        ensemble.RandomForestRegressor,
        ensemble.ExtraTreesRegressor,
    ):
        for criterion in ("squared_error", "friedman_mse", "absolute_error", "poisson"):
            yield estimator(criterion=criterion, monotonic_cst=[1, 0, 0, -1])
    for algorithm in ("ball_tree", "kd_tree", "brute"):
        for metric in (
            "minkowski",
            "euclidean",
            "manhattan",
            "chebyshev",
            "haversine",
            "cosine",
        ):
            yield neighbors.KNeighborsClassifier(algorithm=algorithm, metric=metric)
            yield neighbors.KNeighborsRegressor(algorithm=algorithm, metric=metric)
            yield neighbors.RadiusNeighborsRegressor(algorithm=algorithm, metric=metric)
            yield neighbors.LocalOutlierFactor(
                algorithm=algorithm, metric=metric, novelty=True
            )
    each = (
        kernels.RBF(),
        kernels.Matern(),
        kernels.RationalQuadratic(),
        kernels.DotProduct(),
    )
    each += (
        kernels.ExpSineSquared(),
        kernels.WhiteKernel(),
        kernels.ConstantKernel(),
        kernels.PairwiseKernel(),
    )
    for kernel in (
        *each,
        kernels.RBF() + kernels.WhiteKernel() * 2.0,
        kernels.Exponentiation(kernels.RBF(), 2),
    ):
        yield gaussian_process.GaussianProcessRegressor(kernel, random_state=0)
        yield gaussian_process.GaussianProcessClassifier(
            kernel, random_state=0, multi_class="one_vs_one"
        )
    yield gaussian_process.GaussianProcessClassifier(
        kernels.CompoundKernel([kernels.RBF(), kernels.Matern()])
    )
    for name in SCORES:
        score = getattr(selection, name)
        yield selection.SelectKBest(score, k=2)
        yield selection.GenericUnivariateSelect(score, param=2)
    for forward, back in (
        (np.log1p, np.expm1),
        (np.log, np.exp),
        (np.sqrt, np.square),
        (np.log2, np.exp2),
    ):
        yield preprocessing.FunctionTransformer(forward, back)
        yield compose.TransformedTargetRegressor(
            linear_model.LinearRegression(), func=forward, inverse_func=back
        )
    yield compose.TransformedTargetRegressor(
        linear_model.Ridge(),
        transformer=preprocessing.QuantileTransformer(n_quantiles=9),
    )
    for method in ("sigmoid", "isotonic", "temperature"):
        for base in (
            tree.DecisionTreeClassifier(),
            svm.LinearSVC(),
            ensemble.RandomForestClassifier(5),
        ):
            yield calibration.CalibratedClassifierCV(base, method=method)
            yield calibration.CalibratedClassifierCV(
                base, method=method, ensemble=False
            )
    yield svm.SVC(probability=False, kernel="poly")
    folds = (
        model_selection.KFold(3),
        model_selection.StratifiedKFold(3),
        model_selection.ShuffleSplit(2),
    )
    folds += (
        model_selection.TimeSeriesSplit(2),
        model_selection.RepeatedKFold(n_splits=2),
    )
    for fold in (
        *folds,
        model_selection.RepeatedStratifiedKFold(n_splits=2),
        model_selection.StratifiedShuffleSplit(2),
    ):
        yield model_selection.GridSearchCV(
            linear_model.Ridge(), {"alpha": [1, 2]}, cv=fold
        )
        yield model_selection.GridSearchCV(
            tree.DecisionTreeClassifier(), {"max_depth": [1, 2]}, cv=fold
        )
        yield linear_model.RidgeCV(cv=fold)
        yield linear_model.LassoCV(cv=fold)
        yield linear_model.LogisticRegressionCV(cv=fold)
    for scoring in (
        "accuracy",
        "roc_auc",
        "neg_log_loss",
        "f1",
        "average_precision",
        "neg_brier_score",
    ):
        yield linear_model.LogisticRegressionCV(scoring=scoring)
        yield model_selection.GridSearchCV(
            tree.DecisionTreeClassifier(), {"max_depth": [1, 2]}, scoring=scoring
        )
        yield model_selection.TunedThresholdClassifierCV(
            tree.DecisionTreeClassifier(), scoring=scoring
        )
    for scoring in (
        "r2",
        "neg_mean_absolute_error",
        "neg_root_mean_squared_error",
        "neg_mean_squared_error",
    ):
        yield model_selection.GridSearchCV(
            linear_model.Ridge(), {"alpha": [1, 2]}, scoring=scoring
        )
        yield linear_model.RidgeCV(scoring=scoring)
    yield feature_extraction.text.TfidfVectorizer(
        ngram_range=(1, 2), stop_words="english"
    )
    yield feature_extraction.text.HashingVectorizer()
    yield feature_extraction.FeatureHasher()
    yield preprocessing.OneHotEncoder(
        min_frequency=2, handle_unknown="infrequent_if_exist"
    )
    yield preprocessing.OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=-1
    )
    yield preprocessing.SplineTransformer(3, sparse_output=True)
    yield preprocessing.TargetEncoder()
    columns = [
        ("some", preprocessing.StandardScaler(), ["w", "x"]),
        ("rest", "passthrough", slice(2, 4)),
    ]
    yield compose.ColumnTransformer(columns)
    chosen = compose.make_column_selector(dtype_include="number")
    yield compose.ColumnTransformer(
        [("some", preprocessing.MinMaxScaler(), chosen)], remainder="passthrough"
    )
    yield pipeline.make_pipeline(
        compose.ColumnTransformer(columns), ensemble.RandomForestClassifier(3)
    )
    yield pipeline.make_pipeline(
        selection.SelectFromModel(linear_model.Lasso(0.01)), linear_model.Ridge()
    )


def instances() -> Iterator[Any]:
    """Every estimator, made in each way that scikit-learn's own tests make it."""
    for _, estimator in all_estimators():
        try:
            yield from _construct_instances(estimator)
        except Exception:  # noqa: BLE001 - such as one that needs another package
            print(f"not made: {estimator.__name__}", file=sys.stderr)
    yield from varied()


def families() -> Iterator[Any]:
    """Types of which a fitted estimator holds one or another: by an option, or by the type of its numbers."""
    patterns = {
        distances: r"\w+Distance(32|64)",
        ball_trees: r"BallTree(32|64)?",
        kd_trees: r"KDTree(32|64)?",
        losses: r"[A-Z]\w+",
        links: r"[A-Z]\w+",
        kernels: r"[A-Z]\w+",
        model_selection._split: r"[A-Z]\w+",
        optimizers: r"[A-Z]\w+",
    }
    for module, pattern in patterns.items():
        for name, kind in vars(module).items():
            # A distance of one's own holds a function of one's own.
            if (
                isinstance(kind, type)
                and kind.__module__ == module.__name__
                and re.fullmatch(pattern, name)
                and not re.search("Mixin|^Base|PyFunc|Hyperparameter", name)
                and not inspect.isabstract(kind)
            ):
                yield kind
    for name in get_scorer_names():
        yield get_scorer(name)._score_func


def written(estimator: Any) -> set[str]:
    """The types for which skops asks; none if the estimator can't be written."""
    try:
        return set(skops.io.get_untrusted_types(data=skops.io.dumps(estimator)))
    except Exception as error:  # noqa: BLE001 - skops refuses in several ways
        UNWRITTEN.setdefault(type(estimator).__name__, repr(error))
        return set()


def collected() -> set[str]:
    """The types of all estimators, after each table that they can be fitted to."""
    found: set[str] = set()
    for estimator in instances():
        fitted = 0
        for rows, target in TABLES:
            # Most estimators refuse most of the tables.
            with suppress(Exception):
                estimator.fit(rows, target)
                fitted += 1
                found |= written(estimator)
        if not fitted:
            UNFITTED.add(type(estimator).__name__)
    return found


UNWRITTEN: dict[str, str] = {}
UNFITTED: set[str] = set()

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    found = collected() | {f"{kind.__module__}.{kind.__name__}" for kind in families()}
    kinds: dict[str, list[str]] = {"classes": [], "functions": []}
    for name in sorted(found):
        module, _, last = name.rpartition(".")
        is_class = isinstance(getattr(import_module(module), last), type)
        kinds["classes" if is_class else "functions"].append(name)
    print(json.dumps(kinds | {"unwritten": UNWRITTEN, "unfitted": sorted(UNFITTED)}))
