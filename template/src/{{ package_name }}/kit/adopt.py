"""Your own table instead of the demo's: ``adopt`` writes all that follows from it, or nothing."""

import ast
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .. import data
from . import UserError
from .drafts import NEUTRAL, TEXTS, neutral, schema_text, set_values
from .infer import Inference, infer
from .kinds import Finding
from .schema import Schema
from .settings import PROJECT, Params, Settings, settings
from .table import checked, split

PACKAGE = __name__.split(".")[0]
DEMO_FILES = {
    "71d5c24c4395cb7ad74b4d5bca8263e8dd8299bdcfaa1c482306078596b7757e",  # classification: schema.yaml
    "094c45c343ee3682cd0a93ad779b747925fed86999f4bb20d9e29cb3fdd47429",  # classification: features.py
    "f6f8959cb599c61b352fcfdbb95e73b087a3aa31bdd99ed6580da7773295f6a6",  # regression: schema.yaml
    "3909f35b5bec0e40fa6705bbeab93e9986e2305b90a4b7adc7fcb178e059ecd7",  # regression: features.py
}
"""Fingerprints of the demo's files: while a file has one of these, nobody has put work into it."""
DEMO_DATA = ("demo.py", "dvc.yaml", "dvc.lock", "raw.csv.dvc", "raw.parquet.dvc")
LEARNING = {
    ("learning", "cost", "false_positive"): "1",
    ("learning", "cost", "false_negative"): "1",
    ("learning", "logarithm"): "false",
}
"""What replaces in params.yaml what is right for the demo alone."""


@dataclass(frozen=True)
class Decisions:
    """What was made of the table (the target comes first), what to beware of, what is left to do by hand."""

    columns: tuple[Finding, ...]
    warnings: tuple[str, ...]
    leftovers: tuple[str, ...]


def adopt(root: Path, table: Path, target: str, encoding: str = "utf-8") -> Decisions:
    """Make the project in ``root`` one about ``table``. After an error nothing has changed."""
    before, machine = Schema.load(root / "schema.yaml"), settings()
    demo = fingerprint(root / "schema.yaml") in DEMO_FILES
    found = infer(table, target, before.problem, encoding)
    warnings = list(found.warnings)
    with tempfile.TemporaryDirectory(prefix=".adopt-", dir=root) as scratch:
        new = Path(scratch) / "new"
        warnings += prepare(root, new, found, before.problem, demo)
        gone, aside = _past(root, new, machine, demo)
        replace(root, new, Path(scratch) / "old", gone, aside)
    if gone:
        names = ", ".join(path.relative_to(root).as_posix() for path in gone)
        warnings.append(f"what the earlier table left was removed: {names}")
    for pointer, place in aside.items():
        warnings.append(f"{pointer} is now {place.name}: no model serves until you promote one")
    warnings += _retire(root, machine)
    if (root / ".dvc").is_dir():
        source = Params.load(root / "params.yaml").data.source
        warnings.append(f"the table is not in DVC yet: uv run dvc add {source}")
    now = Schema.load(root / "schema.yaml")
    stale = _names(before) - _names(now)
    return Decisions((found.target, *found.columns), tuple(warnings), tuple(leftovers(root, stale)))


def prepare(root: Path, new: Path, found: Inference, problem: str, demo: bool) -> list[str]:
    """Write into ``new`` every file that changes, and check it; gives warnings."""
    (new / "data").mkdir(parents=True)
    source = "data/raw.parquet" if found.parquet else "data/raw.csv"
    if found.parquet:
        found.frame.to_parquet(new / source)
    else:
        found.frame.to_csv(new / source, index=False)
    _write(new / "schema.yaml", schema_text(found, problem))
    schema, params = Schema.load(new / "schema.yaml"), Params.load(root / "params.yaml")
    frame = checked(schema, data.load(str(new / source)), source)
    how, warnings = _split(schema, params, frame)
    changes: dict[tuple[str, ...], str] = {("data", "source"): source, ("split", "how"): how}
    _write(new / "params.yaml", set_values(_read(root / "params.yaml"), changes | (LEARNING if demo else {})))
    now = Params.load(new / "params.yaml")
    if (now.data.source, now.split.how) != (source, how):
        raise UserError(f"params.yaml: write data.source: {source} and split.how: {how}, then adopt again")
    features = Path("src", PACKAGE, "features.py")
    if fingerprint(root / features) in DEMO_FILES | {_digest(NEUTRAL)}:
        _write(new / features, neutral(column.name for column in schema.inputs if column.type == "text"))
    if (root / "dvc.yaml").exists():
        _write(new / "dvc.yaml", _read(root / "dvc.yaml").replace(params.data.source, source))
    return warnings


