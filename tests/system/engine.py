"""A Docker Engine for the tests, started by hand in a folder of its own.

Nothing of the machine is touched that has to be put back: iptables and IP forwarding are
off, so a container reaches the host and the host reaches it over the one bridge network
that `start` makes and `stop` removes. Images and build cache stay in the folder, which is
why a second session starts in a second.
"""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO
from zlib import crc32

APT_PACKAGES = ("docker.io", "debootstrap")
NETWORK = "slipway"

# Debian's own client, which belongs to Debian's engine: a newer one that comes first on
# PATH asks for a BuildKit plugin which Debian does not have.
_CLIENT = "/usr/bin/docker"
_START_SECONDS = 30.0
_STOP_SECONDS = 30.0
_OTHER_SESSION_SECONDS = 900.0


class EngineError(RuntimeError):
    """The engine did not start or did not stop; the message holds the end of its log."""


def missing_parts() -> str | None:
    """Say what to install before an engine can start here, or None."""
    if os.geteuid() != 0:
        return "a Docker Engine is started by hand, which only root can do"
    commands = (_CLIENT, "dockerd", "debootstrap", "setpriv", "unshare")
    absent = [command for command in commands if shutil.which(command) is None]
    if absent:
        packages = " ".join(APT_PACKAGES)
        return f"no {', no '.join(absent)}: apt-get install {packages}"
    return None


class Engine:
    """One dockerd, alone in `home`; its sockets live in a short path under /run."""

    def __init__(self, home: Path) -> None:
        self.home = home
        # A Unix socket's path holds 108 characters at most, so not in `home`.
        self._run = Path(f"/run/slipway-docker-{crc32(bytes(home)):08x}")
        self._lock: IO[str] | None = None
        self._daemon: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._daemon is not None, "the engine is not running"
        return self._daemon.pid

    def start(self) -> None:
        """Start dockerd and return once it answers."""
        self.home.mkdir(parents=True, exist_ok=True)
        self._lock = self._take_lock()
        self._clear()  # of a session that was killed
        command = [
            # Whatever ends this process, even SIGKILL, ends the engine too.
            *("setpriv", "--pdeathsig", "SIGTERM", "--", "dockerd"),
            *("--data-root", str(self.home / "data")),
            *("--exec-root", str(self._run / "exec")),
            *("--pidfile", str(self._run / "pid")),
            *("--host", self._host),
            *("--config-file", str(self._config())),
            *("--bridge", "none", "--ip-forward=false"),
            *("--iptables=false", "--ip6tables=false"),
        ]
        with (self.home / "log").open("wb") as log:
            # The daemon inherits the lock: it falls free when the last of its processes
            # has ended, not when this one has.
            self._daemon = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                pass_fds=[self._lock.fileno()],
                start_new_session=True,  # Ctrl-C is for the tests; they then stop it
            )
        try:
            self._wait("answer", _START_SECONDS, self._answers)
            self._remove_containers()  # of a session that was killed
            if not self.docker("network", "ls", "-q", "-f", f"name=^{NETWORK}$"):
                self.docker("network", "create", NETWORK)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Remove containers and network, end dockerd and leave only `home` behind."""
        assert self._daemon is not None and self._lock is not None
        if self._answers():
            self._remove_containers()
            if self.docker("network", "ls", "-q", "-f", f"name=^{NETWORK}$"):
                self.docker("network", "rm", NETWORK)
        self._daemon.send_signal(signal.SIGTERM)
        try:
            self._daemon.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired as stuck:
            self._daemon.kill()
            raise EngineError(f"dockerd did not end: {self._log()}") from stuck
        self._clear()
        self._lock.close()
        self._daemon = None

    def docker(self, *arguments: str) -> str:
        """Run the client; its output without the last newline, or EngineError."""
        done = self.try_docker(*arguments)
        if done.returncode:
            raise EngineError(f"docker {' '.join(arguments)}:\n{done.stderr}")
        return done.stdout.rstrip("\n")

    def try_docker(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the client and leave it to the caller what a failure means."""
        return subprocess.run(
            [_CLIENT, *arguments],
            check=False,
            env=self.environment,
            capture_output=True,
            text=True,
        )

    def build(self, folder: Path, tag: str) -> None:
        """Build an image with BuildKit; the host's network leads to the packages."""
        self.docker("build", "--network", "host", "--tag", tag, str(folder))

    @property
    def environment(self) -> dict[str, str]:
        """What a client needs to talk to this engine and to no other."""
        return {
            **os.environ,
            "DOCKER_HOST": self._host,
            "DOCKER_BUILDKIT": "1",
            "DOCKER_CONFIG": str(self.home / "client"),
            "BUILDKIT_PROGRESS": "plain",
        }

    @property
    def _host(self) -> str:
        return f"unix://{self._run / 'docker.sock'}"

    def _remove_containers(self) -> None:
        if containers := self.docker("ps", "--all", "--quiet").split():
            self.docker("rm", "--force", "--volumes", *containers)

    def _clear(self) -> None:
        """Remove the sockets, and first what is mounted among them and in `home`."""
        for mounted in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
            point = Path(mounted.split()[4])
            if point.is_relative_to(self._run) or point.is_relative_to(self.home):
                # Lazily: what still runs in a dead engine's container may hold it.
                subprocess.run(["umount", "--lazy", point], check=True)
        if self._run.exists():
            shutil.rmtree(self._run)

    def _config(self) -> Path:
        """Bound the build cache, which is kept between sessions."""
        path = self.home / "daemon.json"
        collection = {"enabled": True, "defaultKeepStorage": "4GB"}
        path.write_text(json.dumps({"builder": {"gc": collection}}))
        return path

    def _take_lock(self) -> IO[str]:
        """Two engines in one folder would destroy it: wait for the other session."""
        lock = (self.home / "lock").open("w")

        def taken() -> bool:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        what = f"get {self.home}, which another session uses,"
        try:
            self._wait(what, _OTHER_SESSION_SECONDS, taken)
        except EngineError:
            lock.close()
            raise
        return lock

    def _answers(self) -> bool:
        return self.try_docker("version").returncode == 0

    def _wait(self, what: str, seconds: float, reached: Callable[[], bool]) -> None:
        end = time.monotonic() + seconds
        while not reached():
            ended = self._daemon is not None and self._daemon.poll() is not None
            if ended or time.monotonic() > end:
                raise EngineError(f"dockerd did not {what}: {self._log()}")
            time.sleep(0.1)

    def _log(self) -> str:
        log = self.home / "log"
        return "\n".join(log.read_text().splitlines()[-20:]) if log.exists() else ""
