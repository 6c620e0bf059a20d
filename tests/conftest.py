"""What every test shares: one fixture to make a project, and skips that count."""

import os
import signal
from collections.abc import Generator
from pathlib import Path
from typing import Any, Protocol

import pytest
from pytest_copier.plugin import CopierFixture

from tests import lanes, record, summary
from tests.checkout import Checkout, today
from tests.drawn import PROVE
from tests.rendering import ROOT

# Where `make test` puts uv when the machine has none.
os.environ["PATH"] += f"{os.pathsep}{ROOT / '.tools' / 'bin'}"
# However this was started, in the background too: what it starts can be interrupted.
signal.signal(signal.SIGINT, signal.default_int_handler)
REQUIRE_ALL = os.environ.get("REQUIRE_ALL", "0") not in {"", "0"}


class Make(Protocol):
    """Make a project from answers; what is left out takes its default."""

    def __call__(self, **answers: str) -> Path: ...


@pytest.fixture(scope="session")
def copier_template_paths() -> list[str]:
    """What pytest-copier commits and tags as the template."""
    return ["copier.yml", "hooks", "template"]


@pytest.fixture
def make(copier: CopierFixture, tmp_path: Path) -> Make:
    """A project made by Copier itself, from a git template with a release."""

    def make_project(**answers: str) -> Path:
        folder = tmp_path / f"project-{len(list(tmp_path.iterdir()))}"
        return copier.copy(folder, **answers).path

    return make_project


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A bare copy of this repository, whose first command fetched what was missing."""
    checkout = today(tmp_path_factory.mktemp("bare"))
    assert checkout.new("").returncode != 0
    return checkout


def pytest_configure(config: pytest.Config) -> None:
    """Report once: from the process that no other one started."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(summary.Summary())
        if PROVE:
            config.pluginmanager.register(record.Recorder(ROOT))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> lanes.Lanes:
    return lanes.Lanes(config, log)


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Leave to `make prove` what is marked so, and begin with what takes longest."""
    left = [] if PROVE else [item for item in items if item.get_closest_marker("prove")]
    if left:
        summary.left(left)
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in left]
    lanes.longest_first(items)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand on what this process counted to the one that reports."""
    if hasattr(session.config, "workeroutput"):
        found = {name: dict(counts) for name, counts in summary.FOUND.items()}
        session.config.workeroutput["found"] = found


def _as_failure(report: Any) -> None:
    if REQUIRE_ALL and report.outcome == "skipped" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"REQUIRE_ALL is set, and this was skipped: {report.longrepr}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> (
    Generator[None, pytest.TestReport, pytest.TestReport]
):
    """Where every real part must be there, a skip is a failure."""
    report = yield
    _as_failure(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, Any, Any]:
    """The same for a whole file that skips itself."""
    report = yield
    _as_failure(report)
    return report
