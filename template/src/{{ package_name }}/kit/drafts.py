"""The files of a project about another table, as text: schema.yaml, params.yaml, features.py."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from .infer import Inference
from .kinds import Finding

WIDTH = 100
SLICE_LEVELS = range(2, 11)
HEADING = """\
# The one source of columns: data checks, requests, the API's documentation, the model's signature and the
# behaviour tests all follow this file. The command `check` says whether the data do.
# `adopt` wrote it down from the table: correct what it took wrongly, and give each column its `meaning`.
# Ranges leave some room beyond what was seen; the service refuses what lies outside. `expect` may list the
# columns that a prediction rises with (increasing), falls with (decreasing), does not care for (invariant).
"""
NEUTRAL = '''\
"""What the model sees, made from the raw columns. This file is yours.

The contract: pure functions from columns to columns (see ``kit/columns.py``), row by row. The same code runs
on the whole table in training and on one request in serving, so nothing here may look at other rows. What a
single record cannot know, such as a customer's history, is a column of the table.
"""

from typing import Any

from numpy.typing import NDArray

from .kit.columns import Columns, as_is, length

TEXTS: tuple[str, ...] = ()
"""Columns of raw text. The model sees how long each is, until you make more of what they say."""


def features(columns: Columns) -> dict[str, NDArray[Any]]:
    """All features by name: float64 arrays are numbers to the model, object arrays categories."""
    lengths = {f"{name}_length": length(columns[name]) for name in TEXTS}
    return {**as_is(columns, without=TEXTS), **lengths}
'''
TEXTS = re.compile(r"^(TEXTS: tuple\[str, \.\.\.\] = )\([^)]*\)$", re.MULTILINE)


def schema_text(found: Inference, problem: str) -> str:
    """schema.yaml, with the reason for each decision beside it."""
    columns = [column for column in found.columns if column.block]
    ignored = [column for column in found.columns if not column.block]
    moments = [c for c in columns if c.type == "datetime" and not c.nullable and not c.block.get("pii")]
    levels = {c.name: len(c.block["categories"]) for c in columns if c.type == "category"}
    slices = [name for name, count in levels.items() if count in SLICE_LEVELS][:2]
    lines = [f"problem: {problem}", "target:", *_block(found.target, "name", "  ")]
    if len(moments) == 1:
        lines.append(
            f"time: {flow(moments[0].name)} # the only date; rows are split by it, the latest to test"
        )
    if slices:
        lines.append(f"slices: {flow(slices)} # the model is also judged on each of their values by itself")
    if ignored:
        lines += ["ignored: # in the table, but not for the model"]
        lines += [f"  - {flow(column.header)} # {_comment(column.why)}" for column in ignored]
    lines.append("columns:")
    for column in columns:
        first, *others = _block(column, "type", "    ")
        lines += ["  - " + first.strip(), *others]
    return HEADING + "\n".join(lines) + "\n"


def flow(value: Any) -> str:
    """A value as YAML on one line."""
    dumped = yaml.safe_dump([value], default_flow_style=True, allow_unicode=True, width=float("inf"))
    return dumped.strip()[1:-1]


def set_values(text: str, changes: Mapping[tuple[str, ...], str]) -> str:
    """A YAML file with some single-line values replaced; comments and order stay."""
    lines, place = [], list[tuple[int, str]]()
    for line in text.splitlines():
        lines.append(line)
        if match := re.fullmatch(r"(\s*)([\w-]+):( +[^#]*?)?(\s+#.*|\s*)", line):
            indent, key, _, comment = match.groups()
            place = [step for step in place if step[0] < len(indent)] + [(len(indent), key)]
            path = tuple(name for _, name in place)
            if path in changes:
                lines[-1] = f"{indent}{key}: {changes[path]}{comment}"
    return "\n".join(lines) + "\n"


def neutral(texts: Iterable[str]) -> str:
    """A features.py that fits any table: all columns as they are, and the lengths of texts."""
    listed = "".join(f'    "{name}",\n' for name in texts)
    return TEXTS.sub(rf"\1(\n{listed})" if listed else r"\1()", NEUTRAL)


def _block(finding: Finding, remarked: str, indent: str) -> list[str]:
    """The column's lines; the key ``remarked`` gets the reason as its comment."""
    lines = []
    for key, value in finding.block.items():
        line = f"{indent}{key}: {flow(value)}"
        if len(line) > WIDTH and isinstance(value, list):
            lines += [f"{indent}{key}:", *(f"{indent}  - {flow(item)}" for item in value)]
        else:
            lines.append(line + (f" # {_comment(finding.why)}" if key == remarked else ""))
    return lines


def _comment(text: str) -> str:
    return " ".join(text.split())
