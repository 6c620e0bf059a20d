"""Virtual environments for the measured servers, kept in .tools/ between runs."""

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


class CommandFailed(Exception):
    """A command that exited with an error, or whose result is wrong."""


def find_uv() -> str:
    return shutil.which("uv") or str(ROOT / ".tools" / "bin" / "uv")


def run_command(
    folder: Path, command: Sequence[str], environment: Mapping[str, str] | None = None
) -> str:
    """Run a command and return its output; raise `CommandFailed` if it fails."""
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
        raise CommandFailed(f"{' '.join(command)} failed:\n{done.stdout[-4000:]}")
    return done.stdout


def versions(environment: Path, *packages: str) -> list[str]:
    """Return the installed versions of some packages, as requirements."""
    command = [find_uv(), "pip", "freeze", "--python", str(environment)]
    lines = run_command(environment, command).splitlines()
    return [line for line in lines if line.split("==")[0] in packages]


def peer_environment(name: str, model_versions: Sequence[str]) -> Path:
    """Create the environment of a peer, or reuse it; the model's libraries have the versions that fitted it."""
    requirements = REQUIREMENTS / f"{name}.txt"
    text = requirements.read_text() + "\n".join(model_versions)
    folder = CACHE / name
    stamp = folder / "made-from"
    digest = hashlib.sha256(text.encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    CACHE.mkdir(parents=True, exist_ok=True)
    run_command(
        CACHE, [find_uv(), "venv", "--quiet", "--python", ">=3.11", str(folder)]
    )
    constraints = folder / "constraints.txt"
    constraints.write_text("\n".join([*model_versions, ""]))
    install = [find_uv(), "pip", "install", "--quiet", "--python", str(folder)]
    install += ["--requirement", str(requirements), "--constraint", str(constraints)]
    run_command(CACHE, install)
    stamp.write_text(digest)
    return folder


def installed_megabytes(environment: Path) -> float:
    """Return the size of what is installed, without the bytecode that Python writes when it runs."""
    sizes: dict[tuple[int, int], int] = {}  # by inode, as links share one file
    for path in environment.rglob("*"):
        if path.is_file() and not path.is_symlink() and path.suffix != ".pyc":
            stat = path.stat()
            sizes[stat.st_dev, stat.st_ino] = stat.st_size
    return sum(sizes.values()) / MEGABYTE
