"""The engine leaves the machine as it was, however the session ends."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.rendering import ROOT

from . import engine as engine_module
from .engine import Engine, EngineError, missing_parts

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


def _processes(home: Path) -> list[str]:
    """Processes that have a file of this engine open as lock, log or argument."""
    return [
        arguments
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if str(home) in (arguments := _read(path))
    ]


def _read(path: Path) -> str:
    try:
        return path.read_text().replace("\0", " ")
    except (FileNotFoundError, ProcessLookupError):  # it ended in between
        return ""


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
    command = [sys.executable, "-c", _OWNER, str(ROOT), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert int(owner.stdout.readline()) > 0
        owner.send_signal(signal.SIGKILL)

    end = time.monotonic() + 30
    while _processes(tmp_path) and time.monotonic() < end:
        time.sleep(0.1)
    assert _processes(tmp_path) == []
    # The next session takes over what the killed one left, and removes it.
    engine = Engine(tmp_path)
    engine.start()
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
