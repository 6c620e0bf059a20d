"""A PostgreSQL of our own: in a folder of its own, on a port of its own, never as root."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from .logged import free_port, until

APT_PACKAGE = "postgresql"
_USER = "slipway"


def _program(name: str) -> str | None:
    """Debian keeps all but the client where only its own scripts look."""
    kept = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(kept[-1]) if kept else shutil.which(name)


def missing_parts() -> str | None:
    """Say what to install before a server can start here, or None."""
    absent = [n for n in ("initdb", "postgres", "psql") if _program(n) is None]
    return (
        f"no {', no '.join(absent)}: apt-get install {APT_PACKAGE}" if absent else None
    )


class Postgres:
    """One server. It may be stopped, killed or frozen, and started again on the same files."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="slipway-postgres-", dir="/tmp"))
        self.port = free_port()
        self.url = f"postgresql://{_USER}@127.0.0.1:{self.port}/postgres"
        # PostgreSQL refuses to run as root.
        self._owner = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        if self._owner:
            os.chown(self.folder, self._owner.pw_uid, self._owner.pw_gid)
        self._server: subprocess.Popen[bytes] | None = None
        data = str(self.folder / "data")
        self._run("initdb", "--auth=trust", f"--username={_USER}", "--no-sync", data)

    def _command(self, name: str, *arguments: str) -> list[str]:
        program = _program(name)
        assert program
        if self._owner is None:
            return [program, *arguments]
        ids = (f"--reuid={self._owner.pw_uid}", f"--regid={self._owner.pw_gid}")
        return ["setpriv", *ids, "--clear-groups", program, *arguments]

    def _run(self, name: str, *arguments: str) -> str:
        done = subprocess.run(
            self._command(name, *arguments),
            check=False,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout.strip()

    def start(self) -> None:
        """Start, and wait until it answers."""
        options = ("-c", "fsync=off", "-c", "listen_addresses=127.0.0.1")
        places = ("-D", str(self.folder / "data"), "-k", str(self.folder))
        command = self._command("postgres", *places, "-p", str(self.port), *options)
        with (self.folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                command, cwd=self.folder, stdout=log, stderr=log, start_new_session=True
            )
        until("answering", self.answers)

    @property
    def runs(self) -> bool:
        """Whether it was started, and has not ended."""
        return self._server is not None and self._server.poll() is None

    def answers(self) -> bool:
        """Whether it takes connections."""
        assert self.runs, (self.folder / "log").read_text()
        try:
            return self.sql("SELECT 1") == "1"
        except AssertionError:
            return False

    def sql(self, statement: str) -> str:
        """What a statement gives, as text."""
        quiet = ("--no-psqlrc", "--quiet", "--tuples-only", "--no-align")
        return self._run("psql", *quiet, self.url, "--command", statement)

    def session(self, statement: str) -> subprocess.Popen[bytes]:
        """A session that is busy with a statement."""
        command = self._command("psql", self.url, "--quiet", "--command", statement)
        return subprocess.Popen(command, cwd=self.folder, stdout=subprocess.DEVNULL)

    def signal(self, what: signal.Signals) -> None:
        """Send a signal to the server and to each process that it has for a connection."""
        assert self._server
        children = Path(f"/proc/{self._server.pid}/task/{self._server.pid}/children")
        for pid in [*children.read_text().split(), str(self._server.pid)]:
            os.kill(int(pid), what)

    def kill(self) -> None:
        """End it at once, as a machine that fails does."""
        assert self._server
        self._server.send_signal(signal.SIGQUIT)
        self._server.wait(20)

    def remove(self) -> None:
        """End it for good."""
        if self.runs:
            self.signal(signal.SIGCONT)
            self.kill()
        shutil.rmtree(self.folder)
