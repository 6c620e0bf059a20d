"""The list of types that a stored model may hold is the installed scikit-learn's, no more and no less."""

import json
import subprocess
from runpy import run_path
from types import SimpleNamespace

from tests.checks.environment import environment, plain
from tests.manifests import PACKAGE
from tests.rendering import ROOT
from tests.trees import template

TRUST = ROOT / "template" / "src" / "{{ package_name }}" / "kit" / "trust.py"
COLLECT = ROOT / "tests" / "tables" / "inside" / "stored_types.py"


def emitted() -> SimpleNamespace:
    """The emitted module, which needs nothing but the standard library."""
    return SimpleNamespace(**run_path(str(TRUST), run_name=f"{PACKAGE}.kit.trust"))


def test_the_list_is_what_the_installed_estimators_hold() -> None:
    python = environment(template(), PACKAGE)
    done = subprocess.run(
        [str(python), str(COLLECT)],
        capture_output=True,
        text=True,
        env=plain(),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    collected, trust = json.loads(done.stdout), emitted()
    for kind in ("classes", "functions"):
        listed = trust.names(getattr(trust, kind.upper()))
        missing = sorted(set(collected[kind]) - listed)
        gone = sorted(listed - set(collected[kind]))
        assert (
            not missing
        ), f"add to {kind.upper()} in {TRUST.name}, if they only hold data or compute: {missing}"
        assert not gone, f"no estimator holds these any more: {gone}"

    assert set(collected["unwritten"]) <= {"Birch", "HistGradientBoostingClassifier"}
