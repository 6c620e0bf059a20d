"""A template's files and folders: the paths that each makes, and what it writes there, as cells."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.inside_copier import get_yield_context, scantree
from tests.matrix.cells import Cell, Trace
from tests.matrix.jinja import UnsettledError
from tests.matrix.pieces import ONE_ANSWER, Piece, pieces
from tests.matrix.questions import Questions

Extra = tuple[tuple[str, Any], ...]
"""What a `yield` in a path adds to the context of the file."""


@dataclass(frozen=True)
class Failure:
    """A text that cannot be rendered, and why."""

    reason: str


@dataclass
class Source:
    """A file or folder of the template."""

    path: Path
    folder: bool
    places: Cell[tuple[tuple[str, Extra], ...] | Failure]
    contents: dict[str, list[Cell[bytes | Failure]]] = field(default_factory=dict)
    """The pieces of what it writes, for each context that a `yield` gives it."""

    def made_by(self) -> set[str]:
        """The questions that decide about its paths and contents."""
        written = (cell for parts in self.contents.values() for cell in parts)
        return self.places.inputs().union(*(cell.inputs() for cell in written))


class Sources:
    """All of a template's, rendered by Copier's worker."""

    def __init__(self, questions: Questions) -> None:
        self._questions = questions
        self._worker = questions.worker

    @cached_property
    def _root(self) -> Path:
        subdirectory = self._worker.template.subdirectory
        assert "{" not in subdirectory, "_subdirectory must not depend on answers"
        return (self._worker.template.local_abspath / subdirectory).resolve()

    def __iter__(self) -> Iterator[Source]:
        """Each file and folder, by its name, and where it goes."""
        for entry in sorted(scantree(str(self._root), True), key=lambda e: e.path):
            path = Path(entry.path).relative_to(self._root)
            assert not entry.is_symlink(), f"{path}: symbolic links are not supported"
            evaluate = self._settled(lambda path=path: self._places(path))  # type: ignore[misc]
            yield Source(path, entry.is_dir(), Cell(f"path {path}", evaluate))

    def _settled(self, function: Callable[[], Any]) -> Callable[[Trace], Any]:
        def safe() -> Any:
            try:
                return function()
            except (Exception, UnsettledError) as error:  # noqa: BLE001
                return Failure(f"{error or type(error).__name__}")

        return lambda trace: self._questions.evaluate(trace, safe)

    def _places(self, path: Path) -> tuple[tuple[str, Extra], ...]:
        places = []
        for place, extra in self._worker._render_path(path):
            if place.is_absolute() or ".." in place.parts:
                raise ValueError(f"{place} is outside the project")
            places.append((place.as_posix(), tuple(sorted((extra or {}).items()))))
        return tuple(places)

    def whole(self, path: Path, extra: Extra) -> Cell[bytes | Failure]:
        """What a file writes, as Copier renders it."""
        if not path.name.endswith(self._worker.template.templates_suffix):
            content = (self._root / path).read_bytes()
            return Cell(f"file {path}", lambda trace: content)
        name = self._name(path)
        template = self._worker.jinja_env.get_template

        def written() -> bytes:
            context = self._worker._render_context() | dict(extra)
            text = template(name).render(**context)
            if get_yield_context(self._worker.jinja_env).yield_name:
                raise ValueError("a yield tag belongs into a path")
            return text.encode()

        return Cell(f"file {path}", self._settled(written))

    def pieces(self, path: Path, extra: Extra) -> list[Cell[bytes | Failure]]:
        """What a file writes, cut where it can be; nothing where it cannot."""
        environment = self._worker.jinja_env
        text = (self._root / path).read_text("utf-8")
        recorded = [*self._questions.names, *self._worker.template.metadata]
        parts = pieces(environment, text, self._name(path), recorded) or []

        def written(part: Piece) -> bytes:
            context = self._worker._render_context() | dict(extra)
            if part.answer:
                self._worker.recorder.use(part.answer)
                remembered = self._worker._answers_to_remember()
                if part.answer not in remembered:
                    return b""
                context[ONE_ANSWER] = {part.answer: remembered[part.answer]}
            return part.template.render(**context).encode()

        return [
            Cell(f"{path}, piece {n}", self._settled(lambda part=part: written(part)))  # type: ignore[misc]
            for n, part in enumerate(parts)
        ]

    def _name(self, path: Path) -> str:
        full = self._root / path
        return full.relative_to(self._worker.template.local_abspath).as_posix()
