"""Writes the record of a complete `make prove`, which `make release` asks for.

The record is written at the end of a run that selected every test, whatever came of it: slipway/proof.py judges it.
A run of a part leaves the record of an earlier run as it is.
"""

import json
import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from slipway import proof
from tests.drawn import SEED

SELECTING = (
    *("keyword", "markexpr", "deselect", "ignore", "ignore_glob"),
    *("lf", "last_failed", "stepwise", "collectonly", "pyargs", "noconftest"),
)
"""The options of pytest that leave tests out, or may do so."""


def selects_all(config: pytest.Config) -> bool:
    """Whether a run was asked for every test there is."""
    if any(getattr(config.option, name, None) for name in SELECTING):
        return False
    # pytest itself turns --strict-config and --strict-markers into overrides.
    overridden = config.option.override_ini or []
    if not all(setting.startswith("strict_") for setting in overridden):
        return False
    return config.args_source == pytest.Config.ArgsSource.TESTPATHS


class Recorder:
    """A plugin of the process that sees all results. Register it where PROVE is set."""

    def __init__(self, checkout: Path) -> None:
        self._checkout = checkout
        self._tree = ""
        self._began = 0.0

    def pytest_sessionstart(self) -> None:
        self._began = time.time()
        self._tree = proof.committed_tree(self._checkout)

    def pytest_terminal_summary(
        self, terminalreporter: Any, exitstatus: int, config: pytest.Config
    ) -> None:
        if not selects_all(config):
            return
        record = self.record(terminalreporter.stats, exitstatus)
        file = self._checkout / proof.RECORD
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(record, indent=2) + "\n", "utf-8")
        terminalreporter.section("record of the proof")
        reasons = list(proof.find_problems(self._checkout))
        for line in reasons or [f"{proof.RECORD}: complete, a release may follow"]:
            terminalreporter.write_line(line)

    def record(self, stats: dict[str, list[Any]], exitstatus: int) -> dict[str, Any]:
        """Count what this run proved."""
        number = {name: len(stats.get(name, [])) for name in ("failed", "skipped")}
        errors = len(stats.get("error", []))
        if exitstatus and not errors and not number["failed"]:
            errors = 1  # stopped, or a process of it was lost
        same = proof.committed_tree(self._checkout) == self._tree
        return {
            "tree": self._tree if same else "",
            "ran": dict(sorted(ran(stats).items())),
            "passed": len(stats.get("passed", [])),
            **number,
            "errors": errors,
            "counts": {n: int(os.environ.get(n) or 0) for n in proof.COUNTS},
            "seed": SEED,
            "seconds": round(time.time() - self._began),
        }


def ran(stats: dict[str, list[Any]]) -> Counter[str]:
    """How many tests passed, by file."""
    passed = stats.get("passed", [])
    return Counter(report.nodeid.partition("::")[0] for report in passed)
