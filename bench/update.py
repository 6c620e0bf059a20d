"""What an update that brings nothing costs, beside Copier's floor: `make bench-update`.

The floor is the same update of a template that has as many files, all of them plain, and
one question. Both are releases in git, updated in turns by Copier's API; processor seconds
of the process and of the git processes that it starts, so that only their ratio says much.
"""

import os
import statistics
import tempfile
import time
from pathlib import Path

from tests.matrix.synthetic import write
from tests.releases import Follower, Template

ROUNDS = 9
SETTINGS = """\
_subdirectory: template
_migrations: []
name: {type: str, default: demo}
"""
ANSWERS = "template/{{ _copier_conf.answers_file }}.jinja"


def empty(folder: Path, files: int) -> Path:
    """A template of so many files that renders next to nothing."""
    plain = {f"template/file_{number}.txt": "plain\n" for number in range(files - 1)}
    made = {"copier.yml": SETTINGS, "hooks/none.txt": "none\n", **plain}
    return write(folder, made | {ANSWERS: "{{ _copier_answers | to_nice_yaml }}"})


def seconds(project: Follower) -> tuple[float, float]:
    """What one update costs: of the processor, and of the clock."""
    before, began = os.times(), time.perf_counter()
    project.update()
    after, took = os.times(), time.perf_counter() - began
    assert not project.changed(), "an update that brings nothing changed something"
    return sum(after[:4]) - sum(before[:4]), took


def followers(folder: Path) -> dict[str, Follower]:
    """A project of this template, and one of an empty template of the same size."""
    ours = Template(folder / "ours")
    ours.release("1.0.0")
    project = Follower(ours, folder / "project")
    files = len(project.files())
    floor = Template(folder / "floor", empty(folder / "empty", files))
    floor.release("1.0.0")
    return {
        f"Slipway, {files} files": project,
        f"an empty template, {files} files": Follower(floor, folder / "least"),
    }


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as name:
        projects = followers(Path(name))
        rounds = [
            {what: seconds(project) for what, project in projects.items()}
            for _ in range(ROUNDS + 1)
        ][
            1:
        ]  # the first warms what the system keeps in memory
    print(
        f"{'no-op update, median of ' + str(ROUNDS):<36}{'processor s':>12}{'wall s':>9}"
    )
    medians = []
    for what in projects:
        processor, wall = (
            statistics.median(one[what][kind] for one in rounds) for kind in (0, 1)
        )
        medians.append(processor)
        print(f"{what:<36}{processor:>12.2f}{wall:>9.2f}")
    ours, least = medians
    print(f"{'ratio':<36}{ours / least:>12.2f}")


if __name__ == "__main__":
    main()
