"""The last lines of a run: its proofs, what it took over, skipped and left out and why, and where the time went."""

import os
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests import lanes
from tests.drawn import PROVE, SEED

if TYPE_CHECKING:
    from tests.matrix.verdicts import Decision

FOUND: dict[str, Counter[str]] = {"decided": Counter(), "left": Counter()}
"""Counted in this process; the one that reports adds up those of all."""
LONGEST = 15
"""Groups of tests that the table of times names."""


def decided(decision: "Decision") -> None:
    """Count a decision about all combinations."""
    FOUND["decided"] += Counter(
        checks=1,
        settled=decision.plans,
        taken=decision.taken_over,
        repeated=decision.repeated,
    )


def left(items: list[pytest.Item]) -> None:
    """Count what is left to `make prove`, by reason."""
    for item in items:
        marker = item.get_closest_marker("prove")
        assert marker and marker.args, f"{item.nodeid}: mark it with the reason"
        FOUND["left"][marker.args[0]] += 1


class Summary:
    """Gathers what the processes found, and prints it."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.skipped: Counter[str] = Counter()
        self.found = {name: Counter(counts) for name, counts in FOUND.items()}
        self.processes = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add a test's time to its group, and note why it was skipped."""
        self.seconds[lanes.group(report.nodeid)] += report.duration  # type: ignore[assignment]
        if report.skipped and isinstance(report.longrepr, tuple):
            self.skipped[report.longrepr[2].removeprefix("Skipped: ")] += 1

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take over what a process counted."""
        self.processes += 1
        for name, counts in getattr(node, "workeroutput", {}).get("found", {}).items():
            merge = (
                self.found[name].__or__ if name == "left" else self.found[name].__add__
            )
            self.found[name] = merge(Counter(counts))

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print it all."""
        found = self.found if self.processes else FOUND
        say = terminalreporter.write_line
        terminalreporter.section("summary")
        for line in lines(found["decided"], self.skipped, found["left"]):
            say(line)
        say(f"Seconds by group, in {max(1, self.processes)} processes:")
        for name, seconds in self.seconds.most_common(LONGEST):
            say(f"  {seconds:7.1f}  {name}")
        others = sum(self.seconds.values()) - sum(
            seconds for _, seconds in self.seconds.most_common(LONGEST)
        )
        say(f"  {others:7.1f}  all others")
        if os.environ.get("KEEP_DURATIONS"):
            lanes.keep(dict(self.seconds))


def lines(
    decisions: Counter[str], skipped: Counter[str], prove: Counter[str]
) -> list[str]:
    """Say in sentences what a run did."""
    said = [f"Drawn with SEED={SEED}."]
    if decisions:
        said.append(
            f"Proved for every combination of answers: {decisions['checks']} checks, by {decisions['settled']} verdicts"
            f" found in this run and {decisions['taken']} taken over from tests/ledger."
        )
        said.append(
            f"{decisions['repeated']} verdicts of the ledger were found once more; one that differs fails the run."
        )
    said += [f"Skipped {n}: {reason}" for reason, n in skipped.most_common()]
    said += [f"Left to `make prove` {n}: {reason}" for reason, n in prove.most_common()]
    if PROVE:
        said.append("`make prove`: nothing was left out or taken over.")
    return said
