"""Run the service, and call it."""

import errno
import gc
import json
import logging
import os
import shlex
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import typer

from ..schema import Schema
from ..settings import SCHEMA, Settings, unknown_settings
from ..terminal import fail

if TYPE_CHECKING:
    from ..serve.part import Part

commands = typer.Typer()


@commands.command()
def serve() -> None:
    """Serve the champion over HTTP. Starts without one too, and serves once a version is promoted."""
    from ..serve.parts import part_classes

    run_service(lambda: [part() for part in part_classes()])


def run_service(parts: "Callable[[], Sequence[Part]]") -> None:
    """Serve until told to stop; ``parts`` creates the optional parts, if the port is free."""
    import uvicorn

    from ..serve import logs, wire
    from ..serve.app import create_app

    here = Settings()
    if port_taken(here.host, here.port):
        there = f"another program listens on {here.host}:{here.port}"
        fail(f"{there}. Stop it, or set PORT to a free port, as in: PORT={here.port + 1} make serve", 3)
    if sys.stdout.isatty() and SCHEMA.exists():
        typer.echo(f"Documentation: http://{here.host}:{here.port}/docs\nA call to paste:\n")
        call()
    logs.start_log(here.log_level)
    for what in unknown_settings():
        logging.getLogger(__name__).warning(what)
    # What is there by now stays: whoever looks for garbage need not pass it each time.
    gc.freeze()
    uvicorn.run(
        create_app(here, parts()),
        host=here.host,
        port=here.port,
        http=wire.BoundedProtocol,
        proxy_headers=bool(here.forwarded_allow_ips),
        forwarded_allow_ips=here.forwarded_allow_ips,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=10,
    )


@commands.command()
def call() -> None:
    """Print a request for the running service, ready to paste."""
    from ..serve.parts import own_headers

    here, record = Settings(), Schema.load(SCHEMA).example()
    words = ["curl", "-s", f"http://{here.host}:{here.port}/predict"]
    words += [word for name, value in own_headers().items() for word in ("-H", f"{name}:{value}")]
    typer.echo(shlex.join([*words, "-d", json.dumps(record, ensure_ascii=False)]))


def port_taken(host: str, port: int) -> bool:
    """Return whether another program listens there. The server reports other errors of an address itself."""
    with suppress(socket.gaierror):
        for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            try:
                with socket.socket(family, kind, protocol) as probe:
                    if os.name == "posix":  # elsewhere, this would share the port with whoever listens
                        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind(address)
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    return True
    return False
