"""The LICENSE file is the licence that was chosen, whole, and names its holder."""

import hashlib

import pytest

from tests.rendering import render_tree

MARKS = {
    "MIT": ("Permission is hereby granted, free of charge", 'PROVIDED "AS IS"'),
    "Apache-2.0": ("Version 2.0, January 2004", "END OF TERMS AND CONDITIONS"),
    "BSD-3-Clause": ("Redistributions in binary form", "Neither the name of"),
}


@pytest.mark.parametrize("licence", MARKS)
def test_the_licence_is_the_chosen_one(licence: str) -> None:
    project = render_tree({"licence": licence, "user_name": "Ada Lovelace"})
    text = project["LICENSE"].decode()
    assert all(mark in text for mark in MARKS[licence])
    assert ("Copyright (c) Ada Lovelace" in text) == (licence != "Apache-2.0")
    assert f'license = "{licence}"' in project["pyproject.toml"].decode()


def test_nobody_named_is_the_projects_authors() -> None:
    text = render_tree({"project_name": "Churn {{ x }}"})["LICENSE"].decode()
    assert "Copyright (c) the authors of Churn {{ x }}\n" in text


def test_apaches_text_is_the_published_one() -> None:
    text = render_tree({"licence": "Apache-2.0"})["LICENSE"]
    digest = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"
    assert hashlib.sha256(text).hexdigest() == digest


def test_proprietary_grants_nothing() -> None:
    project = render_tree({"licence": "proprietary"})
    assert "LICENSE" not in project
    assert "license" not in project["pyproject.toml"].decode()
