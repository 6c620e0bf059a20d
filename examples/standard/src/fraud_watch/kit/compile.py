"""A fitted scikit-learn pipeline as a plan: what ``plan.Plan`` computes, taken from what was fitted."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .predictor import as_rows

Spec = dict[str, Any]
LINEAR = {"ElasticNet", "ElasticNetCV", "Lasso", "LassoCV", "LinearRegression", "Ridge", "RidgeCV"}
FORESTS = {"DecisionTree", "ExtraTree", "ExtraTrees", "RandomForest"}


class NoPlanError(Exception):
    """A pipeline that has a part for which there is no plan."""


def compiled(fitted: Any) -> Spec:
    """What ``plan.Plan`` is built from. Known by name are scikit-learn's own classes, and no other."""
    if _kind(fitted) == "TransformedTargetRegressor":
        function = getattr(fitted.transformer_, "inverse_func", None)
        if function not in (np.exp, np.expm1):
            raise NoPlanError("a target that is transformed by other than exp and expm1 has no plan")
        spec = compiled(fitted.regressor_)
        return spec | {"steps": [*spec["steps"], _step(function.__name__)]}
    calibrators = None
    if _kind(fitted) == "CalibratedClassifierCV":
        if len(fitted.calibrated_classifiers_) > 1:
            raise NoPlanError("it is an ensemble of calibrated classifiers")
        calibrators = fitted.calibrated_classifiers_[0].calibrators
        fitted = fitted.calibrated_classifiers_[0].estimator
    if _kind(fitted) != "Pipeline":
        raise NoPlanError(f"{_named(fitted)} has no plan")
    first, *rest, estimator = [step for _, step in fitted.steps if step not in ("passthrough", None)]
    if _kind(first) == "ColumnTransformer":
        parts = [_compiled_part(chosen, how) for _, how, chosen in first.transformers_ if len(chosen)]
        parts = [part for part in parts if part]
    else:
        parts, rest = [_columns(fitted.feature_names_in_)], [first, *rest]
    return {"parts": parts, "steps": [*map(_transform, rest), *_estimate(estimator, calibrators)]}


def _kind(of: Any) -> str:
    """The name of a class of scikit-learn's own; of any other, nothing."""
    return type(of).__name__ if type(of).__module__.split(".")[0] == "sklearn" else ""


def _named(of: Any) -> str:
    return f"{'' if _kind(of) else 'your '}{type(of).__name__}"


def _step(step: str, **holds: Any) -> Spec:
    return {"step": step, **holds}


def _columns(names: Any, steps: Sequence[Spec] = (), codes: Sequence[Any] = (), width: int = 0) -> Spec:
    return {
        "columns": [str(name) for name in names],
        "steps": list(steps),
        "codes": list(codes),
        "width": width,
    }


def _compiled_part(names: Any, how: Any) -> Spec | None:
    """What a ColumnTransformer does to some columns; None if it drops them."""
    if isinstance(how, str):
        return None if how == "drop" else _columns(names)
    steps = [step for _, step in how.steps] if _kind(how) == "Pipeline" else [how]
    if _kind(steps[0]) != "OneHotEncoder":
        return _columns(names, [_transform(s) for s in steps if not _idle(s)])
    if len(steps) > 1:
        raise NoPlanError(f"{_named(steps[1])} after a OneHotEncoder has no plan")
    if steps[0].handle_unknown == "error":
        raise NoPlanError("a OneHotEncoder that refuses unknown categories has no plan")
    codes: list[Any] = []
    at = 0
    # The encoder is asked what it makes of each category, and of one that it has never seen.
    known = [[*column.tolist(), "never seen \ue000"] for column in steps[0].categories_]
    rows = np.empty((max(map(len, known)), len(known)), dtype=object)
    for place, column in enumerate(known):
        rows[:, place] = [column[min(row, len(column) - 1)] for row in range(len(rows))]
    made = steps[0].transform(as_rows(dict(zip(names, rows.T, strict=True))))
    hot = np.asarray(made if isinstance(made, np.ndarray) else made.toarray())
    for name, column, width in zip(names, known, steps[0]._n_features_outs, strict=True):
        if not all(isinstance(value, str | bool | int | None) for value in column):
            raise NoPlanError(f"the categories of {name} are neither text nor whole numbers")
        ones = hot[: len(column), at : at + width]
        places = np.where(ones.any(axis=1), at + ones.argmax(axis=1), hot.shape[1]).tolist()
        codes.append([str(name), column[:-1], places[:-1], places[-1]])
        at += width
    return _columns(names, codes=codes, width=at)


def _idle(how: Any) -> bool:
    return how in ("passthrough", None) or (_kind(how) == "FunctionTransformer" and how.func is None)


