"""The engine leaves the machine as it was, however the session ends."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.rendering import ROOT

from . import engine as engine_module
from .engine import NETWORK, Engine, EngineError, missing_parts

_OWNER = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.system.engine import Engine
engine = Engine(Path(sys.argv[2]))
engine.start()
print(engine.pid, flush=True)
time.sleep(60)
"""


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _footprint() -> dict[str, object]:
    """All that an engine is known to leave behind."""
    rules = _output("iptables-save").splitlines()
    links = [path.name for path in Path("/sys/class/net").iterdir()]
    return {
        "iptables": [rule for rule in rules if rule.startswith((":DOCKER", "-A"))],
        "forwarding": Path("/proc/sys/net/ipv4/ip_forward").read_text(),
        "links": sorted(links),
        "mounts": Path("/proc/mounts").read_text(),
        "sockets": sorted(Path("/run").glob("slipway-docker-*")),
    }


def _processes(home: Path) -> list[int]:
    """Processes that name this folder in their command."""
    commands = Path("/proc").glob("[0-9]*/cmdline")
    return [int(path.parent.name) for path in commands if str(home) in _read(path)]


def _read(path: Path) -> str:
    try:
        return path.read_text().replace("\0", " ")
    except (FileNotFoundError, ProcessLookupError):  # it ended in between
        return ""


@contextmanager
def _owner(home: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process, which has started an engine and is soon killed."""
    command = [sys.executable, "-c", _OWNER, str(ROOT), str(home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert int(owner.stdout.readline()) > 0
        yield owner


def _archive(program: str, folder: Path) -> Path:
    """One program of this machine and its libraries, as the content of an image."""
    libraries = re.findall(r"(/\S+) \(", _output("ldd", program))
    archive = folder / "program.tar"
    # As -h follows links, the libraries keep the names that the loader looks for.
    subprocess.run(["tar", "-chPf", archive, program, *libraries], check=True)
    return archive


@pytest.fixture(autouse=True)
def _engine_can_run() -> None:
    if absent := missing_parts():
        pytest.skip(absent)


def test_a_stopped_engine_leaves_no_trace(tmp_path: Path) -> None:
    before = _footprint()
    engine = Engine(tmp_path)

    engine.start()
    assert _footprint()["links"] != before["links"], "no bridge was made"
    assert len(_processes(tmp_path)) >= 1
    engine.stop()

    assert _footprint() == before
    assert _processes(tmp_path) == []


def test_an_engine_does_not_outlive_a_killed_session(tmp_path: Path) -> None:
    before = _footprint()
    with _owner(tmp_path) as owner:
        owner.kill()

    end = time.monotonic() + 30
    while _processes(tmp_path) and time.monotonic() < end:
        time.sleep(0.1)
    assert _processes(tmp_path) == []
    # The next session takes over what the killed one left, and removes it.
    engine = Engine(tmp_path)
    engine.start()
    engine.stop()
    assert _footprint() == before


def test_an_engine_starts_after_one_that_was_killed_with_its_containers(
    tmp_path: Path,
) -> None:
    before = _footprint()
    engine = Engine(tmp_path)
    with _owner(tmp_path) as owner:
        image = engine.docker("import", str(_archive("/usr/bin/sleep", tmp_path)))
        sleep = ("run", "--detach", "--network", NETWORK, image, "sleep", "999")
        container = engine.docker(*sleep)
        inside = int(engine.docker("inspect", "-f", "{{.State.Pid}}", container))
        assert "overlay" in Path("/proc/mounts").read_text(), "nothing is mounted"
        # As a machine without memory does it, or a session's end: no one can tidy up.
        sockets = engine.environment["DOCKER_HOST"].removeprefix("unix://")
        around = {*_processes(Path(sockets).parent), *_processes(tmp_path)}
        for process in [*(around - {owner.pid}), inside]:
            os.kill(process, signal.SIGKILL)
        owner.kill()

    engine.start()
    try:
        assert engine.docker("ps", "--all", "--quiet") == ""
    finally:
        engine.stop()
    assert _footprint() == before


def test_two_engines_never_share_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "_OTHER_SESSION_SECONDS", 0.2)
    engine = Engine(tmp_path)
    engine.start()
    try:
        with pytest.raises(EngineError, match="which another session uses"):
            Engine(tmp_path).start()
        assert engine.docker("version", "--format", "{{.Server.Version}}")
    finally:
        engine.stop()