def show(decisions: Decisions, console: Console) -> None:
    """What was decided and why, for the terminal."""
    listing = Table("column", "use", "type", "allowed", "missing", "why")
    for column in decisions.columns:
        called = column.header + (f" → {column.name}" if column.name != column.header else "")
        allowed = column.allowed if len(column.allowed) <= 40 else column.allowed[:39] + "…"
        row = (called, column.use, column.type, allowed, "yes" if column.nullable else "", column.why)
        listing.add_row(*map(escape, row))
    console.print(listing)
    for sentence in decisions.warnings:
        console.print(f"[yellow]![/] {escape(sentence)}", soft_wrap=True)
    for sentence in decisions.leftovers:
        console.print(f"[red]✗[/] {escape(sentence)}", soft_wrap=True)
    console.print(f"Read schema.yaml through, then: {PROJECT} train")


def fingerprint(path: Path) -> str:
    """The same for the same content: line ends, comments in YAML and TEXTS of a features.py do not count."""
    if not path.exists():
        return ""
    if path.suffix == ".yaml":
        return _digest(json.dumps(yaml.safe_load(_read(path)), default=str, sort_keys=True))
    return _digest(TEXTS.sub(r"\1()", _read(path)))


def replace(root: Path, new: Path, old: Path, gone: list[Path], aside: Mapping[Path, Path]) -> None:
    """Move the files under ``new`` into ``root``, and what they replace or what is gone to ``old``.

    Whatever goes wrong on the way, everything is moved back.
    """
    done: list[tuple[Path, Path]] = []

    def move(source: Path, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(source, target)
        done.append((source, target))

    try:
        for path in filter(Path.exists, gone):
            move(path, old / path.relative_to(root))
        for source, target in aside.items():
            move(source, target)
        for path in sorted(filter(Path.is_file, new.rglob("*"))):
            target = root / path.relative_to(new)
            if target.exists():
                move(target, old / path.relative_to(new))
            move(path, target)
    except BaseException:
        for source, target in reversed(done):
            shutil.move(target, source)
        raise


def leftovers(root: Path, stale: set[str]) -> Iterator[str]:
    """Where code of the project's owner names columns that are no more."""
    for path in sorted((root / "src" / PACKAGE).glob("*.py")):
        try:
            tree = ast.parse(_read(path))
        except SyntaxError as error:
            yield f"{path.name} line {error.lineno} is no Python, so what it names is not known"
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and node.value in stale:
                where = f"{path.name} line {node.lineno}"
                yield f"{where} still names `{node.value}`, which the table does not have"


def _split(schema: Schema, params: Params, frame: pd.DataFrame) -> tuple[str, list[str]]:
    """How to split, and a warning if it is not by time although the rows have one."""
    otherwise = "stratified" if schema.target.classes else "random"
    if schema.time is None:
        return otherwise, []
    by_time = params.split.model_copy(update={"how": "time"})
    rows, target = split(schema, by_time, frame, params.seed), frame[schema.target.name].to_numpy()
    parts = [rows.train, rows.test, *(rows.train[inside] for inside, _ in rows.folds)]
    if all(len(np.unique(target[part])) >= len(schema.target.classes) for part in parts):
        return "time", []
    return otherwise, [f"rows split by {schema.time} would lack a class: split.how is {otherwise} instead"]


def _past(root: Path, new: Path, machine: Settings, demo: bool) -> tuple[list[Path], dict[Path, Path]]:
    """What belongs to the earlier table: what goes, and what is put aside under another name.

    Whatever the demo made can be made again; models of your own tables stay.
    """
    gone = [root / "data" / name for name in DEMO_DATA]
    gone += [root / "reports", root / "data" / "raw.csv", root / "data" / "raw.parquet"]
    pointer, aside = root / machine.store / "champion.json", {}
    if demo:
        gone += [root / "mlruns", root / "mlflow.db"]
    if demo and pointer.is_relative_to(root):
        gone += [pointer, pointer.parent / "versions"]
    elif pointer.exists():
        aside = {pointer: pointer.with_name("champion.earlier.json")}
    stay = {root / path.relative_to(new) for path in new.rglob("*")}
    return [path for path in gone if path.exists() and path not in stay], aside


def _retire(root: Path, machine: Settings) -> list[str]:
    """No version that is still registered may be promoted: none was trained on this table."""
    where = machine.mlflow_tracking_uri
    if where.startswith("sqlite:///") and not (root / where.removeprefix("sqlite:///")).exists():
        return []
    from mlflow.exceptions import MlflowException

    from . import registry

    try:
        client = registry.connect(machine)
        versions = [str(version.version) for version in registry.versions(client)]
        for version in versions:
            registry.note_gate(client, version, ["it was trained on the table before adopt"], "none")
    except MlflowException as error:
        return [f"{where} could not be told, so promote none of its earlier versions: {error}"]
    named = ", ".join(versions)
    return [f"versions {named} stay registered and cannot be promoted any more"] if versions else []


def _names(schema: Schema) -> set[str]:
    return {schema.target.name, *(column.name for column in schema.columns)}


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
