"""The matrix benchmark: many combinations, each as Copier renders it, at a cost that does not grow with their number."""

import random
from pathlib import Path

from bench.matrix import OPTIONS, render, write_template
from bench.update import create_projects, time_update
from tests.matrix.template import Template


def evaluations(matrix: Template) -> int:
    return sum(cell.evaluations for cell in matrix.cells())


def test_the_synthetic_template_renders_as_copier_does(tmp_path: Path) -> None:
    source = write_template(tmp_path, OPTIONS)
    matrix = Template(source)
    assert matrix.questions.count() > 100_000
    known = matrix.questions.sample(random.Random(7))
    assert render(source, known)[0] == matrix.tree(known)


def test_twice_the_options_cost_little_more_than_twice(tmp_path: Path) -> None:
    few, many = (
        evaluations(Template(write_template(tmp_path / str(options), options)))
        for options in (15, 30)
    )
    assert many < 2.5 * few


def test_the_compared_projects_have_as_many_files(
    tmp_path: Path, default_gitconfig: object
) -> None:
    ours, least = create_projects(tmp_path).values()
    assert len(ours.files()) == len(least.files())
    for project in (ours, least):
        processor, _ = time_update(project)
        assert processor > 0
