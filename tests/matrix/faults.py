"""What Copier itself could not make of a template: a text that fails, or two sources at one path."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.matrix.cells import Cell
from tests.matrix.questions import Way
from tests.matrix.sources import Failure, Source
from tests.matrix.template import Template
from tests.matrix.verdicts import Failing, failing


def faults(template: Template) -> list[Failing]:
    """All of them, and the combinations that have each."""
    found = []
    for name, subject, of in (*_failures(template), *_meetings(template)):
        ways = [
            (known, (problem,) if problem else ())
            for known, problem in template.questions.explore(of)
        ]
        found += failing(template.questions, name, subject, ways)
    return found


Fault = tuple[str, str, Callable[[Way], str]]


def _failures(template: Template) -> Iterator[Fault]:
    for source in template.sources:
        label = str(source.path)
        if _failed(source.places):
            yield "renders", label, lambda way, s=source: _reason(s.places(way))  # type: ignore[misc]
        for key, cells in source.contents.items():
            for cell in filter(_failed, cells):
                yield "renders", label, _writing(template, source, key, cell)


def _failed(cell: Cell[Any]) -> bool:
    return any(isinstance(r, Failure) for node in cell.nodes() for r in node.result)


def _reason(result: object) -> str:
    return result.reason if isinstance(result, Failure) else ""


def _writing(
    template: Template, source: Source, key: str, cell: Cell[bytes | Failure]
) -> Callable[[Way], str]:
    """Why a source cannot be written where it goes."""

    def written(way: Way) -> str:
        places = template.placed(source, way)
        goes = any(repr(extra) == key for _, extra in places)
        return _reason(cell(way)) if goes else ""

    return written


def _meetings(template: Template) -> Iterator[Fault]:
    """Two sources at one path, or a file where another needs a folder. Which one wins depends on the order of a folder."""
    for path, holders in sorted(template.paths.items()):
        above = [parent.as_posix() for parent in Path(path).parents]
        # Of what is above, folders are in nobody's way; nor is it asked when they are there.
        rivals = [(path, source) for source in holders]
        rivals += [
            (p, s) for p in above for s in template.paths.get(p, ()) if not s.folder
        ]
        if len(rivals) > 1 and not all(source.folder for _, source in rivals):
            yield "meets", path, lambda way, path=path, rivals=rivals: _met(template, path, rivals, way)  # type: ignore[misc]


def _met(
    template: Template, path: str, rivals: list[tuple[str, Source]], way: Way
) -> str:
    there = [
        (place, source)
        for place, source in rivals
        if any(goes == place for goes, _ in template.placed(source, way))
    ]
    if len(there) < 2 or all(place != path for place, _ in there):
        return ""
    return " and ".join(str(source.path) for _, source in there) + " meet"
