"""A preset suggests first answers, and is nothing else."""

import itertools

import pytest
import yaml

from tests.rendering import ANSWERS_FILE, CHOICES, QUESTIONS, Tree, render_tree
from tests.trees import template


def but_for_the_preset(tree: Tree) -> Tree:
    """The project without the line that records the preset's name."""
    kept = [
        line
        for line in tree[ANSWERS_FILE].splitlines()
        if not line.startswith(b"preset: ")
    ]
    return {**tree, ANSWERS_FILE: b"\n".join(kept)}


@pytest.mark.parametrize(
    ("preset", "problem"),
    list(itertools.product(["starter", "standard"], CHOICES["problem"])),
)
def test_the_same_answers_one_by_one_make_the_same_project(
    preset: str, problem: str
) -> None:
    project = render_tree({"preset": preset, "problem": problem})
    recorded = yaml.safe_load(project[ANSWERS_FILE])
    one_by_one = {name: recorded[name] for name in QUESTIONS} | {"preset": "custom"}
    by_hand = render_tree(one_by_one)
    assert project[ANSWERS_FILE] != by_hand[ANSWERS_FILE]
    assert but_for_the_preset(project) == but_for_the_preset(by_hand)


def test_a_preset_decides_nothing_that_was_answered() -> None:
    """No file reads it but the one that records answers, where it decides about its own line alone."""
    reads = {
        path for path in template().files if "preset" in template().questions_of(path)
    }
    assert reads == {ANSWERS_FILE}
    (source,) = template().paths[ANSWERS_FILE]
    (lines,) = source.contents.values()
    assert [cell.inputs() for cell in lines if "preset" in cell.inputs()] == [
        {"preset"}
    ]
