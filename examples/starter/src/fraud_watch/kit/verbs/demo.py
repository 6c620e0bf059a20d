"""The whole life of a model in one command."""

import json
import threading
import time
import urllib.error
import urllib.request

import typer
from rich.markup import escape

from .. import UserError
from ..schema import Schema
from ..settings import PARAMS, SCHEMA, Params, Settings
from ..terminal import console, step
from .data import fetch
from .release import show_champion
from .training import show_verdict

commands = typer.Typer()


@commands.command()
def demo() -> None:
    """The whole life in one go: fetch, train, promote, serve, one prediction, stop."""
    from .. import registry, train
    from ..store import Store

    fetch()
    store = Store(Settings().store)
    if store.champion() is None and store.keys.use_mine():
        console.print(
            f"This clone has no {store.keys.private}. Models are signed with a key pair for this machine "
            "only (signing/mine, set in .env); other services will not accept them.",
            soft_wrap=True,
        )
    Store(Settings().store).ready()
    result = train.train(Params.load(PARAMS), Settings(), step)
    if show_verdict(result.version, result.checks):
        registry.promote(Settings(), result.version)
        console.print(escape(str(result.choice)))
        show_champion(result.version, "is the champion")
    elif store.champion() is None:
        raise UserError("the first model did not pass the gate, so there is nothing to serve: see above")
    example = Schema.load(SCHEMA).example()
    with step("Serving, asking and stopping"):
        answer = answer_once(example)
    console.print_json(data=example)
    console.print_json(data=answer)


def answer_once(record: dict[str, object]) -> object:
    """Start the service on a free port, send one request, stop it, and return the answer."""
    import uvicorn

    from ..serve.app import create_app
    from ..serve.parts import own_headers, part_classes

    headers = own_headers()  # before the service starts, which then knows the key that this may make
    service = create_app(Settings(), [part() for part in part_classes()])
    server = uvicorn.Server(uvicorn.Config(service, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while thread.is_alive() and not server.started:
            time.sleep(0.05)
        url = "http://{}:{}/predict".format(*server.servers[0].sockets[0].getsockname())
        request = urllib.request.Request(url, json.dumps(record).encode(), headers)
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        raise UserError(f"the service refused schema.yaml's own example: {error.read().decode()}") from None
    finally:
        server.should_exit = True
        thread.join()
