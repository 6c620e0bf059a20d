"""What mypy is not told of a module when it speaks of another must be nothing that matters there."""

from tests.checks.interfaces import followed, interface

SOURCE = '''
from typing import TYPE_CHECKING, Final
import json
from .far import Far, Wide
from .other import passed as passed
if TYPE_CHECKING:
    from .types import Only
LIMIT: int = compute(Wide)
KIND: Final = "text"
NUMBER = 3
def plain(far: "Far") -> "Only":
    from . import inner
    return inner.do(json)
class Shape(Protocol):
    """For people."""
    def area(self) -> float: ...
class Held:
    def __init__(self) -> None:
        self.size = 3
    def work(self) -> int:
        return self.size
    async def each(self) -> AsyncIterator[int]:
        yield 1
'''
SEEN = '''
from typing import TYPE_CHECKING, Final
from .far import Far
from .other import passed as passed
if TYPE_CHECKING:
    from .types import Only
LIMIT: int
KIND: Final = 'text'
NUMBER = 3

def plain(far: 'Far') -> 'Only':
    raise RuntimeError

class Shape(Protocol):
    """For people."""

    def area(self) -> float:
        ...

class Held:

    def __init__(self) -> None:
        self.size = 3

    def work(self) -> int:
        raise RuntimeError

    async def each(self) -> AsyncIterator[int]:
        yield 1
'''


def test_a_module_is_seen_without_what_its_functions_do() -> None:
    assert interface(SOURCE.encode()).strip() == SEEN.strip()


def test_all_imports_are_followed_wherever_they_stand() -> None:
    found = followed("src/own/kit/one.py", SOURCE)
    wanted = ("far", "types", "inner", "other", "__init__")
    assert {f"src/own/kit/{name}.py" for name in wanted} <= set(found)
    assert "src/own/__init__.py" in found
