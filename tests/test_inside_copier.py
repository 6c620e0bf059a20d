"""What the matrix uses of Copier's private code is as it was when the matrix was written for it.

A failure here names the version of Copier and what it changed. Read the change, adapt tests/matrix, and then the table.
"""

import ast
import inspect
from importlib.metadata import version
from typing import Any

import pytest

from tests import inside_copier
from tests.inside_copier import (
    AnswersMap,
    LazyDict,
    Phase,
    Question,
    SettingsModel,
    Worker,
    get_yield_context,
    load_template_config,
    operation,
    scantree,
)
from tests.rendering import ROOT

SIGNATURES = {
    Worker._render_context: "(self)",
    Worker._render_path: "(self, relpath)",
    Worker._answers_to_remember: "(self)",
    Question.get_when: "(self)",
    Question.get_default: "(self)",
    Question.parse_answer: "(self, answer)",
    Question.validate_answer: "(self, answer)",
    Phase.use: "(phase)",
    get_yield_context: "(env)",
    load_template_config: "(conf_path, quiet)",
    scantree: "(path, follow_symlinks)",
}
FIELDS = {
    AnswersMap: {"hidden", "metadata", "user"},
    Question: {"answers", "context", "jinja_env", "settings", "var_name"}
    | {"choices", "multiselect"},
    Worker: {"answers", "dst_path", "quiet", "src_path"},
}
ATTRIBUTES = {
    LazyDict: {"get", "__getitem__"},
    Question: {"_formatted_choices"},
    SettingsModel: {"model_fields"},
    Worker: {"jinja_env", "match_exclude", "template"},
}
CHANGED = f"Copier {version('copier')} changed"


@pytest.mark.parametrize("function", SIGNATURES, ids=lambda f: f.__qualname__)
def test_functions_take_what_they_took(function: Any) -> None:
    taken = f"({', '.join(inspect.signature(function).parameters)})"
    assert taken == SIGNATURES[function], f"{CHANGED} {function.__qualname__}{taken}"


@pytest.mark.parametrize("of", FIELDS, ids=lambda of: of.__name__)
def test_classes_have_their_fields(of: Any) -> None:
    left = FIELDS[of] - set(of.__dataclass_fields__)
    assert not left, f"{CHANGED} {of.__name__}: {left} are gone"


@pytest.mark.parametrize("of", ATTRIBUTES, ids=lambda of: of.__name__)
def test_classes_have_their_attributes(of: Any) -> None:
    left = {name for name in ATTRIBUTES[of] if not hasattr(of, name)}
    assert not left, f"{CHANGED} {of.__name__}: {left} are gone"


def test_copier_keeps_what_it_does_in_a_context_variable() -> None:
    token = operation.set("update")
    operation.reset(token)
    assert operation.name == "_operation", f"{CHANGED} {operation.name}"


def test_no_other_file_imports_private_parts_of_copier() -> None:
    for folder in ("bench", "hooks", "slipway", "tests"):
        for path in (ROOT / folder).rglob("*.py"):
            if path == ROOT / "tests" / "inside_copier.py":
                continue
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                module = getattr(node, "module", None) or ""
                names = [alias.name for alias in getattr(node, "names", ())]
                named = [n for n in (module, *map(str, names)) if "copier._" in n]
                assert not named, f"{path}: import {named} in tests/inside_copier.py"


def test_each_name_of_the_adapter_is_used() -> None:
    others = [
        p for p in (ROOT / "tests").rglob("*.py") if "inside_copier" not in p.name
    ]
    text = "".join(path.read_text("utf-8") for path in others)
    assert [name for name in inside_copier.__all__ if name not in text] == []
