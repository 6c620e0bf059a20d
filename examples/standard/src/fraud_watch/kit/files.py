"""Locking and atomic replacement of files that several processes change."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from . import UserError

PATIENCE = 10.0
"""Seconds to wait for a file that another process holds."""
SECRET = 0o600
"""The mode of a file that only its owner may read and write."""


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold a file, or a folder, for this process alone while it is read and changed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Any account that may write to the folder must be able to take the lock.
    lock = FileLock(path.with_name(f".{path.name}.lock"), mode=0o666)
    try:
        lock.acquire(timeout=PATIENCE)
    except Timeout:
        raise UserError(f"another command is changing {path}: try again when it has ended") from None
    try:
        yield
    finally:
        lock.release()


def replace(path: Path, text: str) -> None:
    """Put ``text`` in place of a file in one step: others see the old content or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with draft.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def append_secret(path: Path, lines: str) -> None:
    """Append to a file of settings that only its owner may read from then on."""
    path.touch(mode=SECRET)
    path.chmod(SECRET)
    with path.open("a", encoding="utf-8") as file:
        file.write(f"\n{lines}" if path.stat().st_size else lines)
