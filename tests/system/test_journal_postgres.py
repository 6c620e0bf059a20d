"""The prediction log in a real PostgreSQL that is killed, locked, frozen and emptied under a running service."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from .logged import Service, served, until
from .postgres import Postgres, missing_parts
from .project import Project, with_store


@pytest.fixture(scope="module")
def project(trained: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that logs its predictions, with a champion to serve."""
    folder = tmp_path_factory.mktemp("log") / "project"
    return with_store(folder, {"prediction_log": "postgres"}, trained)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    if absent := missing_parts():
        pytest.skip(absent)
    server = Postgres()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def service(project: Project, postgres: Postgres) -> Iterator[Service]:
    """The service on a database without tables."""
    postgres.sql("DROP TABLE IF EXISTS predictions, labels")
    with served(project, postgres.url) as service:
        yield service


def logged(postgres: Postgres) -> list[str]:
    """The ids in the log, as often as they are in it."""
    if postgres.sql("SELECT to_regclass('predictions')") == "":
        return []
    return postgres.sql("SELECT request_id FROM predictions").split()


def holds_all(postgres: Postgres, service: Service) -> bool:
    """Whether each request that was answered is logged, once."""
    return sorted(logged(postgres)) == sorted(service.asked)


def test_what_was_asked_answered_and_told_later_is_there_for_training(
    service: Service, postgres: Postgres, project: Project, tmp_path: Path
) -> None:
    service.ask(20)
    records = {"records": [service.example] * 3}
    assert service.call("POST", "/predict/batch", records, "many")[0] == 200
    for label in (1, 0):
        told = {"request_id": "many", "index": 2, "label": label}
        assert service.call("POST", "/feedback", told)[0] == 202
    service.asked += ["many"] * 3
    until("logged", lambda: holds_all(postgres, service))
    labels = "SELECT place, label FROM labels"
    until("labelled", lambda: postgres.sql(labels) == "2|0")
    inputs = "SELECT inputs FROM predictions WHERE request_id = 'many' AND place = 1"
    assert json.loads(postgres.sql(inputs)) == service.example
    output = tmp_path / "log.parquet"
    (project.folder / ".env").write_text(f"LOG_DATABASE={postgres.url}\n")
    project.cli("export-log", str(output), "--labelled")
    count = (
        "import sys, pandas; table = pandas.read_parquet(sys.argv[1]); "
        "assert table[['request_id', 'index', 'fraud']].values.tolist() == [['many', 2, 0]]"
    )
    project.uv("run", "--locked", "python", "-c", count, str(output))
    assert service.trouble() == ""


def test_killed_and_back(service: Service, postgres: Postgres) -> None:
    service.ask(20)
    until("logged", lambda: holds_all(postgres, service))
    postgres.kill()
    try:
        service.ask(50)
        until("said", service.trouble)
        service.ask(20)
        assert "were dropped" in service.trouble()
    finally:
        postgres.start()
    until("logged", lambda: holds_all(postgres, service))
    until("well", lambda: not service.trouble())


def test_connections_cut_while_it_writes(service: Service, postgres: Postgres) -> None:
    cut = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'prediction-log'"
    )
    for _ in range(6):
        service.ask(40)
        postgres.sql(cut)
    until("logged", lambda: holds_all(postgres, service))


def test_locked(service: Service, postgres: Postgres) -> None:
    service.ask(1)
    until("logged", lambda: holds_all(postgres, service))
    lock = "BEGIN; LOCK TABLE predictions; SELECT pg_sleep(7); COMMIT"
    session = postgres.session(lock)
    try:
        service.ask(30)
        until("said", service.trouble)
        service.ask(30)
    finally:
        session.wait(20)
    until("logged", lambda: holds_all(postgres, service))
    until("well", lambda: not service.trouble())


def test_frozen(service: Service, postgres: Postgres) -> None:
    service.ask(1)
    until("logged", lambda: holds_all(postgres, service))
    postgres.signal(signal.SIGSTOP)
    try:
        service.ask(30)
        until("said", lambda: "nothing could be written" in service.trouble())
    finally:
        postgres.signal(signal.SIGCONT)
    until("logged", lambda: holds_all(postgres, service))


def test_tables_dropped(service: Service, postgres: Postgres) -> None:
    service.ask(1)
    until("logged", lambda: holds_all(postgres, service))
    postgres.sql("DROP TABLE predictions, labels")
    service.asked.clear()
    service.ask(5)
    until("logged", lambda: holds_all(postgres, service))


def test_what_waits_is_written_before_the_end(
    service: Service, postgres: Postgres
) -> None:
    service.ask(30)
    service.stop()
    assert holds_all(postgres, service)


def test_beyond_the_buffer_it_drops_the_newest_and_counts_them(
    project: Project, postgres: Postgres
) -> None:
    postgres.sql("DROP TABLE IF EXISTS predictions, labels")
    postgres.kill()
    try:
        with served(project, postgres.url, LOG_BUFFER_BYTES="10000") as service:
            service.ask(100)
            until("said", lambda: ", 0 were dropped" not in service.trouble())
            metrics = service.call("GET", "/metrics")[1].splitlines()
            (line,) = [m for m in metrics if m.startswith("prediction_log_dropped_t")]
            dropped = int(float(line.split()[1]))
            assert 0 < dropped < 100
            postgres.start()
            until("well", lambda: not service.trouble())
            kept = service.asked[: 100 - dropped]
            assert sorted(logged(postgres)) == sorted(kept)
    finally:
        if not postgres.runs:
            postgres.start()
