"""From the prediction log back to training: logged records, predictions and labels as Parquet."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import UserError
from .columns import naive
from .schema import Schema

if TYPE_CHECKING:
    import pyarrow as pa

    from .serve.logdb import Logged
CHUNK = 20_000


def export_log(schema: Schema, output: Path, since: datetime | None, labelled: bool) -> int:
    """Write what was logged from ``since`` on into ``output``; gives the number of rows."""
    from .serve.logdb import Database
    from .serve.parts.journal import LogSettings

    began = since.replace(tzinfo=UTC).timestamp() if since else 0.0
    return write(schema, Database(LogSettings().log_database).read(began, labelled), output)


def write(schema: Schema, logged: "Iterator[Logged]", output: Path) -> int:
    """Write ``logged`` under the schema's headers, in constant memory; gives the number of rows."""
    import pyarrow.parquet as pq

    if output.suffix != ".parquet":
        raise UserError("export-log writes a .parquet file")
    shape, done = layout(schema), 0
    draft = output.with_name(f".{output.name}.draft")
    with pq.ParquetWriter(draft, shape) as writer:
        while some := list(islice(logged, CHUNK)):
            writer.write_table(table(schema, some, shape))
            done += len(some)
    draft.replace(output)
    return done


def layout(schema: Schema) -> "pa.Schema":
    """Return the columns of the table: those of the prediction, of the schema, and the target."""
    import pyarrow as pa

    moment, text = pa.timestamp("us"), pa.string()
    kinds = {"number": pa.float64(), "integer": pa.int64(), "boolean": pa.bool_(), "datetime": moment}
    classes = schema.target.classes
    target = pa.float64()
    if classes:
        kind = {bool: pa.bool_(), int: pa.int64()}
        kinds_of_labels = {type(label) for label in classes}
        target = kind.get(kinds_of_labels.pop(), text) if len(kinds_of_labels) == 1 else text
    fields = {"request_id": text, "index": pa.int64(), "predicted_at": moment, "model_version": text}
    fields |= {"prediction": target, "labelled_at": moment, "labelled_by": text}
    # A column of the schema that is called the same is what training needs.
    fields |= {column.header: kinds.get(column.type, text) for column in schema.columns}
    return pa.schema(list((fields | {schema.target.header: target}).items()))


def table(schema: Schema, logged: "list[Logged]", shape: "pa.Schema") -> "pa.Table":
    import pyarrow as pa

    columns: dict[str, list[Any]] = {name: [] for name in shape.names}
    target = shape.field(schema.target.header).type
    for at, name, place, version, inputs, answer, label, labelled, labeller in logged:
        record = json.loads(inputs)
        predicted = json.loads(answer)["prediction"]
        known = None if label is None else json.loads(label)
        if pa.types.is_string(target):
            predicted, known = str(predicted), None if known is None else str(known)
        row = {"request_id": name, "index": place, "predicted_at": moment_of(at), "model_version": version}
        row |= {"prediction": predicted, "labelled_at": moment_of(labelled), "labelled_by": labeller}
        row |= {c.header: cell(c.type, record.get(c.name)) for c in schema.columns}
        row[schema.target.header] = known
        for key, values in columns.items():
            values.append(row[key])
    return pa.table(columns, shape)


def moment_of(seconds: float | None) -> datetime | None:
    return None if seconds is None else naive(datetime.fromtimestamp(seconds, UTC))


def cell(kind: str, value: Any) -> Any:
    """Convert a value of a request to what Parquet holds."""
    if kind == "datetime" and value is not None:
        return naive(datetime.fromisoformat(value))
    return float(value) if kind == "number" and value is not None else value
