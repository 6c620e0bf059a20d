"""The file of the prediction log: locked, full, taken away, too old; and read while it is written."""

import sqlite3
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fraud_watch.kit import UserError
from fraud_watch.kit.schema import Schema
from fraud_watch.kit.serve.logdb import FAULTS, INSERT, LABEL, TABLES, Database, Label, Row
from fraud_watch.kit.verbs.export_log import commands


def rows(count: int, at: float = 100.0) -> list[Row]:
    return [(at, f"r{n}", 0, "1", "me", '{"a":1}', '{"prediction":1}') for n in range(count)]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(str(tmp_path / "log.db"))
    database.ready()
    yield database
    database.close()


def label(name: str, text: str = "1", at: float = 5.0, who: str = "", place: int = 0) -> Label:
    """A label of a caller who may label everything if the name begins with a capital, or of no known one."""
    return name, place, not who or who[0].isupper(), who, text, at


def names(database: Database, since: float = 0.0, labelled: bool = False) -> list[str]:
    return [row[1] for row in database.read(since, labelled)]


def test_rows_and_labels_come_back_joined(database: Database) -> None:
    database.write(rows(1201), [label("r1"), label("r1", "0", place=1), label("later")])
    logged = list(database.read(0.0, False))
    assert [row[1] for row in logged] == [f"r{n}" for n in range(1201)]
    assert logged[0] == (100.0, "r0", 0, "1", '{"a":1}', '{"prediction":1}', None, None, None)
    assert logged[1][6:] == ("1", 5.0, None)
    assert names(database, labelled=True) == ["r1"]
    assert names(database, since=101.0) == []


def test_the_last_label_wins_also_when_an_older_one_comes_late(database: Database) -> None:
    for text, at in (("1", 5.0), ("2", 7.0), ("3", 6.0)):
        for who in ("", "Office"):
            database.write([], [label("r0", text, at, who), label("r1", text, at, "me")])
    database.write(rows(2), [])
    assert [row[6:] for row in database.read(0.0, True)] == [("2", 7.0, "Office"), ("2", 7.0, "me")]
    callers = database.ready().execute("SELECT DISTINCT caller FROM caller_labels ORDER BY caller")
    assert callers.fetchall() == [("Office",), ("me",)], "a label without a caller is not there"


ASKED = [("shop", "a", 0), ("shop", "a", 1), ("shop", "same", 0), ("bank", "same", 0), ("bank", "b", 0)]
ASKED += [("Office", "mine", 0)]


