"""Whole projects rendered in this process, quickly: path -> content, for any answers.

A folder without git, and no git on Copier's own path, save it a clone per project and a
process per file; compiling each Jinja text once saves most of the rest: some 60 ms a
project instead of half a second. tests/test_new.py holds that the real thing agrees.
"""

import atexit
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from types import CodeType
from typing import Any
from unittest.mock import patch

import copier
import jinja2
import yaml
from jinja2.compiler import CodeGenerator
from plumbum import local

from tests.inside_copier import load_template_config

ROOT = Path(__file__).resolve().parents[1]
ANSWERS_FILE = ".copier-answers.yml"
Tree = dict[str, bytes]


def organisation() -> str:
    """What this repository's org.yml says: nothing, unless it is a fork."""
    text = (ROOT / "org.yml").read_text("utf-8")
    return text if any(yaml.safe_load_all(text)) else ""


def source(org: str = "") -> Path:
    """What Copier reads of the template, in a folder that is no repository.

    Without an org.yml, unless its text is given: what a fork settles for itself changes
    nothing of what the template has to do.
    """
    return _source(org)


@cache
def _source(org: str) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="slipway-template-"))
    atexit.register(shutil.rmtree, folder)
    for part in ("hooks", "template"):
        shutil.copytree(ROOT / part, folder / part)
    shutil.copy(ROOT / "copier.yml", folder)
    if org:
        (folder / "org.yml").write_text(org, "utf-8")
    return folder


def settings(org: str = "") -> dict[str, Any]:
    """copier.yml, and an org.yml of this text, as Copier reads them."""
    return dict(load_template_config(source(org) / "copier.yml"))


def questions(org: str = "") -> dict[str, dict[str, Any]]:
    """What is asked, in order."""
    found = settings(org).items()
    return {name: question for name, question in found if not name.startswith("_")}


QUESTIONS = questions()
# Every answer of every question that offers a list, but for the preset, which only
# suggests: tests/test_presets.py holds that it changes nothing else.
CHOICES = {
    name: sorted(question["choices"].values())
    for name, question in QUESTIONS.items()
    if isinstance(question.get("choices"), dict) and name != "preset"
}


_compile = jinja2.Environment.compile
_compiled: dict[tuple[str | None, ...], CodeType] = {}


def _compile_once(
    environment: jinja2.Environment,
    text: str,
    name: str | None = None,
    filename: str | None = None,
) -> CodeType:
    """The code of a text depends on settings that are the same for every answer."""
    if environment.code_generator_class is not CodeGenerator:
        # The matrix compiles code that records what it reads.
        return _compile(environment, text, name, filename)
    # A clone is in another folder each time; where its files lie is of use to tracebacks alone.
    key = (text, name)
    if key not in _compiled:
        _compiled[key] = _compile(environment, text, name, filename)
    return _compiled[key]


def compiling_once() -> AbstractContextManager[object]:
    """Let Copier compile each text once in this process."""
    return patch.object(jinja2.Environment, "compile", _compile_once)


def render(folder: Path, answers: Mapping[str, str], org: str = "") -> Path:
    """Copy into `folder`, as `copier copy --defaults` does; the name does not follow from the folder's."""
    with local.env(PATH=""), compiling_once():
        copier.run_copy(
            str(source(org)),
            folder,
            {"project_name": "Churn model", **answers},
            defaults=True,
            quiet=True,
            settings=copier.Settings(),
        )
    return folder


def tree(folder: Path) -> Tree:
    """The content of every file, by its path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def render_tree(answers: Mapping[str, str]) -> Tree:
    """The project that these answers make; what is left out takes its default."""
    with tempfile.TemporaryDirectory(prefix="slipway-project-") as folder:
        return tree(render(Path(folder), answers))
