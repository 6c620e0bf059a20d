"""What commands print on a terminal."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape

console = Console(highlight=False)


@contextmanager
def step(what: str) -> Iterator[None]:
    """Show a piece of work while it runs, and then how long it took."""
    began = time.perf_counter()
    with console.status(f"{what} …"):
        yield
    console.print(f"[green]✓[/] {what} [dim]{time.perf_counter() - began:.1f} s[/]")


def fail(why: str, status: int = 2) -> None:
    """Print an error and end the process."""
    Console(stderr=True, highlight=False).print(f"[red]✗[/] {escape(why)}", soft_wrap=True)
    sys.exit(status)