@pytest.mark.parametrize("early", [True, False], ids=["label first", "row first"])
@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ([label("a", "1", 5, "shop")], {("shop", "a", 0): ("1", "shop")}),
        ([label("a", "1", 5, "shop", place=1)], {("shop", "a", 1): ("1", "shop")}),
        ([label("a", "1", 5, "bank"), label("b", "1", 5, "shop")], {}),
        ([label("a", "1", 5, "shop"), label("a", "0", 6, "bank")], {("shop", "a", 0): ("1", "shop")}),
        ([label("same", "0", 5, "bank")], {("bank", "same", 0): ("0", "bank")}),
        (
            [label("same", "1", 5, "shop"), label("same", "0", 6, "bank")],
            {("shop", "same", 0): ("1", "shop"), ("bank", "same", 0): ("0", "bank")},
        ),
        ([label("b", "1", 5, "bank"), label("b", "0", 6, "bank")], {("bank", "b", 0): ("0", "bank")}),
        ([label("a", "1", 5, "Office", place=1)], {("shop", "a", 1): ("1", "Office")}),
        (
            [label("same", "1", 5, "shop"), label("same", "0", 6, "Office")],
            {("shop", "same", 0): ("0", "Office"), ("bank", "same", 0): ("0", "Office")},
        ),
        (
            [label("same", "0", 5, "Office"), label("same", "1", 6, "shop")],
            {("shop", "same", 0): ("1", "shop"), ("bank", "same", 0): ("0", "Office")},
        ),
        ([label("b", "1", 5, "Office"), label("b", "0", 6, "Clinic")], {("bank", "b", 0): ("0", "Clinic")}),
        ([label("b", "1", 5, "Office"), label("b", "0", 6, "shop")], {("bank", "b", 0): ("1", "Office")}),
        ([label("b", "1", 5, "Office"), label("b", "0", 6)], {("bank", "b", 0): ("0", None)}),
        ([label("b", "1", 5, "Office"), label("b", "0", 5, "shop")], {("bank", "b", 0): ("1", "Office")}),
        (
            [label("mine", "1", 5, "Office"), ("mine", 0, False, "Office", "0", 6.0)],
            {("Office", "mine", 0): ("0", "Office")},
        ),
        ([label("unknown", "1", 5, "Office"), label("unknown", "1", 5, "shop")], {}),
    ],
)
def test_a_label_counts_for_the_callers_own_rows_or_for_all_by_right(
    database: Database, early: bool, sent: list[Label], expected: dict[tuple[str, str, int], tuple[str, str]]
) -> None:
    asked = [(100.0, name, place, who, who, "{}", "{}") for who, name, place in ASKED]
    written: list[tuple[list[Row], list[Label]]] = [([], sent), (asked, [])]
    for new in written if early else written[::-1]:
        database.write(*new)
    found = {(row[3], row[1], row[2]): (row[6], row[8]) for row in database.read(0.0, True)}
    assert found == expected
    assert len(list(database.read(0.0, False))) == len(ASKED)


def test_a_log_of_an_earlier_release_is_read_and_goes_on(tmp_path: Path) -> None:
    """Its services may label at the same time; who called is then not known."""
    database = Database(str(tmp_path / "log.db"))
    earlier = sqlite3.connect(database.path, isolation_level=None)
    earlier.executescript(TABLES.partition("CREATE TABLE IF NOT EXISTS caller_labels")[0])
    earlier.execute(INSERT + "(100.0, 'r0', 0, '1', 'me', '{}', '{}')")
    earlier.execute(LABEL, ("r0", 0, "1", 5.0))
    assert [row[6:] for row in database.read(0.0, True)] == [("1", 5.0, None)]
    for at, new, expected in (
        (6.0, label("r0", "2", 6.0, "me"), ("2", 6.0, "me")),
        (7.0, label("r0", "3", 7.0, "Office"), ("3", 7.0, "Office")),
        (8.0, None, ("4", 8.0, None)),
    ):
        if new:
            database.write([], [new])
        else:
            earlier.execute(LABEL, ("r0", 0, "4", at))
        assert [row[6:] for row in database.read(0.0, True)] == [expected]
    earlier.close()
    database.close()


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
    labels = [label("r0", at=100.0, who="me"), label("r1", at=200.0, who="me")]
    database.write([*rows(3), *rows(1, at=200.0)], labels)
    assert (database.forget(150.0), database.forget(150.0)) == (3, 0)
    assert names(database) == ["r0"]
    assert database.ready().execute("SELECT request_id FROM caller_labels").fetchall() == [("r1",)]


def test_a_person_can_be_erased_as_the_guide_says(database: Database) -> None:
    database.write(rows(2), [label("r0", who="Office"), label("r0", who="me")])
    for name in ("labels", "caller_labels", "predictions"):
        assert database.ready().execute(f"DELETE FROM {name} WHERE request_id = 'r0'").rowcount
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
    done = CliRunner().invoke(commands, [str(output)])
    assert done.exit_code == 0, done.output
    assert "3 predictions" in done.output
    assert output.is_file()
    later = datetime.fromtimestamp(time.time() + 90_000).strftime("%Y-%m-%d")
    assert "0 predictions" in CliRunner().invoke(commands, [str(output), "--since", later]).output
    assert "0 predictions" in CliRunner().invoke(commands, [str(output), "--labelled"]).output
    assert isinstance(CliRunner().invoke(commands, ["out.csv"]).exception, UserError)
