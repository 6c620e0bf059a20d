"""The part of `make doctor` that looks at what git doesn't hold: settings, keys and stored models."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

WITHOUT_VALUE = re.compile(r"^\s*(?:export\s+)?(\w+)\s*=\s*(?:#.*)?$", re.MULTILINE)
STORE = re.compile(r"^\s*(?:export\s+)?STORE\s*=\s*[\"']?([^\"'\s#]+)", re.MULTILINE)
Found = Iterator[tuple[str, str, str]]
"""The code of each finding, its file, and a message."""


def examine(project: Path) -> Found:
    """Find what is wrong with settings, keys and stored models."""
    file = project / ".env"
    env = file.read_text("utf-8") if file.is_file() else ""
    for name in WITHOUT_VALUE.findall(env):
        yield "setting-without-value", ".env", f"{name} is set to nothing, which is not its default"
    yield from keys(project)
    named = STORE.search(env)
    store = os.environ.get("STORE") or (named[1] if named else "store")
    yield from models(project, project / store)


def keys(project: Path) -> Found:
    """Find private keys that git holds, or that others on this machine can read."""
    for file in sorted(project.glob("signing/**/*.pem")):
        if not file.is_file() or b"PRIVATE KEY" not in file.read_bytes():
            continue
        path = file.relative_to(project).as_posix()
        with suppress(OSError):
            command = ["git", "ls-files", "--", path]
            if subprocess.run(command, check=False, cwd=project, capture_output=True).stdout:
                yield "tracked-key", path, "git holds it: whoever has the repository can sign models"
        if os.name == "posix" and file.stat().st_mode & 0o077:
            yield "readable-key", path, "others on this machine can read this private key"


def models(project: Path, store: Path) -> Found:
    """Find the champion and versions before it that have no signature. The service checks whether it is right."""
    try:
        champion = json.loads((store / "champion.json").read_bytes())
        versions = [*champion["before"], champion["version"]]
    except (OSError, ValueError, KeyError, TypeError):
        return
    folders = [store / "versions" / str(version) for version in dict.fromkeys(versions)]
    present = [folder for folder in folders if folder.is_dir()]
    if unsigned := [folder.name for folder in present if not (folder / "manifest.sig").exists()]:
        path = store.relative_to(project).as_posix() if store.is_relative_to(project) else str(store)
        yield "unsigned-model", path, f"no key has signed version {', '.join(unsigned)}"
