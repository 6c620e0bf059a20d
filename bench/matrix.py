"""Compare the matrix with tools that render every combination: `make bench`.

The template is synthetic: each option has a folder of its own, lines in shared files and a condition on another option.
The times are those of a single run: only their ratios are meaningful.
"""

import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import copier

from tests.matrix.answers import Known
from tests.matrix.synthetic import write
from tests.matrix.template import Template
from tests.rendering import Tree, tree

T = TypeVar("T")
OPTIONS = 17
"""With two answers each: 131,072 combinations."""
CURVE = (5, 10, 15, 20, 30, 40)
RENDERS = 12
SETTINGS = """\
_subdirectory: template
_envops: {undefined: jinja2.StrictUndefined, trim_blocks: true, lstrip_blocks: true}
name: {type: str, default: demo}
"""
PYTEST_COPIER = """
import json, pathlib, time
ANSWERS = json.loads(pathlib.Path({answers!r}).read_text())
def test_renders(copier, tmp_path):
    times = []
    for number, answers in enumerate(ANSWERS):
        began = time.perf_counter()
        copier.copy(tmp_path / str(number), **answers)
        times.append(time.perf_counter() - began)
    pathlib.Path({times!r}).write_text(json.dumps(times))
"""
"""A test that measures pytest-copier, which works inside pytest only."""


def write_template(folder: Path, options: int) -> Path:
    """Write a template with so many options, and return its folder."""
    names = [f"option_{number}" for number in range(options)]
    files = {
        "copier.yml": SETTINGS
        + "".join(f"{name}: {{type: bool, default: true}}\n" for name in names),
        "template/{{ _copier_conf.answers_file }}.jinja": "{{ _copier_answers | to_nice_yaml }}",
        "template/README.md.jinja": "# {{ name }}\n"
        + "".join(
            f"{{% if {n} %}}\nThe part {n} of {{{{ name }}}}.\n{{% endif %}}\n"
            for n in names
        ),
    }
    for number in range(40):
        files[f"template/src/{{{{ name }}}}/module_{number}.py"] = (
            f"NUMBER = {number}\n"
        )
    for name, other in zip(names, names[1:] + names[:1], strict=True):
        sheet = f"template/{{{{ '.' if {name} }}}}"
        files[f"{sheet}/{name}/settings.toml.jinja"] = (
            f'name = "{{{{ name }}}}"\n{{% if {other} %}}\nwith = "{other}"\n{{% endif %}}\n'
        )
        files[f"{sheet}/{name}/code.py"] = f'NAME = "{name}"\n'
        files[f"{sheet}/docs/{name}.md.jinja"] = f"# {name} of {{{{ name }}}}\n"
        files[f"template/shared/{name}.txt.jinja"] = (
            f"{{{{ 'with' if {name} else 'without' }}}} {name}{{% if {name} and {other} %}}, {other}{{% endif %}}\n"
        )
    return write(folder, files)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as name:
        yield Path(name)


def measure(work: Callable[[], T]) -> tuple[T, float]:
    """Do some work; return its result and its seconds."""
    began = time.perf_counter()
    return work(), time.perf_counter() - began


def answer_values(known: Known) -> dict[str, object]:
    return {name: answer.value for name, answer in known.items()}


def render(source: Path, known: Known) -> tuple[Tree, float]:
    """Render a project with Copier; return its files and the seconds."""
    with temporary_folder() as place:
        answers = answer_values(known)
        copy = partial(copier.run_copy, defaults=True, quiet=True)
        _, seconds = measure(partial(copy, str(source), place, answers))
        return tree(place), seconds


def create_repository(source: Path) -> None:
    """Commit and tag the template, because pytest-copier requires a repository."""
    for command in (
        ["init", "-q"],
        ["add", "-A"],
        ["commit", "-qm", "Start"],
        ["tag", "1.0.0"],
    ):
        subprocess.run(["git", *command], cwd=source, check=True)


def time_pytest_copier(source: Path, drawn: list[Known]) -> float:
    """Return the seconds that pytest-copier takes for one project."""
    with temporary_folder() as work:
        answers, times = work / "answers.json", work / "times.json"
        answers.write_text(json.dumps([answer_values(known) for known in drawn]))
        test = source / "test_renders.py"
        test.write_text(PYTEST_COPIER.format(answers=str(answers), times=str(times)))
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            str(test),
        ]
        done = subprocess.run(
            command, cwd=source, check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout
        return float(statistics.median(json.loads(times.read_text())))


def time_template_tester(source: Path, drawn: list[Known]) -> float:
    """Return the seconds that copier-template-tester takes for each further project."""

    def run(known: list[Known]) -> float:
        lines = ["[defaults]"]
        for number, one in enumerate(known):
            lines.append(f'[output."out/{number}"]')
            lines += [
                f"{name} = {json.dumps(value)}"
                for name, value in answer_values(one).items()
            ]
        (source / "ctt.toml").write_text("\n".join(lines) + "\n")
        command = ["uvx", "--quiet", "--from", "copier-template-tester", "ctt"]
        call = partial(subprocess.run, command, cwd=source, check=True)
        return measure(partial(call, capture_output=True))[1]

    run(drawn[:1])  # uvx installs it here, outside the measured runs
    few = run(drawn[:2])
    return (run(drawn) - few) / (len(drawn) - 2)


def compare_peers() -> None:
    """Print the seconds of each tool for one combination of the same template."""
    with temporary_folder() as source:
        write_template(source, OPTIONS)
        matrix, seconds = measure(partial(Template, source))
        combinations = matrix.questions.count()
        ours = seconds / combinations
        drawn = [matrix.questions.sample(random.Random(n)) for n in range(RENDERS)]
        renders = [render(source, known) for known in drawn]
        assert [files for files, _ in renders] == [
            matrix.tree(known) for known in drawn
        ]
        print(
            f"{combinations:,} combinations, {len(matrix.files)} files, {seconds:.2f} s"
        )
        print(f"{RENDERS} of them rendered by Copier: equal, byte for byte\n")
        rows = {"copier.run_copy": statistics.median(took for _, took in renders)}
        create_repository(source)
        rows["pytest-copier"] = time_pytest_copier(source, drawn)
        rows["copier-template-tester"] = time_template_tester(source, drawn)
        print(f"{'one combination':<24}{'ms':>12}{'ratio':>12}")
        print(f"{'the matrix':<24}{1000 * ours:>12.5f}{1:>12}")
        for name, one in rows.items():
            print(f"{name:<24}{1000 * one:>12.1f}{one / ours:>12,.0f}")


def print_curve() -> None:
    """Print how the matrix's cost grows with the number of options."""
    print(f"\n{'options':>8}{'combinations':>22}{'evaluations':>13}{'s':>8}")
    for options in CURVE:
        with temporary_folder() as source:
            template = write_template(source, options)
            matrix, seconds = measure(partial(Template, template))
            evaluations = sum(cell.evaluations for cell in matrix.cells())
            count = matrix.questions.count()
            print(f"{options:>8}{count:>22,}{evaluations:>13,}{seconds:>8.2f}")


if __name__ == "__main__":
    compare_peers()
    print_curve()
