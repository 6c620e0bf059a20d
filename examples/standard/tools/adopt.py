"""Your own table instead of the demo's: ``adopt`` writes all that follows from it, or nothing."""

import hashlib
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer
import yaml
from infer import Finding, Inference, infer
from reading import DETECTED, Habits, Reading, is_parquet, read
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table
from spellings import UnreadableError

from fraud_watch import data
from fraud_watch.kit import UserError
from fraud_watch.kit.files import held
from fraud_watch.kit.schema import Schema
from fraud_watch.kit.settings import Params
from fraud_watch.kit.splits import split
from fraud_watch.kit.table import load

CODE = Path("src", "fraud_watch")
YOURS = ("data.py", "features.py", "model.py")
DEMO_FILES = {
    "5cc32ac4a7fff41b1769a781e2de9f2fdc4b5b9791a496c1ea7e2bc659d4fc46",  # classification: schema.yaml
    "094c45c343ee3682cd0a93ad779b747925fed86999f4bb20d9e29cb3fdd47429",  # classification: features.py
    "b049782e2dc787cfa6e949584d6e85e23de346ab35252aa3114cd72782c0f4bf",  # regression: schema.yaml
    "3909f35b5bec0e40fa6705bbeab93e9986e2305b90a4b7adc7fcb178e059ecd7",  # regression: features.py
}
"""Fingerprints of the demo's files: while a file has one of these, nobody has put work into it."""
DEMO_TABLE = ("data/demo.py", "data/dvc.yaml", "data/dvc.lock")
DEMO_MADE = ("data/raw.csv", "data/raw.parquet", "reports", "mlruns", "mlflow.db", "store")
DEMO_LEARNING = {"false_positive": "1", "false_negative": "1", "logarithm": "false"}
"""What replaces in params.yaml what is right for the demo alone."""
HEADING = """\
# The one source of columns, inferred by `adopt`: correct what it took wrongly, and give each its `meaning`.
# Ranges leave room beyond what was seen. `expect` may list columns as increasing, decreasing, invariant.
"""
NEUTRAL = '''\
"""What the model sees, made from the raw columns, row by row: see ``kit/columns.py``. This file is yours."""

from typing import Any

from numpy.typing import NDArray

from .kit.columns import Columns, as_is, clock, length

# Raw text: the model sees how long each is, until you make more of what they say.
TEXTS: tuple[str, ...] = ()


def features(columns: Columns) -> dict[str, NDArray[Any]]:
    """All features by name: float64 arrays are numbers to the model, object arrays categories."""
    lengths = {f"{name}.length": length(columns[name]) for name in TEXTS}
    return as_is(columns, without=TEXTS, dates=clock) | lengths
'''


class SchemaDumper(yaml.SafeDumper):
    """Writes tuples on one line."""


SchemaDumper.add_representer(tuple, lambda d, row: d.represent_sequence("tag:yaml.org,2002:seq", row, True))


def adopt(
    root: Path,
    table: Path,
    target: str,
    given: Habits = DETECTED,
    personal: Mapping[str, bool] | None = None,
    ask: Callable[[Finding], bool] | None = None,
) -> Inference:
    """Make the project in ``root`` one about ``table``. After an error nothing has changed."""
    try:
        reading = read(table, given)
    except UnreadableError as error:
        option = re.search(r"--(encoding|separator|decimal|dates) (\w+|[.,])(?= |$)", str(error))
        with_make = f'. With make, that is: ARGS="{option[0]}"' if option else ""
        raise UserError(f"{error}{with_make}") from None
    source = "data/raw.parquet" if is_parquet(table) else "data/raw.csv"
    # Two at once would leave the schema of one with the table of the other.
    with held(root / "schema.yaml"), tempfile.TemporaryDirectory(prefix=".adopt-", dir=root) as scratch:
        before, demo = Schema.load(root / "schema.yaml"), untouched(root / "schema.yaml")
        new, old = Path(scratch, "new"), Path(scratch, "old")
        found = prepare(root, new, reading, source, target, demo, personal or {}, ask)
        swap(root, new, old, DEMO_TABLE + (DEMO_MADE if demo else ()))
    if not demo:
        kept = "versions trained on the earlier table stay, but may not be comparable with new ones"
        found.warnings.append(f"{kept}; the service keeps its champion until you promote another version")
    if (root / ".dvc").is_dir():
        found.warnings.append(f"the table is not in DVC yet: dvc add {source} && git add {source}.dvc")
    now = Schema.load(root / "schema.yaml")
    stale = {column.name for column in before.columns} - {column.name for column in now.columns}
    found.warnings.extend(still_named(root, stale))
    return found


