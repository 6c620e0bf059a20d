"""The matrix beside those who render every combination: `make bench`.

The template is made here: options of a kind that templates have, each with a folder of its own, lines in shared files and a
branch that depends on another option. Times are processor seconds of one run, so that only their ratios say something.
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
"""Of two answers each: 131,072 combinations."""
CURVE = (5, 10, 15, 20, 30, 40)
RENDERS = 12
SETTINGS = """\
_subdirectory: template
_envops: {undefined: jinja2.StrictUndefined, trim_blocks: true, lstrip_blocks: true}
name: {type: str, default: demo}
"""
# What measures pytest-copier runs inside a test of its own.
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


def template(folder: Path, options: int) -> Path:
    """A template with so many options."""
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
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as made:
        yield Path(made)


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """What some work makes, and its seconds."""
    began = time.perf_counter()
    return work(), time.perf_counter() - began


def plain(known: Known) -> dict[str, object]:
    return {name: answer.value for name, answer in known.items()}


def render(source: Path, known: Known) -> tuple[Tree, float]:
    """A project by Copier, and its seconds."""
    with folder() as place:
        answers = plain(known)
        copy = partial(copier.run_copy, defaults=True, quiet=True)
        _, took = timed(partial(copy, str(source), place, answers))
        return tree(place), took


def repository(source: Path) -> None:
    """What pytest-copier commits and tags must be a repository."""
    for command in (
        ["init", "-q"],
        ["add", "-A"],
        ["commit", "-qm", "made"],
        ["tag", "1.0.0"],
    ):
        subprocess.run(["git", *command], cwd=source, check=True)


def pytest_copier(source: Path, drawn: list[Known]) -> float:
    """Its seconds for one render."""
    with folder() as work:
        answers, times = work / "answers.json", work / "times.json"
        answers.write_text(json.dumps([plain(known) for known in drawn]))
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


def template_tester(source: Path, drawn: list[Known]) -> float:
    """The seconds that copier-template-tester takes for one more render."""

    def run(known: list[Known]) -> float:
        lines = ["[defaults]"]
        for number, one in enumerate(known):
            lines.append(f'[output."out/{number}"]')
            lines += [
                f"{name} = {json.dumps(value)}" for name, value in plain(one).items()
            ]
        (source / "ctt.toml").write_text("\n".join(lines) + "\n")
        command = ["uvx", "--quiet", "--from", "copier-template-tester", "ctt"]
        call = partial(subprocess.run, command, cwd=source, check=True)
        return timed(partial(call, capture_output=True))[1]

    run(drawn[:1])  # installs it
    few = run(drawn[:2])
    return (run(drawn) - few) / (len(drawn) - 2)


def peers() -> None:
    """One combination by each of them, on the same template."""
    with folder() as source:
        template(source, OPTIONS)
        matrix, whole = timed(partial(Template, source))
        combinations = matrix.questions.count()
        ours = whole / combinations
        drawn = [matrix.questions.sample(random.Random(n)) for n in range(RENDERS)]
        renders = [render(source, known) for known in drawn]
        assert [made for made, _ in renders] == [matrix.tree(known) for known in drawn]
        print(
            f"{combinations:,} combinations, {len(matrix.files)} files, {whole:.2f} s"
        )
        print(f"{RENDERS} of them rendered by Copier: equal, byte for byte\n")
        rows = {"copier.run_copy": statistics.median(took for _, took in renders)}
        repository(source)
        rows["pytest-copier"] = pytest_copier(source, drawn)
        rows["copier-template-tester"] = template_tester(source, drawn)
        print(f"{'one combination':<24}{'ms':>12}{'ratio':>12}")
        print(f"{'the matrix':<24}{1000 * ours:>12.5f}{1:>12}")
        for name, one in rows.items():
            print(f"{name:<24}{1000 * one:>12.1f}{one / ours:>12,.0f}")


def curve() -> None:
    """The cost of more options."""
    print(f"\n{'options':>8}{'combinations':>22}{'evaluations':>13}{'s':>8}")
    for options in CURVE:
        with folder() as source:
            matrix, took = timed(partial(Template, template(source, options)))
            evaluations = sum(cell.evaluations for cell in matrix.cells())
            count = matrix.questions.count()
            print(f"{options:>8}{count:>22,}{evaluations:>13,}{took:>8.2f}")


if __name__ == "__main__":
    peers()
    curve()
