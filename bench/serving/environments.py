"""Environments of their own for those who are measured, kept under .tools/ between runs."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.serving.servers import MEGABYTE
from tests.rendering import ROOT

CACHE = ROOT / ".tools" / "bench"
REQUIREMENTS = Path(__file__).parent


class Failed(Exception):
    """A command did not do what it had to."""


def uv() -> str:
    return shutil.which("uv") or str(ROOT / ".tools" / "bin" / "uv")


def call(
    folder: Path, command: Sequence[str], environment: Mapping[str, str] | None = None
) -> str:
    """Run a command to its end; what it said."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Failed(f"{' '.join(command)} failed:\n{done.stdout[-4000:]}")
    return done.stdout


def versions(environment: Path, *packages: str) -> list[str]:
    """What an environment holds, as requirements."""
    listed = call(environment, [uv(), "pip", "freeze", "--python", str(environment)])
    lines = listed.splitlines()
    return [line for line in lines if line.split("==")[0] in packages]


def peer(name: str, exactly: Sequence[str]) -> Path:
    """The environment of one peer; the model's own libraries have the versions that fitted it."""
    requirements = REQUIREMENTS / f"{name}.txt"
    text = requirements.read_text() + "\n".join(exactly)
    folder = CACHE / name
    stamp = folder / "made-from"
    digest = hashlib.sha256(text.encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    CACHE.mkdir(parents=True, exist_ok=True)
    call(CACHE, [uv(), "venv", "--quiet", "--python", ">=3.11", str(folder)])
    constraints = folder / "constraints.txt"
    constraints.write_text("\n".join([*exactly, ""]))
    install = [uv(), "pip", "install", "--quiet", "--python", str(folder)]
    install += ["--requirement", str(requirements), "--constraint", str(constraints)]
    call(CACHE, install)
    stamp.write_text(digest)
    return folder


def megabytes(environment: Path) -> float:
    """What is installed, without the byte code that Python writes when it runs."""
    seen: dict[tuple[int, int], int] = {}
    for path in environment.rglob("*"):
        if path.is_file() and not path.is_symlink() and path.suffix != ".pyc":
            stat = path.stat()
            seen[stat.st_dev, stat.st_ino] = stat.st_size
    return sum(seen.values()) / MEGABYTE
