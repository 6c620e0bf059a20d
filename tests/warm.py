"""A Python that has imported Copier already, for tests that start many commands.

`python -m copier` spends most of its time on imports and on compiling Jinja texts. Here a server does both
once, and forks for each command. The program in Python's place hands the server its arguments, folder,
environment and open files, and ends with the command's exit code. The command itself runs unchanged, in a
process of its own; tests/test_warm.py compares it with a Python that starts cold.
"""

import contextlib
import gc
import json
import os
import runpy
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

CLIENT = """\
#!{python} -IS
import json, os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
asked = json.dumps([__file__, sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(server, [len(asked).to_bytes(8, "big")], [0, 1, 2])
server.sendall(asked)
code = server.recv(1)
sys.exit(code[0] if code else "the command was killed")
"""


@contextlib.contextmanager
def warm(folder: Path) -> Iterator[Path]:
    """A program in `folder` that does what Python does, as long as the context lasts."""
    client, address = folder / "python", str(folder / "socket")
    client.write_text(CLIENT.format(python=sys.executable, address=address))
    client.chmod(client.stat().st_mode | stat.S_IXUSR)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen()
        command = [sys.executable, "-c", "from tests.warm import serve; serve()"]
        root = Path(__file__).resolve().parents[1]
        server = subprocess.Popen(command, cwd=root, stdin=listening.fileno())
    try:
        yield client
    finally:
        server.kill()
        server.wait()


def serve() -> None:
    """Answer each connection of the socket that is standard input by a process of its own."""
    listening = socket.socket(fileno=os.dup(0))
    sys.path.remove("")
    prepare()
    gc.freeze()
    while True:
        connection, _ = listening.accept()
        if not os.fork():
            listening.close()
            answer(connection)
        connection.close()
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def prepare() -> None:
    """Import what the commands import, and compile what they compile."""
    import argparse  # noqa: F401
    import shlex  # noqa: F401

    from tests.inside_copier import COMMAND
    from tests.rendering import compiling_once, render, source

    import_module(COMMAND)

    compiling_once().__enter__()
    with tempfile.TemporaryDirectory() as folder:
        render(Path(folder), {})
    # The server is killed in the end, and would leave it behind.
    shutil.rmtree(source())


def answer(connection: socket.socket) -> None:
    """Run one command in this process, and end it."""
    size, files, _, _ = socket.recv_fds(connection, 8, 3)
    with connection.makefile("rb") as asked:
        command = json.loads(asked.read(int.from_bytes(size, "big")))
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    code = 1
    try:
        code = run(*command)
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
    with contextlib.suppress(OSError):
        connection.send(bytes([code & 255]))
    # What the server registered for its own end is not for the command to do.
    os._exit(code & 255)


def run(
    python: str, arguments: list[str], folder: str, environment: dict[str, str]
) -> int:
    """Do what Python does with these arguments; its exit code."""
    from plumbum import local

    os.environ.clear()
    os.environ.update(environment)
    local.env.clear()
    local.env.update(environment)
    local.cwd.chdir(folder)
    tempfile.tempdir = None
    sys.executable = python
    sys.stdin = stream(0, "r", "strict")
    sys.stdout = stream(1, "w", "strict")
    sys.stderr = stream(2, "w", "backslashreplace")
    if arguments[:2] == ["-W", "ignore"]:
        warnings.simplefilter("ignore")
        arguments = arguments[2:]
    try:
        if arguments[:1] == ["-m"]:
            sys.path.insert(0, folder)
            sys.argv = arguments[1:]
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        else:
            sys.path.insert(0, str(Path(arguments[0]).parent.resolve()))
            sys.argv = arguments
            runpy.run_path(arguments[0], run_name="__main__")
        return 0
    except SystemExit as end:
        return code_of(end.code)
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def stream(number: int, mode: str, errors: str) -> Any:
    """A standard stream as Python opens it, on the file that the client handed over."""
    return os.fdopen(
        number, mode, encoding="utf-8", errors=errors, buffering=1, closefd=False
    )


def code_of(said: Any) -> int:
    """The exit code of `sys.exit`, which prints a text."""
    if said is None or isinstance(said, int):
        return int(said or 0)
    print(said, file=sys.stderr)
    return 1
