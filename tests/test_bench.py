"""What is measured is what it says: many combinations, each as Copier makes it, and a cost that does not follow their number."""

import random
from pathlib import Path

from bench.matrix import OPTIONS, render, template
from bench.update import followers, seconds
from tests.matrix.template import Template


def evaluations(matrix: Template) -> int:
    return sum(cell.evaluations for cell in matrix.cells())


def test_the_measured_template_has_many_combinations(tmp_path: Path) -> None:
    source = template(tmp_path, OPTIONS)
    matrix = Template(source)
    assert matrix.questions.count() > 100_000
    known = matrix.questions.sample(random.Random(7))
    assert render(source, known)[0] == matrix.tree(known)


def test_twice_the_options_cost_little_more_than_twice(tmp_path: Path) -> None:
    few, many = (
        evaluations(Template(template(tmp_path / str(options), options)))
        for options in (15, 30)
    )
    assert many < 2.5 * few


def test_the_floor_of_an_update_has_as_many_files(
    tmp_path: Path, default_gitconfig: object
) -> None:
    ours, least = followers(tmp_path).values()
    assert len(ours.files()) == len(least.files())
    assert all(processor > 0 for processor, _ in map(seconds, (ours, least)))
