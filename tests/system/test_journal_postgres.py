"""The prediction log in a real PostgreSQL that is killed, locked, frozen and emptied under a running service."""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.checks.environment import environment
from tests.rendering import render_tree
from tests.trees import template

from .logged import Service, served, until
from .postgres import Postgres, missing_parts
from .project import Project, with_store

DROP = "DROP TABLE IF EXISTS predictions, labels, caller_labels"
ASKED = ["shop a 0", "shop a 1", "shop same 0", "bank same 0", "bank b 0"]
ASKED += ["Office mine 0"]
"""Caller, request id and place of each prediction."""
# Caller, request id, place and label, in the order in which they are sent: a caller whose name begins with a capital may
# label everything, unless a dot follows, and - is none that is known. What then counts, and who sent it.
LABELLED: list[tuple[list[str], dict[str, str]]] = [
    (["shop a 0 1"], {"shop a 0": "1 shop"}),
    (["shop a 1 1"], {"shop a 1": "1 shop"}),
    (["bank a 0 1", "shop b 0 1"], {}),
    (["shop a 0 1", "bank a 0 0"], {"shop a 0": "1 shop"}),
    (["bank same 0 0"], {"bank same 0": "0 bank"}),
    (
        ["shop same 0 1", "bank same 0 0"],
        {"shop same 0": "1 shop", "bank same 0": "0 bank"},
    ),
    (["bank b 0 1", "bank b 0 0"], {"bank b 0": "0 bank"}),
    (["Office a 1 1"], {"shop a 1": "1 Office"}),
    (
        ["shop same 0 1", "Office same 0 0"],
        {"shop same 0": "0 Office", "bank same 0": "0 Office"},
    ),
    (
        ["Office same 0 0", "shop same 0 1"],
        {"shop same 0": "1 shop", "bank same 0": "0 Office"},
    ),
    (["Office b 0 1", "Clinic b 0 0"], {"bank b 0": "0 Clinic"}),
    (["Office b 0 1", "shop b 0 0"], {"bank b 0": "1 Office"}),
    (["Office b 0 1", "- b 0 0"], {"bank b 0": "0 None"}),
    (["Office mine 0 1", "Office. mine 0 0"], {"Office mine 0": "0 Office"}),
    (["Office unknown 0 1", "shop unknown 0 1"], {}),
]
SCRIPT = """
import json, sys
from harbour_pilot.kit.serve.logdb import Database

url, asked, sent = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
database = Database(url)
rows = [(100.0 + at, name, int(place), who, who, "{}", "{}") for at, (who, name, place) in enumerate(asked)]
labels = [
    (name, int(place), not who.islower() and who[-1] != ".", who.strip("-."), label, 5.0 + at)
    for at, (who, name, place, label) in enumerate(sent)
]
# Of those that wait together, the journal writes one for each caller and record: the last.
labels = list({label[:4]: label for label in labels}.values())
for new in sys.argv[4].split():
    database.write(rows if new == "rows" else [], labels if new == "labels" else [])
assert len(list(database.read(0.0, False))) in (0, len(asked))
print(json.dumps([(f"{r[3]} {r[1]} {r[2]}", f"{r[6]} {r[8]}") for r in database.read(0.0, True)]))
"""


class Log:
    """The log's own code in the shared environment, on a database without tables."""

    def __init__(self, folder: Path, postgres: Postgres) -> None:
        self.folder, self.postgres = folder, postgres
        answers = {"package_name": "harbour_pilot", "prediction_log": "postgres"}
        for path, content in render_tree({"preset": "custom", **answers}).items():
            if path.startswith("src/"):
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_bytes(content)
        postgres.sql(DROP)

    def after(self, sent: list[str], order: str) -> dict[str, str]:
        """Which labels count, once rows and labels are written in an order."""
        python = environment(template(), "harbour_pilot")
        words = [
            json.dumps([line.split() for line in lines]) for lines in (ASKED, sent)
        ]
        done = subprocess.run(
            [str(python), "-c", SCRIPT, self.postgres.url, *words, order],
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(self.folder / "src")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))


@pytest.fixture
def log(tmp_path: Path, postgres: Postgres) -> Log:
    return Log(tmp_path, postgres)


@pytest.mark.parametrize("order", ["rows labels", "labels rows"])
def test_a_label_counts_for_the_callers_own_rows_or_for_all_by_right(
    order: str, log: Log
) -> None:
    for sent, expected in LABELLED:
        log.postgres.sql(DROP)
        assert log.after(sent, order) == expected, sent


def test_a_log_of_an_earlier_release_is_read_and_goes_on(log: Log) -> None:
    """Its services may label at the same time; who called is then not known."""
    log.after([], "rows")
    log.postgres.sql("DROP TABLE caller_labels")
    earlier = (
        "INSERT INTO labels VALUES ('a', 0, '%s', to_timestamp(%s)) ON CONFLICT (request_id, place) "
        "DO UPDATE SET label = excluded.label, at = excluded.at WHERE excluded.at >= labels.at"
    )
    log.postgres.sql(earlier % (7, 1))
    assert log.after([], "") == {"shop a 0": "7 None"}, "nothing is written"
    assert log.after(["Office a 0 2"], "labels") == {"shop a 0": "2 Office"}
    log.postgres.sql(earlier % (8, 100))
    assert log.after(["shop a 0 3"], "labels") == {"shop a 0": "8 None"}


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
    postgres.sql(DROP)
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
    postgres.sql(DROP)
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
    postgres.sql(DROP)
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
