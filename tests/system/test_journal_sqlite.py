"""The prediction log in a file that is locked, taken away or made unwritable under a running service."""

import signal
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .logged import Service, served, until
from .project import Project, with_store


@pytest.fixture(scope="module")
def project(trained: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that logs its predictions, with a champion to serve."""
    folder = tmp_path_factory.mktemp("log") / "project"
    return with_store(folder, {"prediction_log": "sqlite"}, trained)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    (tmp_path / "log").mkdir()
    return tmp_path / "log" / "predictions.db"


@pytest.fixture
def service(project: Project, database: Path) -> Iterator[Service]:
    with served(project, str(database)) as service:
        yield service


def logged(database: Path) -> list[str]:
    """The ids in the log, as often as they are in it."""
    if not database.is_file():
        return []
    connection = sqlite3.connect(database)
    if not connection.execute("SELECT 1 FROM sqlite_master").fetchone():
        return []
    try:
        found = connection.execute("SELECT request_id FROM predictions")
        return [name for (name,) in found]
    finally:
        connection.close()


def holds_all(database: Path, service: Service) -> bool:
    """Whether each request that was answered is logged, once."""
    return sorted(logged(database)) == sorted(service.asked)


def test_locked(service: Service, database: Path) -> None:
    service.ask(5)
    until("logged", lambda: holds_all(database, service))
    other = sqlite3.connect(database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    service.ask(30)
    until("said", service.trouble)
    service.ask(30)
    other.execute("ROLLBACK")
    other.close()
    until("logged", lambda: holds_all(database, service))
    until("well", lambda: not service.trouble())


def test_taken_away_with_its_folder_and_back(service: Service, database: Path) -> None:
    service.ask(5)
    until("logged", lambda: holds_all(database, service))
    elsewhere = database.parent.with_name("elsewhere")
    database.parent.rename(elsewhere)
    service.asked.clear()
    service.ask(20)
    until("said", service.trouble)
    service.ask(20)
    database.parent.mkdir()
    until("logged", lambda: holds_all(database, service))
    assert len(logged(elsewhere / database.name)) == 5


def test_what_waits_is_written_before_the_end(service: Service, database: Path) -> None:
    service.ask(30)
    service.stop()
    assert holds_all(database, service)


def test_a_kill_loses_no_more_than_the_last_moment(
    service: Service, database: Path
) -> None:
    early = service.ask(30)
    time.sleep(1)
    service.ask(10)
    service.process.send_signal(signal.SIGKILL)
    service.process.wait()
    assert set(early) <= set(logged(database)) <= set(service.asked)


def test_from_the_log_to_a_table(
    service: Service, database: Path, project: Project, tmp_path: Path
) -> None:
    (name,) = service.ask(1)
    told = {"request_id": name, "label": 1}
    assert service.call("POST", "/feedback", told)[0] == 202
    service.stop()
    (project.folder / ".env").write_text(f"LOG_DATABASE={database}\n")
    output = tmp_path / "log.parquet"
    project.cli("export-log", str(output), "--labelled")
    count = (
        "import sys, pandas; table = pandas.read_parquet(sys.argv[1]); "
        "assert table[['request_id', 'fraud']].values.tolist() == [[sys.argv[2], 1]]"
    )
    project.uv("run", "--locked", "python", "-c", count, str(output), name)
