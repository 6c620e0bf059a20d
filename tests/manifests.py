"""The manifests in options/: what is known of each question besides the question itself and its folders.

`options/<question>.toml` may have these tables; `options/core.toml` has those of what every project holds:

    [presets]               the answer that each preset suggests; `custom` suggests what `standard` does
    [words]                 per answer, regular expressions that occur in no project with another answer
    [files.yours]           files that an update never touches, each with the test that reads it
    [files.shared]          files that their owner edits and an update merges
    [files.slipway]         files that an update replaces; an edit shows as a conflict
    [tests]                 emitted tests, each with the questions that it may depend on
    [reserved]              `packages` and `names` that no project may be called
    [dependencies.modules]  import names that differ from the name of their distribution
    [dependencies.called]   distributions that a command calls: the file, and the word in it
    [dependencies.kept]     distributions that nothing imports or calls, each with the reason to keep it

`make examples` writes what Copier and the emitted doctor need of it; tests/test_manifests.py fails if that is stale.
"""

import json
import textwrap
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "options"
PACKAGE = "own_name"
"""The package's name in all paths here."""
CORE = "core"


@dataclass(frozen=True)
class File:
    """An emitted file: who owns it, and the test that reads, runs or builds it.

    The test is one that the project has or one of ours. Emitted tests prove themselves: each is run.
    """

    path: str
    owner: str
    proof: str


@dataclass(frozen=True)
class Manifest:
    """One file of options/."""

    question: str
    presets: dict[str, str] = field(default_factory=dict)
    words: dict[str, list[str]] = field(default_factory=dict)
    files: dict[str, dict[str, str]] = field(default_factory=dict)
    tests: dict[str, list[str]] = field(default_factory=dict)
    reserved: dict[str, list[str]] = field(default_factory=dict)
    dependencies: dict[str, dict[str, Any]] = field(default_factory=dict)

    def owned(self) -> Iterator[File]:
        """Its files, emitted tests included."""
        for owner, proofs in self.files.items():
            yield from (File(path, owner, proof) for path, proof in proofs.items())
        mine = self.files.get("yours", {})
        yield from (File(p, "slipway", p) for p in self.tests if p not in mine)


@cache
def manifests() -> dict[str, Manifest]:
    """Every manifest by its question, the core's first. An unknown table is a TypeError."""
    paths = sorted(FOLDER.glob("*.toml"), key=lambda p: (p.stem != CORE, p.stem))
    found = [
        Manifest(p.stem, **tomllib.loads(p.read_text(encoding="utf-8"))) for p in paths
    ]
    return {manifest.question: manifest for manifest in found}


@cache
def files() -> dict[str, File]:
    """Every file that a project may have, by its path."""
    found: dict[str, File] = {}
    for manifest in manifests().values():
        for file in manifest.owned():
            assert file.path not in found, f"{file.path} is in two manifests"
            found[file.path] = file
    return found


def entry(path: str) -> File:
    """The file of a project whose package is own_name."""
    assert (
        path in files()
    ), f"{path} is in no manifest of options/: which test reads it?"
    return files()[path]


def dependencies(table: str) -> dict[str, Any]:
    """One table about dependencies, of all manifests together."""
    tables = (m.dependencies.get(table, {}) for m in manifests().values())
    return {name: value for found in tables for name, value in found.items()}


# --- Files that are generated from the manifests -------------------------------------

GENERATED = "Generated from options/ by `make examples`."


def presets() -> str:
    """hooks/presets.jinja: the answers that presets suggest."""
    names = dict.fromkeys(p for m in manifests().values() for p in m.presets)
    suggested = {
        name: {q: m.presets[name] for q, m in manifests().items() if m.presets}
        for name in names
    }
    answers = json.dumps(suggested, indent=2)
    return (
        f"{{# {GENERATED} #}}\n\n{{% set SUGGESTED = {answers} %}}\n\n"
        "{# The answer that a preset suggests; `custom` suggests what `standard` does. #}\n"
        "{% macro suggested(preset, question) %}"
        "{{ SUGGESTED.get(preset, SUGGESTED.standard)[question] }}"
        "{% endmacro %}\n"
    )


def reserved() -> str:
    """hooks/reserved.jinja: names that no package may have."""
    parts = [f"{{# {GENERATED} #}}\n"]
    for table in ("packages", "names"):
        words = {w for m in manifests().values() for w in m.reserved.get(table, ())}
        lines = "\n".join(textwrap.wrap(" ".join(sorted(words)), 98))
        parts.append(f'{{% set {table.upper()} = "\n{lines}\n".split() %}}\n')
    return "\n".join(parts)


def owned_by(owner: str) -> list[str]:
    """The paths that somebody owns, in order."""
    return sorted(path for path, found in files().items() if found.owner == owner)


def untouched() -> str:
    """hooks/untouched.jinja: what Copier leaves alone in an update."""
    paths = (p.replace(PACKAGE, "{{ package_name }}") for p in owned_by("yours"))
    lines = "\n".join(f"/{path}" for path in paths)
    return (
        f"{{# {GENERATED} #}}\n"
        '{% if _copier_operation == "update" %}\n'
        f"{lines}\n"
        "{% endif %}\n"
    )


def owners() -> str:
    """The emitted tools/owners.toml: the files that are not Slipway's alone, as the doctor reads them."""
    purposes = {
        "yours": "No update touches these.",
        "shared": "An update merges these.",
    }
    parts = []
    for owner, purpose in purposes.items():
        paths = (path.replace(PACKAGE, "*") for path in owned_by(owner))
        lines = "".join(f'    "{path}",\n' for path in paths)
        parts.append(f"# {purpose}\n{owner} = [\n{lines}]\n")
    return "\n".join(parts)


TARGETS = {
    "hooks/presets.jinja": presets,
    "hooks/reserved.jinja": reserved,
    "hooks/untouched.jinja": untouched,
    "template/tools/owners.toml": owners,
}

if __name__ == "__main__":
    for path, generate in TARGETS.items():
        (ROOT / path).write_text(generate(), encoding="utf-8")
