"""The database of the prediction log: PostgreSQL, which any number of services may share.

A row of ``labels`` is the last label for the rows of all callers; v0.2 and before know no other. A row of
``caller_labels`` is the last label that one caller sent: for the rows of ``everyone``, or for its own.
"""

from collections.abc import Iterator, Sequence
from typing import Any, LiteralString

import psycopg
from psycopg.conninfo import conninfo_to_dict
from pydantic import TypeAdapter

from .. import UserError

DEFAULT = "postgresql:///predictions"
FAULTS = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.InternalError,
    psycopg.ProgrammingError,
    psycopg.IntegrityError,
    OSError,
)
"""Errors that may pass by themselves, or once the database is repaired: the same is tried again later."""
Row = tuple[float, str, int, str, str, str, str]
"""Time, request id, place in the request, model version, caller, inputs and answer as JSON."""
Label = tuple[str, int, bool, str, str, float]
"""Request id, place in the request, whether for the rows of everyone, caller, label as JSON, time."""
Logged = tuple[float, str, int, str, str, str, str | None, float | None, str | None]
"""Time, request id, place, version, inputs, answer, label, the label's time, who sent it."""

THERE: LiteralString = """
SELECT to_regclass('predictions') IS NOT NULL AND to_regclass('labels') IS NOT NULL
    AND to_regclass('caller_labels') IS NOT NULL
"""
TABLES: LiteralString = """
CREATE TABLE IF NOT EXISTS predictions (
    at timestamptz NOT NULL, request_id text NOT NULL, place integer NOT NULL, version text NOT NULL,
    caller text NOT NULL, inputs json NOT NULL, answer json NOT NULL,
    PRIMARY KEY (request_id, place, at)
);
CREATE INDEX IF NOT EXISTS predictions_at ON predictions (at);
CREATE TABLE IF NOT EXISTS labels (
    request_id text NOT NULL, place integer NOT NULL, label json NOT NULL, at timestamptz NOT NULL,
    PRIMARY KEY (request_id, place)
);
CREATE TABLE IF NOT EXISTS caller_labels (
    request_id text NOT NULL, place integer NOT NULL, everyone boolean NOT NULL, caller text NOT NULL,
    label json NOT NULL, at timestamptz NOT NULL,
    PRIMARY KEY (request_id, place, everyone, caller)
)
"""
# Where the connection broke while it committed, the same rows come again: the key knows them.
INSERT: LiteralString = """
INSERT INTO predictions (at, request_id, place, version, caller, inputs, answer)
SELECT to_timestamp(at), request_id, place, version, caller, inputs::json, answer::json
FROM json_to_recordset(%s::json) AS new (
    at float8, request_id text, place int, version text, caller text, inputs text, answer text
)
ON CONFLICT DO NOTHING
"""
# Two callers may send one in the same moment, and a statement may not change a row twice.
LABEL: LiteralString = """
INSERT INTO labels (request_id, place, label, at)
SELECT DISTINCT ON (request_id, place) request_id, place, label::json, to_timestamp(at)
FROM json_to_recordset(%s::json) AS new (request_id text, place int, everyone bool, label text, at float8)
WHERE everyone ORDER BY request_id, place, at DESC
ON CONFLICT (request_id, place) DO UPDATE SET label = excluded.label, at = excluded.at
WHERE excluded.at >= labels.at
"""
CALLER_LABEL: LiteralString = """
INSERT INTO caller_labels (request_id, place, everyone, caller, label, at)
SELECT request_id, place, everyone, caller, label::json, to_timestamp(at)
FROM json_to_recordset(%s::json) AS new (
    request_id text, place int, everyone bool, caller text, label text, at float8
)
WHERE caller <> '' OR NOT everyone
ON CONFLICT (request_id, place, everyone, caller) DO UPDATE SET label = excluded.label, at = excluded.at
WHERE excluded.at >= caller_labels.at
"""
OLD: LiteralString = """
DELETE FROM predictions WHERE ctid = ANY (
    ARRAY (SELECT ctid FROM predictions WHERE at < to_timestamp(%s) ORDER BY at LIMIT 5000)
)
"""
READ: LiteralString = """
SELECT extract(epoch FROM p.at)::float8, p.request_id, p.place, p.version, p.inputs::text, p.answer::text,
    coalesce(own.label, l.label)::text, extract(epoch FROM coalesce(own.at, l.at))::float8,
    nullif(coalesce(own.caller, (
        SELECT max(caller) FROM caller_labels
        WHERE request_id = p.request_id AND place = p.place AND everyone AND at = l.at
    )), '')
FROM predictions p
LEFT JOIN labels l ON l.request_id = p.request_id AND l.place = p.place
LEFT JOIN caller_labels own ON own.request_id = p.request_id AND own.place = p.place AND NOT own.everyone
    AND own.caller = p.caller AND (l.at IS NULL OR own.at >= l.at)
WHERE p.at >= to_timestamp(%s) AND (coalesce(own.at, l.at) IS NOT NULL OR NOT %s)
ORDER BY p.at, p.request_id, p.place
"""
# Stands in for the table in a log that only earlier releases have written to.
NONE_YET: LiteralString = """
WITH caller_labels (request_id, place, everyone, caller, label, at) AS (
    SELECT '', 0, false, '', NULL::json, now() WHERE false
)
"""
PREDICTION = ("at", "request_id", "place", "version", "caller", "inputs", "answer")
MARK = ("request_id", "place", "everyone", "caller", "label", "at")
JSON: TypeAdapter[Any] = TypeAdapter(Any)
PATIENCE = {"connect_timeout": "3", "keepalives_idle": "5", "tcp_user_timeout": "5000"}
"""A server that is gone is noticed within seconds; what the URL says goes before."""