def _transform(how: Any) -> Spec:
    """A step that turns numbers into numbers."""
    if _kind(how) == "SimpleImputer" and how.statistics_.dtype.kind == "f" and np.isnan(how.missing_values):
        flags = how.indicator_.features_ if how.add_indicator else np.empty(0, dtype=np.intp)
        return _step("fill", values=how.statistics_, flags=flags)
    if _kind(how) == "StandardScaler":
        width = how.n_features_in_
        center = how.mean_ if how.with_mean else np.zeros(width)
        return _step("scale", center=center, spread=how.scale_ if how.with_std else np.ones(width))
    raise NoPlanError(f"{_named(how)} has no plan")


def _estimate(estimator: Any, calibrators: list[Any] | None) -> list[Spec]:
    """From prepared numbers to figures: the estimator, its link or its calibration, the order of the axes."""
    kind = _kind(estimator)
    classes = len(getattr(estimator, "classes_", ()))
    half = _step("sigmoid", slope=-np.ones(1), shift=np.zeros(1))
    link = [_step("softmax")] if classes > 2 else [half, _step("pair")]
    if kind == "LogisticRegression" or kind in LINEAR:
        weights, bias = np.atleast_2d(estimator.coef_), np.atleast_1d(estimator.intercept_)
        steps = [_step("linear", weights=weights, bias=np.broadcast_to(bias, len(weights)).copy())]
    elif kind.startswith("HistGradientBoosting"):
        steps = [_boosting(estimator)]
        if not classes and (linked := type(estimator._loss.link).__name__) != "IdentityLink":
            if linked != "LogLink":
                raise NoPlanError(f"{kind} with the link {linked} has no plan")
            steps.append(_step("exp"))
    elif kind.removesuffix("Classifier").removesuffix("Regressor") in FORESTS:
        steps, link = [_forest(estimator)], []
        if calibrators and classes == 2:
            steps.append(_step("second"))
    else:
        raise NoPlanError(f"{_named(estimator)} has no plan")
    if not classes:
        return [*steps, _step("single")]
    return [*steps, *(_calibration(calibrators) if calibrators else link), _step("across")]


def _calibration(calibrators: list[Any]) -> list[Spec]:
    kinds = {_kind(calibrator) for calibrator in calibrators}
    if kinds == {"_SigmoidCalibration"}:
        slope, shift = np.array([(c.a_, c.b_) for c in calibrators]).T
        steps = [_step("sigmoid", slope=slope, shift=shift)]
    elif kinds == {"IsotonicRegression"}:
        steps = [_step("isotonic", curves=[[c.X_thresholds_, c.y_thresholds_] for c in calibrators])]
    else:
        raise NoPlanError(f"calibration by {', '.join(sorted(kinds))} has no plan")
    return [*steps, _step("pair" if len(calibrators) == 1 else "shares")]


def _boosting(estimator: Any) -> Spec:
    grown = [tree.nodes for round in estimator._predictors for tree in round]
    nodes = np.concatenate(grown)
    if nodes["is_categorical"].any():
        raise NoPlanError(f"{type(estimator).__name__} with categories of its own has no plan")
    ends = nodes["is_leaf"].astype(bool)
    left, right = (np.where(ends, -1, nodes[side].astype(np.int32)) for side in ("left", "right"))
    holds: Spec = {
        "feature": nodes["feature_idx"],
        "threshold": nodes["num_threshold"],
        "left": left,
        "right": right,
    }
    holds |= {"gaps": nodes["missing_go_to_left"].astype(bool) & ~ends, "value": nodes["value"][:, None]}
    bias = np.ravel(estimator._baseline_prediction)
    holds |= {"bias": bias, "divisor": 1, "each": len(bias), "single": False}
    return _step("trees", columns=estimator.n_features_in_, starts=_starts(map(len, grown)), **holds)


def _forest(estimator: Any) -> Spec:
    grown = [tree.tree_ for tree in getattr(estimator, "estimators_", [estimator])]
    if estimator.n_outputs_ > 1:
        raise NoPlanError("a forest with several targets has no plan")
    names = {
        "children_left": "left",
        "children_right": "right",
        "feature": "feature",
        "threshold": "threshold",
    }
    names |= {"missing_go_to_left": "gaps", "value": "value"}
    holds: Spec = {
        name: np.concatenate([getattr(tree, theirs) for tree in grown]) for theirs, name in names.items()
    }
    holds["gaps"] = holds["gaps"].astype(bool)
    holds["value"] = holds["value"][:, 0, :]
    holds |= {"left": holds["left"].astype(np.int32), "right": holds["right"].astype(np.int32)}
    holds |= {"bias": np.zeros(holds["value"].shape[1]), "divisor": len(grown), "each": 1, "single": True}
    starts = _starts(tree.node_count for tree in grown)
    return _step("trees", columns=estimator.n_features_in_, starts=starts, **holds)


def _starts(sizes: Iterable[int]) -> NDArray[np.int64]:
    return np.cumsum([0, *sizes])
