"""A Copier template as a map: path -> content, for every combination of answers.

Nothing is enumerated. Each source of the template has a cell for the paths that it makes and a cell for what it writes
there; a combination's project is looked up in them.
"""

import hashlib
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.matrix.answers import Answer, Known, Recording
from tests.matrix.cells import Cell
from tests.matrix.jinja import Place
from tests.matrix.questions import Questions, Way
from tests.matrix.sources import Extra, Failure, Source, Sources
from tests.matrix.views import View

WIDE = 64
"""A file with more versions than this is cut into pieces."""
TOO_WIDE = 4096
"""And one that has more, and cannot be cut, is refused: it would have a version for each combination."""


class TooWideError(Exception):
    """A text depends on too many answers at once."""


class Template:
    """The template in a folder."""

    def __init__(
        self, root: Path, domains: Mapping[str, list[Any]] | None = None
    ) -> None:
        """Decide all of it. `domains` names the values to try for questions of free text."""
        # The folder is never written to. It has no name that a template could learn.
        nowhere = Path("/nonexistent/project")
        self.worker = Recording(src_path=str(root), dst_path=nowhere, quiet=True)
        self.questions = Questions(self.worker, domains)
        self.paths: dict[str, list[Source]] = {}
        self._texts: dict[str, bytes] = {}
        self._digests: dict[str, list[tuple[Sequence[tuple[str, Answer]], str]]] = {}
        self._views: dict[tuple[str, Callable[[bytes], Hashable] | None], View] = {}
        matcher = lambda trace: self.questions.evaluate(trace, self._matcher)
        self._excluded = Cell("_exclude", matcher)
        self._matchers = [m for _, m in self.questions.explore(self._excluded)]
        self._excludable: dict[str, bool | None] = {}
        self._renderer = Sources(self.questions)
        self.sources = list(self._renderer)
        for source in self.sources:
            self._decide(source)

    # --- what a combination holds ------------------------------------------------------

    def content(self, path: str, way: Way) -> bytes | None:
        """What a file holds; nothing where there is none."""
        for source, extra in self.at(path, way):
            parts = [cell(way) for cell in source.contents[repr(extra)]]
            if all(isinstance(part, bytes) for part in parts):
                return b"".join(part for part in parts if isinstance(part, bytes))
        return None

    def present(self, path: str, way: Way) -> bool:
        """Whether there is such a file."""
        return any(True for _ in self.at(path, way))

    def kind(self, path: str, way: Way) -> str:
        """Whether a path is a file, a folder, or nothing."""
        if self.present(path, way):
            return "file"
        inside = f"{path}/" if path else ""
        below = (p for p in sorted(self.files) if p.startswith(inside))
        return "folder" if any(self.present(p, way) for p in below) else ""

    def listing(self, path: str, way: Way) -> str:
        """The names in a folder, one on each line."""
        inside = f"{path}/" if path else ""
        names = {
            p.removeprefix(inside).split("/")[0]
            for p in self.files
            if p.startswith(inside)
        }
        return "\n".join(n for n in sorted(names) if self.kind(inside + n, way))

    def digest(self, path: str, way: Way) -> str:
        """What a file holds, in short; nothing where there is none."""
        # A file in many pieces has many versions: walk their tree instead of joining the pieces each time.
        if path in self._in_pieces:
            return str(self.view(path, None, way) or "")
        return self._digest(path, way)

    @cached_property
    def _in_pieces(self) -> frozenset[str]:
        """The paths that sources in pieces go to. One version for each combination is no tree to keep."""
        return frozenset(
            path
            for path, sources in self.paths.items()
            if any(len(parts) > 1 for s in sources for parts in s.contents.values())
            and len(self.questions_of(path)) < len(self.questions.names)
        )

    def _digest(self, path: str, way: Way) -> str:
        content = self.content(path, way)
        if content is None:
            return ""
        digest = hashlib.sha256(content).hexdigest()
        self._texts[digest] = content
        return digest

    def text(self, digest: str) -> bytes:
        """What a file holds that has this digest."""
        return self._texts[digest]

    def placed(self, source: Source, way: Way) -> tuple[tuple[str, Extra], ...]:
        """Where a source goes: nowhere, to one path, or to several by a `yield`."""
        places = source.places(way)
        if isinstance(places, Failure):
            return ()
        return tuple(place for place in places if not self._left_out(place[0], way))

    def at(self, path: str, way: Way) -> Iterator[tuple[Source, Extra]]:
        """The files that go to a path. A folder is not asked where it goes: what it depends on is of no matter here."""
        for source in self.paths.get(path, ()):
            for place, extra in () if source.folder else self.placed(source, way):
                if place == path:
                    yield source, extra

    def view(
        self, path: str, of: Callable[[bytes], Hashable] | None, way: Way
    ) -> Hashable | None:
        """What a function says of a file's content, by the answers that matter to it; nothing where there is none.

        Without a function, the content's digest.
        """
        if path not in self._digests:
            found = self.questions.explore(lambda way: self._digest(path, way))
            self._digests[path] = [(list(known.items()), told) for known, told in found]
        if (path, of) not in self._views:
            versions = {digest for _, digest in self._digests[path] if digest}
            said: dict[str, Hashable] = {
                digest: of(self.text(digest)) if of else digest for digest in versions
            }
            rows = [(asked, said.get(digest)) for asked, digest in self._digests[path]]
            self._views[path, of] = View(rows)
        return self._views[path, of](way)

    def tree(self, known: Known) -> dict[str, bytes]:
        """The files of one combination."""
        way = Way(self.questions, self.questions.completed(known))
        found = {path: self.content(path, way) for path in sorted(self.paths)}
        return {path: text for path, text in found.items() if text is not None}

    def folders(self, known: Known) -> set[str]:
        """The folders that one combination makes, be they empty."""
        way = Way(self.questions, self.questions.completed(known))
        folders = (source for source in self.sources if source.folder)
        made = {place for source in folders for place, _ in self.placed(source, way)}
        parents = (Path(path).parents for path in self.tree(known))
        return {p.as_posix() for ps in parents for p in ps} | made | {"."}

    def versions(self, path: str) -> Iterator[tuple[Known, bytes | None]]:
        """All contents of a path, absence included, and the answers that each has."""
        return self.questions.explore(lambda way: self.content(path, way))

    # --- what decides ------------------------------------------------------------------

    @cached_property
    def files(self) -> frozenset[str]:
        """Each path at which some combination has a file."""
        holders = self.paths.items()
        return frozenset(p for p, found in holders if not all(s.folder for s in found))

    @cached_property
    def optional(self) -> frozenset[str]:
        """The files that some combinations have and some have not."""
        ways = (
            (path, self.questions.explore(lambda way, path=path: self.present(path, way)))  # type: ignore[misc]
            for path in self.files
        )
        return frozenset(
            path for path, found in ways if not all(has for _, has in found)
        )

    @property
    def arms(self) -> dict[Place, set[bool]]:
        """Each condition in a file, a path or copier.yml, and the ways in which it came out."""
        environment: Any = self.worker.jinja_env
        return {
            (environment.texts.get(name, name), line, number): outcomes
            for (name, line, number), outcomes in environment.arms.items()
        }

    def cells(self) -> Iterator[Cell[Any]]:
        """All of them, but for the questions'."""
        yield self._excluded
        for source in self.sources:
            yield source.places
            for parts in source.contents.values():
                yield from parts

    def questions_of(self, path: str) -> set[str]:
        """The questions whose answers change a path's existence or content."""
        excluded = self._excludable.get(path, False) is None
        read = self._excluded.inputs() if excluded else set()
        return read.union(*(source.made_by() for source in self.paths[path]))

    # --- how it is decided -------------------------------------------------------------

    def _matcher(self) -> Callable[[Path], bool]:
        self.worker.__dict__.pop("match_exclude", None)
        return self.worker.match_exclude

    def _left_out(self, path: str, way: Way) -> bool:
        """Whether `_exclude` leaves a path out. Answers are read only if they make a difference to this path."""
        if path not in self._excludable:
            found = {match(Path(path)) for match in self._matchers}
            self._excludable[path] = found.pop() if len(found) == 1 else None
        settled = self._excludable[path]
        return self._excluded(way)(Path(path)) if settled is None else settled

    def _decide(self, source: Source) -> None:
        """Evaluate all cells of a source."""
        explore = self.questions.explore
        written: dict[Extra, list[Known]] = {}
        for known, places in explore(lambda way: self.placed(source, way)):
            for path, extra in places:
                written.setdefault(extra, []).append(known)
                holders = self.paths.setdefault(path, [])
                if source not in holders:
                    holders.append(source)
        for extra, ways in written.items() if not source.folder else ():
            source.contents[repr(extra)] = self._write(source.path, extra, ways)

    def _write(
        self, path: Path, extra: Extra, ways: list[Known]
    ) -> list[Cell[bytes | Failure]]:
        """What a source writes where it goes: whole if that is narrow, else in pieces."""
        cells = [self._renderer.whole(path, extra)]
        if not self._decided(cells[0], ways, WIDE):
            cells = self._renderer.pieces(path, extra) or cells
            if not all(self._decided(cell, ways, TOO_WIDE) for cell in cells):
                raise TooWideError(f"{path} depends on too many answers at once")
        return cells

    def _decided(
        self, cell: Cell[bytes | Failure], ways: list[Known], limit: int
    ) -> bool:
        """Evaluate a cell in every way, unless that takes too many evaluations."""
        for known in ways:
            for _ in self.questions.explore(cell, known):
                if cell.evaluations > limit:
                    return False
        return True
