"""Two processes share the tests: each takes whole groups of tests, those that take longest first.

Tests of one group share a fixture or a decision, so that one process must run them.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.drawn import PROVE

DURATIONS = Path(__file__).with_name("durations.json")
"""Seconds of each group, of `make test` and of `make prove`, as a run with KEEP_DURATIONS=1 measured them."""
MODE = "prove" if PROVE else "test"
MEASURED: dict[str, float] = json.loads(DURATIONS.read_text("utf-8"))[MODE]
GROUPS = {
    # What these ask of the matrix is decided once for all of them.
    "all combinations": {
        *("test_command.py", "test_files.py", "test_matrix.py"),
        *("test_presets.py", "test_seeded.py"),
    },
    # It starts servers of its own, so it need not wait for the others of its folder.
    "faults": {"test_faults.py"},
    # One of them looks at what the engine leaves on the machine, while no other may use it.
    "Docker Engine": {
        "test_engine.py",
        "test_image.py",
        "test_lock_images.py",
        "test_workflow_steps.py",
    },
}


def group(nodeid: str) -> str:
    """The group of a test: one of those above, its file, or its folder."""
    path, _, test = nodeid.partition("::")
    folder, _, file = path.rpartition("/")
    if PROVE and file == "test_oracle.py":
        # Each of many projects takes minutes; one that is not named is the cold one.
        return f"{path} {test.partition('[')[2].rstrip(']') or 'starter'}"
    for name, files in GROUPS.items():
        if file in files and folder != "tests/matrix":
            return name
    return f"tests/{file}" if folder == "tests" else folder


def longest_first(items: list[pytest.Item]) -> None:
    """Sort the tests by the time that their group takes. What was never measured comes first."""
    items.sort(key=lambda item: -MEASURED.get(group(item.nodeid), float("inf")))


class Lanes(LoadScopeScheduling):  # type: ignore[misc]
    """Gives each process the next group as soon as it has none."""

    def __init__(self, config: pytest.Config, log: Any) -> None:
        # The scheduler would put the groups with most tests first.
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid)


def keep(seconds: dict[str, float]) -> None:
    """Write down what the groups of this run took."""
    kept = json.loads(DURATIONS.read_text("utf-8"))
    kept[MODE] = {name: round(took, 1) for name, took in sorted(seconds.items())}
    DURATIONS.write_text(json.dumps(kept, indent=2) + "\n", "utf-8")