def prepare(
    root: Path,
    new: Path,
    reading: Reading,
    source: str,
    target: str,
    demo: bool,
    personal: Mapping[str, bool],
    ask: Callable[[Finding], bool] | None,
) -> Inference:
    """Write into ``new`` every file that changes, and check that they fit together."""
    before, params = Schema.load(root / "schema.yaml"), Params.load(root / "params.yaml")
    (new / CODE).mkdir(parents=True)
    (new / "data").mkdir()
    raw = reading.frame
    (raw.to_parquet if is_parquet(new / source) else raw.to_csv)(new / source, index=False)
    # What training will read, with its idea of which cells are missing.
    frame = data.load(str(new / source))
    found = infer(frame, target, before.problem, personal)
    if ask and (doubtful := [column for column in found.columns if column.doubt]):
        answers = {column.header: ask(column) for column in doubtful}
        found = infer(frame, target, before.problem, {**personal, **answers})
    found = found._replace(read=reading.about(), warnings=[*reading.notes, *found.warnings])
    (new / "schema.yaml").write_text(schema_text(found, before.problem), encoding="utf-8")
    schema = Schema.load(new / "schema.yaml")
    how = split_how(schema, params, load(schema, str(new / source)))
    if schema.time and how != "time":
        found.warnings.append(f"rows split by {schema.time} would lack a class: split.how is {how} instead")
    values = {"source": source, "how": how} | (DEMO_LEARNING if demo else {})
    text = (root / "params.yaml").read_text(encoding="utf-8")
    (new / "params.yaml").write_text(with_values(text, values), encoding="utf-8")
    now = Params.load(new / "params.yaml")
    if (now.data.source, now.split.how) != (source, how):
        raise UserError(f"params.yaml: write data.source: {source} and split.how: {how}, then adopt again")
    features = root / CODE / "features.py"
    written = {neutral(before, yearly) for yearly in (False, True)}
    if untouched(features) or features.read_text(encoding="utf-8") in written:
        yearly = spans_years(schema, load(schema, str(new / source)))
        (new / CODE / "features.py").write_text(neutral(schema, yearly), encoding="utf-8")
    return found


def show(found: Inference, console: Console, then: str = "make train") -> None:
    """What was decided and why, for the terminal, and the command that comes ``then``."""
    listing = Table("column", "use", Column("allowed", max_width=24, no_wrap=True), "why")
    for column in (found.target, *found.columns):
        block = column.block
        called = " → ".join(dict.fromkeys([column.header, block.get("name", column.header)]))
        values = block.get("classes") or block.get("categories") or ()
        limits = f"{block['min']:.12g} to {block['max']:.12g}" if "min" in block else ""
        allowed = limits or ", ".join(map(str, values))
        use = ", ".join(filter(None, [column.use, block.get("type"), "or missing" * ("nullable" in block)]))
        listing.add_row(*map(escape, (called, use, allowed, column.why)))
    console.print(f"Read {escape(found.read)}", soft_wrap=True)
    console.print(listing)
    for sentence in found.warnings:
        console.print(f"[yellow]![/] {escape(sentence)}", soft_wrap=True)
    console.print(f"Read schema.yaml through, then: {then}")


def untouched(path: Path) -> bool:
    """Whether the file is still the demo's."""
    return hashlib.sha256(path.read_text(encoding="utf-8").encode()).hexdigest() in DEMO_FILES


def swap(root: Path, new: Path, old: Path, gone: Iterable[str]) -> None:
    """Move the files under ``new`` into ``root``, and what they replace or what is gone to ``old``.

    Whatever goes wrong on the way, everything is moved back.
    """
    changed = [str(path.relative_to(new)) for path in new.rglob("*") if path.is_file()]
    moves = [(root / name, old / name) for name in {*gone, *changed} if (root / name).exists()]
    moves += [(new / name, root / name) for name in changed]
    with ExitStack() as undo:
        for source, target in moves:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(source, target)
            undo.callback(shutil.move, target, source)
        undo.pop_all()


def schema_text(found: Inference, problem: str) -> str:
    """schema.yaml, with reasons; what it expects of the model is left to the project's owner."""
    taken = [column for column in found.columns if column.block]
    ignored = tuple(column.header for column in found.columns if not column.block)
    blocks = [column.block for column in taken]
    dates = [b["name"] for b in blocks if b["type"] == "datetime" and not {"nullable", "pii"} & b.keys()]
    groups = [b["name"] for b in blocks if b["type"] == "category" and 2 <= len(b["categories"]) <= 10]
    parts = {"problem": problem, "target": found.target.block, "time": dates[0] if len(dates) == 1 else None}
    parts |= {"slices": tuple(groups[:2]), "ignored": ignored, "columns": blocks}
    given = {key: value for key, value in parts.items() if value}
    text = yaml.dump(given, Dumper=SchemaDumper, sort_keys=False, allow_unicode=True, width=100)
    for column in taken:
        called = f"- name: {column.block['name']}\n"
        text = text.replace(called, f"{called.rstrip()} # {column.why}\n")
    return HEADING + text


