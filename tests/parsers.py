"""Every format that a project holds, and the parser that says whether a file is valid."""

import ast
import configparser
import json
import re
import subprocess
import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import PurePosixPath
from threading import Lock

import yaml
from markdown_it import MarkdownIt
from packaging.requirements import Requirement

_parsing = Lock()


def parsed(source: str | bytes) -> ast.Module:
    """Parse Python; one thread at a time, for Python 3.11 counts the depth of all threads together and then gives up."""
    with _parsing:
        return ast.parse(source)


def _lines(text: str) -> None:
    """Plain text: whole lines, with no space behind them that nobody sees."""
    assert text.endswith("\n") and not text.endswith("\n\n"), "ends in one newline"
    for line in text.splitlines():
        assert line == line.rstrip(), f"trailing space: {line!r}"


def _make(text: str) -> None:
    done = subprocess.run(
        ["make", "--dry-run", "--file=-", "help"],
        check=False,
        input=text,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def _env(text: str) -> None:
    for line in text.splitlines():
        assert not line or line.startswith("#") or "=" in line, line


def _ini(text: str) -> None:
    configparser.ConfigParser().read_string(f"[root]\n{text}")


def _locked(text: str) -> None:
    """Requirements, each of one version and with hashes."""
    for entry in re.sub(r"\\\n\s*", "", text).splitlines():
        words = entry.split()
        (wanted,) = Requirement(words[0]).specifier
        assert wanted.operator == "==", entry
        assert words[1:], f"no hash: {entry}"
        for word in words[1:]:
            assert re.fullmatch("--hash=sha256:[0-9a-f]{64}", word), word


def _markdown(text: str) -> None:
    assert MarkdownIt().parse(text)


PARSERS: dict[str, Callable[[str], object]] = {
    ".env.example": _env,
    ".ipynb": json.loads,
    ".json": json.loads,
    ".md": _markdown,
    ".py": parsed,
    ".toml": tomllib.loads,
    ".txt": _locked,
    ".yaml": yaml.safe_load,
    ".yml": yaml.safe_load,
    "Makefile": _make,
    "config": _ini,
    # Their own tools read these in other tests; a file of lines is all they are here.
    ".dockerignore": _lines,
    ".dvcignore": _lines,
    ".gitignore": _lines,
    "Dockerfile": _lines,
    "LICENSE": _lines,
    "py.typed": lambda text: None,
}


@cache
def parse(path: str, content: bytes) -> None:
    """Fail, naming the file, unless it is valid in its own format."""
    name = PurePosixPath(path)
    parser = PARSERS.get(name.name) or PARSERS.get(name.suffix)
    assert parser, f"{path}: no parser in tests/parsers.py knows this format"
    text = content.decode("utf-8")
    assert "\r" not in text, f"{path}: a carriage return"
    try:
        parser(text)
    except Exception as error:
        raise AssertionError(f"{path} is not valid: {error}\n{text[:2000]}") from error
