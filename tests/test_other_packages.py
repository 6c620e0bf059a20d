"""Estimators of other packages than scikit-learn, in model.py: nothing in the kit is edited for them."""

from pathlib import Path

import pytest

from tests.checks import suite
from tests.rendering import render_tree
from tests.tables.walking import ANSWERS, inside, run
from tests.trees import template

TEST = "tests/test_other_packages.py"
KINDS = {"classification": "Classifier", "regression": "Regressor"}
PACKAGES = {"xgboost": ("xgboost-cpu", "XGB"), "lightgbm": ("lightgbm", "LGBM")}
LAST = "Options = dict[str, Any]\n"
FIRST = "ESTIMATORS: dict[str, Callable[..., BaseEstimator]] = {\n"


@pytest.mark.parametrize("problem", KINDS)
@pytest.mark.parametrize("package", PACKAGES)
def test_an_estimator_of_another_package_becomes_a_service(
    package: str, problem: str, tmp_path: Path
) -> None:
    files = render_tree({**ANSWERS, "problem": problem})
    (path,) = (path for path in files if path.endswith("/model.py"))
    distribution, prefix = PACKAGES[package]
    estimator = prefix + KINDS[problem]
    text = files[path].decode()
    for mark, more in (
        (LAST, f"from {package} import {estimator}\n\n{LAST}"),
        (FIRST, f'{FIRST}    "other": {estimator},\n'),
    ):
        assert text.count(mark) == 1
        text = text.replace(mark, more)
    files |= {
        path: text.encode(),
        TEST: inside("other_packages.py"),
        "tests/estimator.txt": b"other",
    }
    with suite.servers(template()) as free:
        problems = run(tmp_path / "run", files, TEST, free, more=[distribution])
    assert not problems, "\n".join(problems)
