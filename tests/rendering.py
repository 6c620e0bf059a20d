"""Whole projects rendered in this process, quickly: path -> content, for any answers.

A folder without git, and no git on Copier's own path, save it a clone per project and a
process per file; compiling each Jinja text once saves most of the rest: some 60 ms a
project instead of half a second. tests/test_new.py holds that the real thing agrees.
"""

import atexit
import shutil
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import CodeType
from typing import Any
from unittest.mock import patch

import copier
import jinja2
import yaml
from plumbum import local

ROOT = Path(__file__).resolve().parents[1]
ANSWERS_FILE = ".copier-answers.yml"
Tree = dict[str, bytes]

QUESTIONS: dict[str, dict[str, Any]] = {
    name: question
    for name, question in yaml.safe_load((ROOT / "copier.yml").read_text()).items()
    if not name.startswith("_")
}
# Every answer of every question that offers a list, but for the preset, which only
# suggests: tests/test_presets.py holds that it changes nothing else.
CHOICES = {
    name: sorted(question["choices"].values())
    for name, question in QUESTIONS.items()
    if isinstance(question.get("choices"), dict) and name != "preset"
}


@cache
def source(root: Path = ROOT) -> Path:
    """What Copier reads of the template, in a folder that is no repository."""
    folder = Path(tempfile.mkdtemp(prefix="slipway-template-"))
    atexit.register(shutil.rmtree, folder)
    for part in ("hooks", "template"):
        shutil.copytree(root / part, folder / part)
    shutil.copy(root / "copier.yml", folder)
    return folder


_compile = jinja2.Environment.compile
_compiled: dict[tuple[str | None, ...], CodeType] = {}


def _compile_once(
    environment: jinja2.Environment,
    text: str,
    name: str | None = None,
    filename: str | None = None,
) -> CodeType:
    """The code of a text depends on settings that are the same for every answer."""
    key = (text, name, filename)
    if key not in _compiled:
        _compiled[key] = _compile(environment, text, name, filename)
    return _compiled[key]


def render(folder: Path, answers: Mapping[str, str]) -> Path:
    """Copy into `folder`, as `copier copy --defaults` does."""
    once = patch.object(jinja2.Environment, "compile", _compile_once)
    with local.env(PATH=""), once:
        copier.run_copy(
            str(source()),
            folder,
            dict(answers),
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
