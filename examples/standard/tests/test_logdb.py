"""The file of the prediction log: locked, full, taken away, too old; and read while it is written."""

import sqlite3
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fraud_watch.cli import app
from fraud_watch.kit import UserError
from fraud_watch.kit.schema import Schema
from fraud_watch.kit.serve.logdb import FAULTS, Database, Row


def rows(count: int, at: float = 100.0) -> list[Row]:
    return [(at, f"r{n}", 0, "1", "me", '{"a":1}', '{"prediction":1}') for n in range(count)]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(str(tmp_path / "log.db"))
    database.ready()
    yield database
    database.close()


def names(database: Database, since: float = 0.0, labelled: bool = False) -> list[str]:
    return [row[1] for row in database.read(since, labelled)]


def test_rows_and_labels_come_back_joined(database: Database) -> None:
    database.write(rows(1201), [("r1", 0, "1", 5.0), ("r1", 1, "0", 5.0), ("later", 0, "1", 5.0)])
    logged = list(database.read(0.0, False))
    assert [row[1] for row in logged] == [f"r{n}" for n in range(1201)]
    assert logged[0] == (100.0, "r0", 0, "1", '{"a":1}', '{"prediction":1}', None, None)
    assert logged[1][6:] == ("1", 5.0)
    assert names(database, labelled=True) == ["r1"]
    assert names(database, since=101.0) == []


def test_the_last_label_wins_also_when_an_older_one_comes_late(database: Database) -> None:
    for label, at in (("1", 5.0), ("2", 7.0), ("3", 6.0)):
        database.write([], [("r0", 0, label, at)])
    database.write(rows(1), [])
    assert [row[6:] for row in database.read(0.0, True)] == [("2", 7.0)]


def test_a_locked_file_is_a_fault_and_nothing_of_the_batch_is_kept_twice(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.ready().execute("PRAGMA busy_timeout = 10")
    other = sqlite3.connect(database.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(FAULTS, match="locked"):
        database.write(rows(3), [])
    other.execute("ROLLBACK")
    other.close()
    database.write(rows(3), [])
    assert names(database) == ["r0", "r1", "r2"]


def test_a_full_disk_is_a_fault_and_leaves_the_file_whole(database: Database) -> None:
    database.ready().execute("PRAGMA max_page_count = 12")
    with pytest.raises(FAULTS, match="full"):
        database.write(rows(5000), [])
    database.ready().execute("PRAGMA max_page_count = 100000")
    database.write(rows(2), [])
    assert names(database) == ["r0", "r1"]


def test_a_file_that_was_taken_away_is_made_anew(database: Database, tmp_path: Path) -> None:
    database.write(rows(1), [])
    for path in tmp_path.glob("log.db*"):
        path.unlink()
    database.write(rows(2), [])
    assert names(database) == ["r0", "r1"]
    database.close()
    (tmp_path / "log.db").write_bytes(b"no database" * 1000)
    with pytest.raises(FAULTS, match="not a database"):
        database.ready()


def test_one_connection_is_kept_while_the_file_is_there(database: Database) -> None:
    assert database.ready() is database.ready()


def test_what_is_old_is_deleted_with_its_labels(database: Database) -> None:
    database.write([*rows(3), *rows(1, at=200.0)], [("r0", 0, "1", 100.0), ("r1", 0, "1", 200.0)])
    assert (database.forget(150.0), database.forget(150.0)) == (3, 0)
    assert names(database) == ["r0"]
    assert database.ready().execute("SELECT request_id FROM labels").fetchall() == [("r1",)]


def test_a_person_can_be_erased_as_the_guide_says(database: Database) -> None:
    database.write(rows(2), [("r0", 0, "1", 5.0)])
    for name in ("labels", "predictions"):
        database.ready().execute(f"DELETE FROM {name} WHERE request_id = 'r0'")
    assert names(database) == ["r1"]


def test_the_verb_writes_what_the_service_logs(
    project: Path, schema: Schema, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOG_DATABASE", str(tmp_path / "log.db"))
    database, output = Database(str(tmp_path / "log.db")), tmp_path / "out.parquet"
    with pytest.raises(UserError, match="is not there"):
        names(database)
    database.write(rows(3, at=time.time()), [])
    database.close()
    done = CliRunner().invoke(app, ["export-log", str(output)])
    assert done.exit_code == 0, done.output
    assert "3 predictions" in done.output
    assert output.is_file()
    later = datetime.fromtimestamp(time.time() + 90_000).strftime("%Y-%m-%d")
    assert "0 predictions" in CliRunner().invoke(app, ["export-log", str(output), "--since", later]).output
    assert "0 predictions" in CliRunner().invoke(app, ["export-log", str(output), "--labelled"]).output
    assert isinstance(CliRunner().invoke(app, ["export-log", "out.csv"]).exception, UserError)
