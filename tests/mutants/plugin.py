"""A plugin of pytest's that runs in an emitted project: it notes which blocks of code each test runs, or runs chosen tests.

It is copied into the project's `src/` and imports nothing of this repository. The folder that holds pytest's settings says
what to do (`task.json`) and gets what was measured (`report.json`).
"""

import json
import resource
import shutil
import signal
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

ran: dict[str, set[str]] = {}
"""The blocks that each test, each fixture and the imports ran."""
_now: list[set[str]] = [ran.setdefault("import", set())]


def hit(block: str) -> None:
    """Note that a block runs; instrumented code calls this."""
    _now[-1].add(block)


class Plugin:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.task: dict[str, Any] = json.loads((folder / "task.json").read_text())
        self.seconds: dict[str, float] = {}
        self.fixtures: dict[str, list[str]] = {}
        self.trained: list[str] = []
        # A process that hangs is ended; then there is no answer.
        signal.alarm(self.task["patience"])
        _, most = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (self.task["processor"], most))

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        chosen = self.task["tests"]
        if chosen is not None:
            items[:] = [item for item in items if item.name in chosen]
        for item in items:
            self.fixtures[item.name] = list(getattr(item, "fixturenames", ()))
            if _asks_for(item, "trained"):
                self.trained.append(item.name)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        return (yield from self._noting(item.name))

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Generator[None, Any, Any]:
        value = yield from self._noting(f"fixture {fixturedef.argname}")
        if fixturedef.argname == "published" and not self.task["published"]:
            shutil.copytree(value, self.folder / "published", dirs_exist_ok=True)
        return value

    def _noting(self, who: str) -> Generator[None, Any, Any]:
        _now.append(ran.setdefault(who, set()))
        began = time.perf_counter()
        try:
            return (yield)
        finally:
            _now.pop()
            spent = time.perf_counter() - began
            self.seconds[who] = max(spent, self.seconds.get(who, 0.0))

    def pytest_sessionfinish(self) -> None:
        used = resource.getrusage(resource.RUSAGE_SELF)
        report = {
            "cpu": used.ru_utime + used.ru_stime,
            "fixtures": self.fixtures,
            "ran": {who: sorted(blocks) for who, blocks in ran.items()},
            "seconds": self.seconds,
            "trained": self.trained,
        }
        (self.folder / "report.json").write_text(json.dumps(report))


class Given:
    """Spares the tests the training: they get the model of an earlier run."""

    def __init__(self, published: str) -> None:
        self.published = Path(published)

    @pytest.hookimpl(tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> Any:
        if fixturedef.argname not in ("published", "trained"):
            return None
        key = fixturedef.cache_key(request)
        fixturedef.cached_result = (self.published, key, None)
        return self.published


def _asks_for(item: Any, name: str) -> bool:
    """Whether a test uses a fixture itself, or through another one than `published`."""
    about = getattr(item, "_fixtureinfo", None)
    if about is None:
        return True
    others = (
        found[-1].argnames
        for other, found in about.name2fixturedefs.items()
        if other != "published"
    )
    return name in about.initialnames or any(name in names for names in others)


def pytest_configure(config: pytest.Config) -> None:
    assert config.inipath is not None
    plugin = Plugin(config.inipath.parent)
    config.pluginmanager.register(plugin)
    if plugin.task["published"]:
        config.pluginmanager.register(Given(plugin.task["published"]))
