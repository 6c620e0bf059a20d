"""The database of the prediction log: a SQLite file in WAL mode, so that readers do not hold up the writer.

A row of ``labels`` is the last label for the rows of all callers; v0.2 and before know no other. A row of
``caller_labels`` is the last label that one caller sent: for the rows of ``everyone``, or for its own.
"""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from .. import UserError

DEFAULT = "predictions.db"
FAULTS = (sqlite3.Error, OSError)
"""Errors that may pass by themselves: the same is tried again later."""
Row = tuple[float, str, int, str, str, str, str]
"""Time, request id, place in the request, model version, caller, inputs and answer as JSON."""
Label = tuple[str, int, bool, str, str, float]
"""Request id, place in the request, whether for the rows of everyone, caller, label as JSON, time."""
Logged = tuple[float, str, int, str, str, str, str | None, float | None, str | None]
"""Time, request id, place, version, inputs, answer, label, the label's time, who sent it."""

TABLES = """
CREATE TABLE IF NOT EXISTS predictions (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, request_id TEXT NOT NULL, place INTEGER NOT NULL,
    version TEXT NOT NULL, caller TEXT NOT NULL, inputs TEXT NOT NULL, answer TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS predictions_at ON predictions (at);
CREATE TABLE IF NOT EXISTS labels (
    request_id TEXT NOT NULL, place INTEGER NOT NULL, label TEXT NOT NULL, at REAL NOT NULL,
    PRIMARY KEY (request_id, place)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS caller_labels (
    request_id TEXT NOT NULL, place INTEGER NOT NULL, everyone INTEGER NOT NULL, caller TEXT NOT NULL,
    label TEXT NOT NULL, at REAL NOT NULL,
    PRIMARY KEY (request_id, place, everyone, caller)
) WITHOUT ROWID;
"""
INSERT = "INSERT INTO predictions (at, request_id, place, version, caller, inputs, answer) VALUES "
LABEL = """
INSERT INTO labels (request_id, place, label, at) VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET label = excluded.label, at = excluded.at WHERE excluded.at >= labels.at
"""
CALLER_LABEL = """
INSERT INTO caller_labels (request_id, place, everyone, caller, label, at) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET label = excluded.label, at = excluded.at WHERE excluded.at >= caller_labels.at
"""
OLD = "DELETE FROM predictions WHERE id IN (SELECT id FROM predictions WHERE at < ? ORDER BY at LIMIT 5000)"
READ = """
SELECT p.at, p.request_id, p.place, p.version, p.inputs, p.answer,
    coalesce(own.label, l.label), coalesce(own.at, l.at),
    nullif(coalesce(own.caller, (
        SELECT max(caller) FROM caller_labels
        WHERE request_id = p.request_id AND place = p.place AND everyone = 1 AND at = l.at
    )), '')
FROM predictions p
LEFT JOIN labels l ON l.request_id = p.request_id AND l.place = p.place
LEFT JOIN caller_labels own ON own.request_id = p.request_id AND own.place = p.place AND own.everyone = 0
    AND own.caller = p.caller AND (l.at IS NULL OR own.at >= l.at)
WHERE p.at >= ? AND (coalesce(own.at, l.at) IS NOT NULL OR NOT ?) ORDER BY p.at, p.id
"""
THERE = "SELECT count(*) FROM sqlite_master WHERE name = 'caller_labels'"
# Stands in for the table in a log that only earlier releases have written to.
NONE_YET = """
WITH caller_labels (request_id, place, everyone, caller, label, at) AS (SELECT '', 0, 0, '', '', 0.0 WHERE 0)
"""
STATEMENT = 500
"""Rows that one statement inserts: one for each row would hand the interpreter to and fro each time."""


class Database:
    """The writer's connection; one thread uses it."""

    def __init__(self, where: str) -> None:
        self.path = Path(where)
        self.connection: sqlite3.Connection | None = None
        self.inode: int | None = None

    def ready(self) -> sqlite3.Connection:
        """The open file. One that was taken away is made anew: what is written to it then has no name."""
        if self.connection and self.inode != self._inode():
            self.close()
        if self.connection is None:
            opened = sqlite3.connect(self.path, timeout=1, isolation_level=None)
            try:
                opened.execute("PRAGMA journal_mode = WAL")
                # A process that dies loses nothing by it; a machine that loses its power, the last moments.
                opened.execute("PRAGMA synchronous = NORMAL")
                opened.executescript(TABLES)
            except sqlite3.Error:
                opened.close()
                raise
            self.connection, self.inode = opened, self._inode()
        return self.connection

    def _inode(self) -> int | None:
        try:
            return os.stat(self.path).st_ino
        except FileNotFoundError:
            return None

    def write(self, rows: Sequence[Row], labels: Sequence[Label]) -> None:
        """All of it, or nothing."""
        connection = self.ready()
        connection.execute("BEGIN IMMEDIATE")
        try:
            for start in range(0, len(rows), STATEMENT):
                some = rows[start : start + STATEMENT]
                values = ",".join(["(?,?,?,?,?,?,?)"] * len(some))
                connection.execute(INSERT + values, list(chain.from_iterable(some)))
            shared = [(name, place, label, at) for name, place, all_, _, label, at in labels if all_]
            connection.executemany(LABEL, shared)
            connection.executemany(CALLER_LABEL, [label for label in labels if label[3] or not label[2]])
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def forget(self, before: float) -> int:
        """Delete some of what is older; how many predictions."""
        connection = self.ready()
        for table in ("labels", "caller_labels"):
            connection.execute(f"DELETE FROM {table} WHERE at < ?", (before,))
        return connection.execute(OLD, (before,)).rowcount

    def close(self) -> None:
        if self.connection:
            self.connection.close()
        self.connection = None

    def read(self, since: float, labelled: bool) -> Iterator[Logged]:
        """What was logged, oldest first, each with its label; nothing is held in memory."""
        if not self.path.is_file():
            raise UserError(f"{self.path} is not there: LOG_DATABASE says where the service logs")
        connection = sqlite3.connect(self.path)
        try:
            there = connection.execute(THERE).fetchone() == (1,)
            yield from connection.execute(READ if there else NONE_YET + READ, (since, labelled))
        except sqlite3.Error as error:
            raise UserError(f"{self.path} cannot be read: {error}") from None
        finally:
            connection.close()
