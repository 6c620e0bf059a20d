"""The lists of names that no package may have are complete."""

import keyword
import re
import sys

import jinja2
from jinja2_ansible_filters import AnsibleCoreFiltersExtension

from tests.rendering import ROOT, render_tree

ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(ROOT),
    extensions=[AnsibleCoreFiltersExtension],
    trim_blocks=True,
    lstrip_blocks=True,
)
NAMES = ENVIRONMENT.get_template("hooks/names.jinja").module


def refusal(name: str) -> str:
    """What hooks/names.jinja says of a name; empty when it may be used."""
    return str(NAMES.refusal(name)).strip()  # type: ignore[attr-defined]


def test_every_keyword_is_refused() -> None:
    for word in [*keyword.kwlist, *keyword.softkwlist]:
        if word != "_":
            assert "Python keyword" in refusal(word.lower()), word


def test_every_module_of_the_standard_library_is_refused() -> None:
    # `test` is one, too, though Python does not list it.
    for module in [*sys.stdlib_module_names, "test"]:
        if re.fullmatch("[A-Za-z][a-z0-9_]+", module):
            assert refusal(module.lower()), module


def test_every_folder_and_module_of_the_project_is_refused() -> None:
    for path in render_tree({"package_name": "own_name"}):
        names = re.match("(?:src/own_name/)?([a-z][a-z0-9_]+)(?:/|[.]py$)", path)
        if names and names[1] not in {"own_name"}:
            assert refusal(names[1]), f"{path}: refuse its name in hooks/names.jinja"


def test_ordinary_names_are_free() -> None:
    assert not any(map(refusal, ["churn", "fraud_watch", "ml_service", "ab", "a1"]))


def test_a_project_is_called_like_its_folder_where_it_can_be() -> None:
    folders = {
        "churn": "Churn",
        "card-fraud_2": "Card fraud 2",
        "Größe": "Größe",
        "tests": "Card fraud",
        "xgboost": "Card fraud",
        "": "Card fraud",
        "a\x07b": "Card fraud",
    }
    for folder, name in folders.items():
        assert str(NAMES.proposed(folder)).strip() == name  # type: ignore[attr-defined]