class Database:
    """The writer's connection; one thread uses it."""

    def __init__(self, where: str) -> None:
        try:
            self.where = {**PATIENCE, "application_name": "prediction-log", **conninfo_to_dict(where)}
        except psycopg.Error:
            # The error would show the password.
            raise UserError("LOG_DATABASE is no PostgreSQL URL: postgresql://user@host/database") from None
        self.connection: psycopg.Connection | None = None

    def connect(self, autocommit: bool) -> psycopg.Connection:
        return psycopg.connect(autocommit=autocommit, **self.where)  # type: ignore[arg-type]

    def ready(self) -> psycopg.Connection:
        """The open connection, with its tables there."""
        if self.connection is None or self.connection.closed:
            opened = self.connect(autocommit=True)
            try:
                # A lock that somebody holds must not hold up the end of the service.
                opened.execute("SET statement_timeout = '3s'")
                if opened.execute(THERE).fetchone() != (True,):
                    opened.execute(TABLES)
            except psycopg.Error:
                opened.close()
                raise
            self.connection = opened
        return self.connection

    def write(self, rows: Sequence[Row], labels: Sequence[Label]) -> None:
        """All of it, or nothing."""
        connection = self.ready()
        with connection.transaction():
            for names, new, *statements in (
                (PREDICTION, rows, INSERT),
                (MARK, labels, LABEL, CALLER_LABEL),
            ):
                if new:
                    # As one text: arrays of values cost ten times as much.
                    text = JSON.dump_json([dict(zip(names, values, strict=True)) for values in new])
                    for statement in statements:
                        connection.execute(statement, (text.decode(),))

    def forget(self, before: float) -> int:
        """Delete some of what is older; how many predictions."""
        connection = self.ready()
        connection.execute("DELETE FROM labels WHERE at < to_timestamp(%s)", (before,))
        connection.execute("DELETE FROM caller_labels WHERE at < to_timestamp(%s)", (before,))
        return connection.execute(OLD, (before,)).rowcount

    def close(self) -> None:
        if self.connection:
            self.connection.close()
        self.connection = None

    def read(self, since: float, labelled: bool) -> Iterator[Logged]:
        """What was logged, oldest first, each with its label; nothing is held in memory."""
        try:
            with self.connect(autocommit=False) as reader, reader.cursor("log") as cursor:
                cursor.itersize = 10_000
                there = reader.execute("SELECT to_regclass('caller_labels')").fetchone() != (None,)
                yield from cursor.execute(READ if there else NONE_YET + READ, (since, labelled))
        except psycopg.Error as error:
            raise UserError(f"the database of LOG_DATABASE cannot be read: {error}") from None
