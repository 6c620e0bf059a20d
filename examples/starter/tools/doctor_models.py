"""Find keys and stored models that are less safe than they should be, and personal values that they hold."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import yaml

STORE = re.compile(r"^\s*(?:export\s+)?STORE\s*=\s*[\"']?([^\"'\s#]+)", re.MULTILINE)
CODES = {
    "tracked-key": ("error", "git rm --cached {path}, then replace the key (docs/guide.md: Signed models)"),
    "readable-key": ("warning", "chmod 600 {path}"),
    "unsigned-model": ("warning", "if you trust these models, sign them (docs/guide.md: Signed models)"),
    "personal-values": ("warning", "write type: text and input: false, not the list; train and promote"),
}
VERIFY = """
from {package}.kit.settings import Settings
from {package}.kit.store import Store

store = Store(Settings().store)
if store.keys.exist():
    print("verified", *(version for version in store.servable() if not store.vouched(version)))
"""
Found = Iterator[tuple[str, str, str]]
"""The code of each finding, its file, and a message."""


def check(project: Path) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield each finding as code, severity, path, message and cure."""
    for code, path, message in found(project):
        severity, cure = CODES[code]
        yield code, severity, path, message, cure.replace("{path}", path)


def found(project: Path) -> Found:
    yield from keys(project)
    for column in personal(project / "schema.yaml"):
        what = f"{column} is personal, and its values are listed: train refuses it"
        yield "personal-values", "schema.yaml", what
    file = project / ".env"
    named = STORE.search(file.read_text("utf-8") if file.is_file() else "")
    yield from models(project, Path(os.environ.get("STORE") or (named[1] if named else "store")))


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
    """Find models that no key has signed, of those that may serve, and personal values in the champion."""
    try:
        champion = json.loads((project / store / "champion.json").read_bytes())
        versions = [str(version) for version in (*champion["before"], champion["version"])]
    except (OSError, ValueError, KeyError, TypeError):
        return  # nothing serves, or the file is damaged, which the service says
    folders = {version: project / store / "versions" / version for version in versions}
    present = [version for version, folder in folders.items() if folder.is_dir()]
    refused = unverified(project)
    unsigned = [v for v in present if v in refused or not (folders[v] / "manifest.sig").exists()]
    if unsigned:
        who = "no key that this project trusts" if refused else "no key"
        yield "unsigned-model", str(store), f"{who} has signed version {', '.join(unsigned)}"
    path = store / "versions" / versions[-1] / "schema.yaml"
    for column in personal(project / path):
        what = f"version {versions[-1]}, which serves, holds the values of {column}, which is personal"
        yield "personal-values", str(path), what


def unverified(project: Path) -> list[str]:
    """Return the versions that no trusted key has signed; none where the project isn't installed."""
    with suppress(OSError, ValueError, KeyError, TypeError, yaml.YAMLError, subprocess.SubprocessError):
        package = yaml.safe_load((project / ".copier-answers.yml").read_text("utf-8"))["package_name"]
        places = [project.resolve() / ".venv" / path for path in ("bin/python", "Scripts/python.exe")]
        python = next(filter(Path.exists, places), places[0])
        done = subprocess.run(
            [str(python), "-c", VERIFY.format(package=package)],
            check=True,
            cwd=project,
            env={**os.environ, "PYTHONPATH": "src"},
            capture_output=True,
            text=True,
            timeout=60,
        )
        first, *versions = done.stdout.split()
        return versions if first == "verified" else []
    return []


def personal(path: Path) -> list[str]:
    """Return the names of personal columns that list categories."""
    try:
        columns = yaml.safe_load(path.read_text("utf-8"))["columns"]
        return [str(c["name"]) for c in columns if c.get("pii") and c.get("categories")]
    except (OSError, ValueError, yaml.YAMLError, LookupError, TypeError, AttributeError):
        return []  # the project's own commands say what is wrong with it
