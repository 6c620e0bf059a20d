"""Compare an update that changes nothing with the least that Copier needs: `make bench-update`.

The least is the same update of a template with one question and as many files, none of which
is rendered. Both have a release in git, and are updated in turns through Copier's API. The
figures are processor seconds, those of git included: only their ratio is meaningful.
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


def write_plain_template(folder: Path, files: int) -> Path:
    """Write a template with so many files, of which only the answers file is rendered."""
    plain = {f"template/file_{number}.txt": "plain\n" for number in range(files - 1)}
    needed = {
        "copier.yml": SETTINGS,
        "hooks/none.txt": "none\n",
        ANSWERS: "{{ _copier_answers | to_nice_yaml }}",
    }
    return write(folder, plain | needed)


def time_update(project: Follower) -> tuple[float, float]:
    """Update a project, and return the processor seconds and the wall seconds."""
    before, began = os.times(), time.perf_counter()
    project.update()
    after, wall = os.times(), time.perf_counter() - began
    assert not project.changed(), "an update without changes changed something"
    # The first four are the user and system times of this process and of its children.
    return sum(after[:4]) - sum(before[:4]), wall


def create_projects(folder: Path) -> dict[str, Follower]:
    """Return a project of this template, and one of a plain template with as many files, by title."""
    ours = Template(folder / "ours")
    ours.release("1.0.0")
    project = Follower(ours, folder / "project")
    files = len(project.files())
    plain_folder = write_plain_template(folder / "plain", files)
    plain = Template(folder / "least", plain_folder)
    plain.release("1.0.0")
    return {
        f"Slipway, {files} files": project,
        f"an empty template, {files} files": Follower(plain, folder / "plain-project"),
    }


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as name:
        projects = create_projects(Path(name))
        rounds = []
        for _ in range(ROUNDS + 1):
            rounds.append({title: time_update(p) for title, p in projects.items()})
        del rounds[0]  # the first round fills the caches of the system
    title = f"no-op update, median of {ROUNDS}"
    print(f"{title:<36}{'processor s':>12}{'wall s':>9}")
    medians = []
    for title in projects:
        processor = statistics.median(times[title][0] for times in rounds)
        wall = statistics.median(times[title][1] for times in rounds)
        medians.append(processor)
        print(f"{title:<36}{processor:>12.2f}{wall:>9.2f}")
    ours, least = medians
    print(f"{'ratio':<36}{ours / least:>12.2f}")


if __name__ == "__main__":
    main()
