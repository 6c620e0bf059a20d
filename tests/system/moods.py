"""Troubles that a service's surroundings can have: each is a mood of a proxy, a file or a pipe, and passes again."""

import asyncio
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

GARBAGE = b"\x16\x03\x01 this is no protocol of yours \xff\xfe\r\n\r\n" * 4
DELAY = 0.3
"""Seconds for which a slow proxy keeps each piece, in both directions."""


class Proxy:
    """A port that leads to another one, in the mood that it is put in: well, slow, hanging, garbage or gone."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.mood = "well"
        self.port = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._do(self._listen())

    def set(self, mood: str) -> None:
        """Change the mood. Open connections live to see it; where it ends one way of speaking, they are cut."""
        self._do(self._set(mood))

    def close(self) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    async def _end(self) -> None:
        await self._set("gone")
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    def _do(self, work: Coroutine[None, None, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._take, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _set(self, mood: str) -> None:
        before, self.mood = self.mood, mood
        if mood == "gone" and self._server:
            self._server.close()
            self._server = None
        elif self._server is None:
            await self._listen()
        if mood in ("gone", "garbage") or before == "garbage":
            for writer in list(self._writers):
                writer.transport.abort()

    async def _take(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._writers.add(writer)
        other: asyncio.StreamWriter | None = None
        with suppress(OSError):
            try:
                if self.mood == "garbage":
                    await reader.read(1)
                    writer.write(GARBAGE)
                    return
                back, other = await asyncio.open_connection("127.0.0.1", self.target)
                self._writers.add(other)
                await asyncio.gather(
                    self._pump(reader, other), self._pump(back, writer)
                )
            finally:
                for end in filter(None, (writer, other)):
                    self._writers.discard(end)
                    end.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while piece := await reader.read(65_536):
            if self.mood == "slow":
                await asyncio.sleep(DELAY)
            while self.mood == "hanging":
                await asyncio.sleep(0.05)
            writer.write(piece)
            await writer.drain()
        writer.close()


@contextmanager
def proxied(target: int) -> Iterator[Proxy]:
    proxy = Proxy(target)
    try:
        yield proxy
    finally:
        proxy.close()


@contextmanager
def pages(content: dict[str, object]) -> Iterator[int]:
    """A web server that answers each of these paths with JSON, and takes whatever is sent; its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("content-length", 0))
            self.rfile.read(length)
            body = json.dumps(content.get(self.path)).encode()
            self.send_response(200 if self.path in content else 404)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


class FileMoods:
    """A file that hangs, is garbage, or that is gone with its folder."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.folder = file.parent
        self.kept = file.read_bytes()
        self.pipe = self.folder / "pipe"
        self._spoilt = False

    def set(self, mood: str) -> None:
        elsewhere = self.folder.with_name(f"{self.folder.name}-elsewhere")
        if mood == "well" and not self._spoilt:
            return
        self._spoilt = mood != "well"
        if mood == "gone":
            self.folder.rename(elsewhere)
            return
        if elsewhere.exists():
            elsewhere.rename(self.folder)
        if mood == "hanging":
            os.mkfifo(self.pipe)
            draft = self.folder / "draft"
            os.link(self.pipe, draft)
            draft.replace(self.file)
            return
        draft = self.folder / "draft"
        draft.write_bytes(GARBAGE if mood == "garbage" else self.kept)
        draft.replace(self.file)
        if self.pipe.exists():
            # Who waits for the pipe reads nothing from it, and reads the file the next time.
            os.close(os.open(self.pipe, os.O_RDWR | os.O_NONBLOCK))
            self.pipe.unlink()


class PipeMoods:
    """The reader of a service's standard error: it reads, reads slowly, stops reading, or goes."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "stderr"
        os.mkfifo(self.path)
        self.text = b""
        self.mood = "well"
        self._reader = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        self.writer = os.open(self.path, os.O_WRONLY)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def set(self, mood: str) -> None:
        if mood == "gone":
            self.mood = mood
            time.sleep(0.2)  # the thread has seen it
            os.close(self._reader)
            self._reader = -1
        elif self._reader < 0:
            self._reader = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        self.mood = mood

    def _read(self) -> None:
        while not self._ending.wait(0.02):
            if self.mood in ("well", "slow"):
                size = 100 if self.mood == "slow" else 1_000_000
                with suppress(BlockingIOError):
                    self.text += os.read(self._reader, size)

    def close(self) -> None:
        self._ending.set()
        self._thread.join(5)
        for file in filter(lambda number: number >= 0, (self._reader, self.writer)):
            os.close(file)


class Heartbeat:
    """Asks a service whether it is alive, all the time; how long each answer took."""

    def __init__(self, ask: Callable[[], object]) -> None:
        self.seconds: list[float] = []
        self._ask = ask
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._ending.wait(0.03):
            began = time.perf_counter()
            try:
                self._ask()
                self.seconds.append(time.perf_counter() - began)
            except (OSError, ValueError, AssertionError):
                self.seconds.append(float("inf"))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join(35)

    def share(self, part: float) -> float:
        """The time within which this part of the answers came."""
        found = sorted(self.seconds)
        return found[min(len(found) - 1, int(part * len(found)))]


def listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