def split_how(schema: Schema, params: Params, frame: pd.DataFrame) -> str:
    """How to split: by time where the rows have one and each part gets all classes."""
    if schema.time:
        by_time = params.split.model_copy(update={"how": "time"})
        rows, target = split(schema, by_time, frame, params.seed), frame[schema.target.name].to_numpy()
        parts = [rows.train, rows.test, *(rows.train[inside] for inside, _ in rows.folds)]
        if all(len(set(target[part])) >= len(schema.target.classes) for part in parts):
            return "time"
    return "stratified" if schema.target.classes else "random"


def with_values(text: str, values: dict[str, str]) -> str:
    """params.yaml with some of its values replaced; comments and order stay."""
    for key, value in values.items():
        text = re.sub(rf"(?m)^( +{key}:)" + r"[^#\n{}]*?( *#.*)?$", rf"\1 {value}\2", text)
    return text


def spans_years(schema: Schema, frame: pd.DataFrame) -> bool:
    """Whether each date covers two years: in less, a season cannot be told from a trend."""
    dates = [frame[column.name] for column in schema.inputs if column.type == "datetime"]
    return bool(dates) and min((cells.max() - cells.min()).days for cells in dates) >= 2 * 365


def neutral(schema: Schema, yearly: bool) -> str:
    """A features.py that fits the schema: columns as they are, parts of dates, and the lengths of texts."""
    text = NEUTRAL
    if yearly:
        text = text.replace("as_is, clock, length", "as_is, length, seasons")
        text = text.replace("dates=clock", "dates=seasons")
    listed = "".join(f'    "{column.name}",\n' for column in schema.inputs if column.type == "text")
    return text.replace("= ()", f"= (\n{listed})") if listed else text


def still_named(root: Path, stale: set[str]) -> Iterator[str]:
    """Where code of the project's owner names columns that are no more."""
    for path in (path for path in sorted((root / CODE).glob("*.py")) if path.name in YOURS):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            for name in stale.intersection(re.findall(r"""["'](\w+)["']""", line)):
                yield f"{path.name} line {number} still names `{name}`, which the table does not have"


ENCODING = "The encoding of a text file, such as cp1252."
SEPARATOR = "What separates its cells: one character, or the word tab."
DECIMAL = "The decimal mark of its numbers: . or ,"
DATES = "The order of its dates: ymd, dmy or mdy."
PERSONAL = "A column with personal data: it is not logged and, if it says who somebody is, not sent."
NOT_PERSONAL = "A column that seems to hold personal data, and does not."


def is_personal(column: Finding) -> bool:
    """Ask somebody who knows the table."""
    return typer.confirm(f"{column.header}: {column.doubt}. Does it hold personal data?", default=True)


def main(
    table: Annotated[Path, typer.Argument(help="Your table: a text file (CSV), Parquet, or a workbook.")],
    target: Annotated[str, typer.Option(help="The column to predict, as its header calls it.")],
    encoding: Annotated[str, typer.Option(help=ENCODING)] = "",
    separator: Annotated[str, typer.Option(help=SEPARATOR)] = "",
    decimal: Annotated[str, typer.Option(help=DECIMAL)] = "",
    dates: Annotated[str, typer.Option(help=DATES)] = "",
    personal: Annotated[list[str] | None, typer.Option(help=PERSONAL)] = None,
    not_personal: Annotated[list[str] | None, typer.Option(help=NOT_PERSONAL)] = None,
) -> None:
    """Make this project yours: infer schema.yaml from your own table and take it in.

    How the file is written is detected. The options are for what it cannot tell.
    """
    if both := sorted({*(personal or ())} & {*(not_personal or ())}):
        raise UserError(f"{', '.join(both)} is given to --personal and to --not-personal: keep one")
    if table == Path() or not target:
        raise UserError("name a table and the column to predict: make adopt DATA=table.csv TARGET=column")
    said = dict.fromkeys(personal or (), True) | dict.fromkeys(not_personal or (), False)
    ask = is_personal if sys.stdin.isatty() and sys.stdout.isatty() else None
    # Where a model serves already, somebody should look at the new one first.
    then = "make demo" if untouched(Path("schema.yaml")) else "make train"
    found = adopt(Path(), table, target, Habits(encoding, separator, decimal, dates), said, ask)
    show(found, Console(highlight=False), then)


if __name__ == "__main__":
    from fraud_watch import cli

    cli.run(partial(typer.run, main))
