"""What a check sees of a project: it looks at files, and each look is recorded.

So a check is a cell too. It is evaluated once for all the combinations whose projects agree on what it looked at, be it the
content of a file, or that there is none.
"""

from collections.abc import Callable, Hashable, Sequence
from fnmatch import fnmatchcase
from typing import Any, TypeVar, cast

from tests.matrix.cells import Cell, Reader
from tests.matrix.questions import Way
from tests.matrix.template import Template

T = TypeVar("T")
V = TypeVar("V", bound=Hashable)


class Project:
    """The files of one combination."""

    def __init__(self, template: Template, read: Reader) -> None:
        self.template = template
        self._read = read

    def content(self, path: str) -> bytes | None:
        """What a file holds; nothing where there is none."""
        digest: Any = self._read((path, "content"))
        return self.template.text(digest) if digest else None

    def view(self, path: str, of: Callable[[bytes], V]) -> V | None:
        """What a function of no more than its content says of a file; nothing where there is none.

        Only what it says counts as read: a part of a file stays the same when another part changes.
        """
        value: Any = self._read((path, of))
        return value  # type: ignore[no-any-return]

    def text(self, path: str) -> str:
        """What a file holds, as text; empty where there is none."""
        return (self.content(path) or b"").decode("utf-8")

    def has(self, path: str) -> bool:
        """Whether there is such a file."""
        return bool(self._read((path, "present")))

    def answer(self, question: str) -> Any:
        """What was answered to a question, for what no file tells."""
        answer: Any = self._read((question, "answer"))
        return answer.value

    @property
    def optional(self) -> frozenset[str]:
        """The files that some combinations have and some have not. To ask for them is no look at this project."""
        return self.template.optional

    def files(self, *patterns: str) -> list[str]:
        """The files whose paths fit one of the patterns, as a shell reads them; `*` covers folders too."""
        return [path for path in self._fitting(patterns) if self.has(path)]

    def some(self, *patterns: str) -> bool:
        """Whether there is such a file. Those that every project has are looked for first."""
        fitting = self._fitting(patterns)
        return any(map(self.has, sorted(fitting, key=self.optional.__contains__)))

    def _fitting(self, patterns: Sequence[str]) -> list[str]:
        return [
            path
            for path in sorted(self.template.files)
            if any(fnmatchcase(path, pattern) for pattern in patterns)
        ]


def looking(
    name: str, template: Template, check: Callable[[Project], T]
) -> Callable[[Way], T]:
    """A check as a function of answers, evaluated once for what it looks at."""
    cell = Cell(name, lambda trace: check(Project(template, trace)))
    return lambda way: cell(reader(template, way))


def reader(template: Template, way: Way) -> Reader:
    """Look at the project of one way through the questions."""

    def look(key: Hashable) -> Hashable:
        subject, what = cast(tuple[str, Any], key)
        if what == "answer":
            return way(subject)
        if what == "present":
            return template.present(subject, way)
        if what == "kind":
            return template.kind(subject, way)
        if what == "listing":
            return template.listing(subject, way)
        if what == "content":
            return template.digest(subject, way)
        return template.view(subject, what, way)

    return look
