"""All the projects there are, rendered once for the whole session."""

import hashlib
from collections.abc import Iterator
from functools import cache

from tests.ownership import PACKAGE
from tests.rendering import Tree, every_answer, render_tree

Answers = dict[str, str]
_contents: dict[str, bytes] = {}


@cache
def _projects() -> list[tuple[Answers, dict[str, str]]]:
    projects = []
    for answers in every_answer():
        tree = render_tree({"preset": "custom", "package_name": PACKAGE, **answers})
        digests = {}
        for path, content in tree.items():
            digests[path] = hashlib.sha256(content).hexdigest()
            _contents[digests[path]] = content
        projects.append((answers, digests))
    return projects


def projects() -> Iterator[tuple[Answers, Tree]]:
    """Every combination of answers, and its files."""
    for answers, digests in _projects():
        yield answers, {path: _contents[digest] for path, digest in digests.items()}


@cache
def files() -> dict[str, frozenset[bytes]]:
    """Every path that some project holds, and the contents that it has."""
    found: dict[str, set[bytes]] = {}
    for _, tree in projects():
        for path, content in tree.items():
            found.setdefault(path, set()).add(content)
    return {path: frozenset(contents) for path, contents in found.items()}
