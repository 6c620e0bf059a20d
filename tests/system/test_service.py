"""The emitted service under bad input and faults: a real process, asked over the network."""

import http.client
import json
import shutil
import subprocess
import sysconfig
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from .project import Project, with_store
from .service import Service, serving

HEAD = b"POST /predict HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n"
MEGABYTE = b" " * 1_000_000
# In the project's environment: version 2, which says of every record what 1 does not.
CONTRARY = """
import json, sys
from pathlib import Path
from {package}.kit.store import Store
store = Store(Path("store"))
path = store.folder("1") / "manifest.json"
for version, threshold in (("1", 0.0), ("2", 2.0)):
    folder = store.folder(version)
    if version == "2":
        import shutil
        shutil.copytree(store.folder("1"), folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["decision"]["threshold"] = threshold
    (folder / "manifest.json").write_text(json.dumps(manifest))
    store.sign(version, folder)
store.pointer.unlink()
store.promote("1")
"""
SWITCH = """
import time
from pathlib import Path
from {package}.kit.store import Store
store = Store(Path("store"))
for _ in range(5):
    store.promote("2")
    time.sleep(0.6)
    store.roll_back()
    time.sleep(0.6)
"""


@pytest.fixture(scope="module")
def project(trained: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose first model is promoted, and that has a second which differs."""
    project = with_store(tmp_path_factory.mktemp("service") / "project", {}, trained)
    run(project, CONTRARY)
    return project


def run(project: Project, code: str) -> None:
    """Run Python code in the project's environment."""
    code = code.format(package=project.package.name)
    project.uv("run", "--locked", "python", "-c", code)


@pytest.fixture(scope="module")
def service(project: Project) -> Iterator[Service]:
    """One for all tests: each leaves it able to serve version 1."""
    settings = {"REQUEST_SECONDS": "2", "RELOAD_SECONDS": "0.1"}
    with serving(project, project.folder / "service.log", **settings) as service:
        yield service


@pytest.fixture(scope="module")
def record(project: Project) -> bytes:
    """A record that the schema allows."""
    call = subprocess.run(
        [
            project.folder / ".venv/bin/python",
            "-c",
            EXAMPLE.format(project.package.name),
        ],
        check=True,
        cwd=project.folder,
        stdout=subprocess.PIPE,
    )
    return call.stdout.strip()


EXAMPLE = """
import json
from pathlib import Path
from {}.kit.schema import Schema
print(json.dumps(Schema.load(Path("schema.yaml")).example()))
"""


def test_it_does_what_its_documentation_says(service: Service, tmp_path: Path) -> None:
    """Schemathesis: no 5xx, no undocumented status, what is allowed is taken, the rest is not."""
    st = shutil.which("schemathesis", path=sysconfig.get_path("scripts"))
    if st is None:
        pytest.skip("no schemathesis: uv sync")
    done = subprocess.run(
        [
            st,
            "run",
            f"http://127.0.0.1:{service.port}/openapi.json",
            "--checks=all",
            "--max-examples=100",
            "--phases=examples,coverage,fuzzing",
            "--no-color",
            "--generation-database=none",
        ],
        check=False,
        cwd=tmp_path,  # where it leaves a report
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout


BAD: dict[str, tuple[Callable[[bytes], bytes], int]] = {
    "nothing": (lambda _: b"", 422),
    "half": (lambda record: record[:-1], 422),
    "two": (lambda record: record * 2, 422),
    "nested": (lambda _: b'{"amount":' + b"[" * 500_000, 422),
    "not a number": (lambda record: record.replace(b"389.9", b"NaN"), 422),
    "infinite": (lambda record: record.replace(b"389.9", b"-Infinity"), 422),
    "huge": (lambda record: record.replace(b"389.9", b"1e999"), 422),
    "long": (lambda record: record.replace(b"389.9", b"9" * 100_000), 422),
    "text": (lambda record: record.replace(b"389.9", b'"389.9"'), 422),
    "twice": (lambda record: record[:-1] + b', "amount": 389.9}', 422),
    "latin": (lambda record: record.replace(b"online", b"\xe9"), 422),
    "wide": (lambda record: record.decode().encode("utf-16"), 422),
    "marked": (lambda record: b"\xef\xbb\xbf" + record, 422),
    "surrogate": (lambda record: record.replace(b"online", rb"\ud800"), 422),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_body_is_refused(service: Service, record: bytes, case: str) -> None:
    spoil, status = BAD[case]
    answer = service.predict(spoil(record))
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert service.predict(record).status == 200


def test_what_is_too_long_costs_no_memory(service: Service, record: bytes) -> None:
    """A hundred megabytes, said beforehand or not, to each kind of route."""
    service.predict(record)
    before = service.memory()
    for path in ("/predict", "/predict/batch"):
        assert flood(service, path, chunked=False) == 413
        assert flood(service, path, chunked=True) == 413
    many = {f"x-{n}": "1" for n in range(90)}
    assert service.ask("POST", "/predict", record, many).status == 200
    many |= {f"y-{n}": "1" for n in range(90)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(http.client, "_MAXHEADERS", 1000)
        assert service.ask("POST", "/predict", record, many).status == 431
    assert service.memory() < before + 20
    assert service.predict(record).status == 200


def flood(service: Service, path: str, chunked: bool) -> int:
    """Send until the service has had enough; gives its status."""
    size = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: 100000000"
    piece = b"f4240\r\n" + MEGABYTE + b"\r\n" if chunked else MEGABYTE
    with service.connect() as link:
        link.sendall(HEAD.replace(b"/predict", path.encode()) + size + b"\r\n\r\n")
        try:
            for _ in range(100):
                link.sendall(piece)
        except OSError:
            pass
        try:
            return int(link.recv(12).split()[1])
        except (OSError, IndexError):
            # The answer was lost with the connection that was closed on us.
            log = service.log.read_text().splitlines()
            return int(json.loads(log[-1])["status"])


def test_a_slow_client_is_cut_off_and_others_are_not(
    service: Service, record: bytes
) -> None:
    with service.connect() as link:
        link.sendall(HEAD + b"Content-Length: 500\r\n\r\n" + record[:20])
        began = time.monotonic()
        assert service.predict(record).status == 200
        assert link.recv(12) == b"HTTP/1.1 408"
        assert 1.5 < time.monotonic() - began < 6


def test_a_broken_store_is_told_and_the_old_model_serves(
    project: Project, service: Service, record: bytes
) -> None:
    store = project.store
    pointer = store / "champion.json"
    kept = pointer.read_bytes()
    folder = store / "versions" / "2"
    whole = {path: path.read_bytes() for path in folder.iterdir()}
    run(project, SWITCH.split("for")[0] + 'store.promote("2")\n')
    promoted = pointer.read_bytes()
    service.until_serving("2")
    replace(pointer, kept)
    service.until_serving("1")
    try:
        for damage, said in faults(pointer, promoted, folder):
            damage()
            service.until_ready_says(said)
            answer = service.predict(record)
            assert (answer.status, answer.said["model_version"]) == (200, "1")
            for path, content in whole.items():
                path.write_bytes(content)
            replace(pointer, kept)
            service.until_ready_says("")
    finally:
        for path, content in whole.items():
            path.write_bytes(content)
        replace(pointer, kept)
    metrics = service.ask("GET", "/metrics").body.decode()
    assert "model_load_failures_total 4.0" in metrics
    service.until_serving("1")


def replace(pointer: Path, content: bytes) -> None:
    """At once, as the store does it: half a pointer would be one more fault."""
    draft = pointer.with_suffix(".draft")
    draft.write_bytes(content)
    draft.replace(pointer)


def faults(
    pointer: Path, promoted: bytes, folder: Path
) -> Iterator[tuple[Callable[[], Any], str]]:
    """Ways to break a store, each with what the service says of it."""

    def cut(name: str) -> None:
        path = folder / name
        path.write_bytes(path.read_bytes()[:-50])
        replace(pointer, promoted)

    def gone() -> None:
        (folder / "parity.json").unlink()
        replace(pointer, promoted)

    yield lambda: cut("manifest.json"), "isn't signed by this project's key"
    yield lambda: cut("schema.yaml"), "has changed since it was written"
    yield gone, "cannot be read"
    yield lambda: replace(pointer, b'{"version'), "is damaged"


def test_ten_thousand_requests_through_ten_changes_of_the_champion(
    project: Project, service: Service, record: bytes
) -> None:
    """None fails, and each is attributed to the version whose answer it is."""
    service.until_serving("1")
    before = service.log.read_text().count(" serves")
    switching = threading.Thread(target=run, args=(project, SWITCH))
    seen: Counter[tuple[str, Any]] = Counter()

    def caller() -> None:
        own: Counter[tuple[str, Any]] = Counter()
        with closing(http.client.HTTPConnection("127.0.0.1", service.port)) as link:
            for number in range(100_000):
                if number >= 2_500 and not switching.is_alive():
                    break
                headers = {"Content-Type": "application/json"}
                link.request("POST", "/predict", record, headers)
                response = link.getresponse()
                said = json.loads(response.read())
                assert response.status == 200, said
                own[said["model_version"], said["prediction"]] += 1
        seen.update(own)

    callers = [threading.Thread(target=caller) for _ in range(4)]
    for thread in [switching, *callers]:
        thread.start()
    for thread in [switching, *callers]:
        thread.join()
    assert set(seen) == {("1", 1), ("2", 0)}
    assert seen.total() >= 10_000
    assert service.log.read_text().count(" serves") - before == 10


def test_what_is_under_way_is_answered_after_the_signal_to_stop(
    service: Service, record: bytes
) -> None:
    size = f"Content-Length: {len(record)}\r\n\r\n".encode()
    with service.connect() as link:
        link.sendall(HEAD + size + record[:20])
        time.sleep(0.3)
        service.process.terminate()
        time.sleep(0.5)
        link.sendall(record[20:])
        assert link.recv(12) == b"HTTP/1.1 200"
        with pytest.raises(OSError):
            service.connect()
    service.process.wait(20)
    log = service.log.read_text()
    assert '"status": 200' in log.replace('"status":200', '"status": 200')
    assert "Finished server process" in log
