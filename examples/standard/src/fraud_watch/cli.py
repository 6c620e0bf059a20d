"""The command line. Every Makefile verb, CI step and pipeline stage ends here."""

import errno
import gc
import json
import logging
import os
import shlex
import socket
import subprocess
import sys
import threading
import time
import traceback
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .kit import UserError, access
from .kit.schema import Schema
from .kit.settings import PARAMS, PROJECT, SCHEMA, Params, Settings, unknown_settings

if TYPE_CHECKING:
    from .kit.evaluate import Check

# MLflow's own progress lines would drown ours.
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

REGISTRY = {"alembic", "mlflow", "sqlalchemy"}
"""Packages whose errors come from the registry, as all other databases are asked where errors are caught."""
HELP = "Train, judge, promote and serve the model. On a first day: fetch, train, promote, serve."
app = typer.Typer(name=PROJECT, help=HELP, no_args_is_help=True, pretty_exceptions_enable=False)
app.add_typer(access.verbs, name="keys")
console = Console(highlight=False)
DEMO = Path("data", "demo.py")

Version = Annotated[str | None, typer.Argument(help="Without one, the newest that passed the gate.")]
SKIP = "Judge without the champion, where today's table lacks columns that it needs."
Skip = Annotated[bool, typer.Option("--skip-champion", help=SKIP)]


@contextmanager
def step(what: str) -> Iterator[None]:
    """Show a piece of work while it runs, and how long it took."""
    began = time.perf_counter()
    with console.status(f"{what} …"):
        yield
    console.print(f"[green]✓[/] {what} [dim]{time.perf_counter() - began:.1f} s[/]")


@app.command()
def fetch() -> None:
    """Put the raw table where params.yaml says it is: the demo's is made; your own must lie there."""
    source = Path(Params.load(PARAMS).data.source)
    if str(source).lower().split()[:1] == ["select"]:
        console.print("params.yaml names a query: the database is asked when training")
    elif source.exists():
        console.print(f"{source} is there")
    elif DEMO.exists():
        source.parent.mkdir(parents=True, exist_ok=True)
        with step(f"Making the demo's table, {source}"):
            subprocess.run([sys.executable, str(DEMO), str(source)], check=True)
    else:
        raise UserError(f"{source} is not there: put your table there, or change data.source in params.yaml")


@app.command()
def check() -> None:
    """Hold the data against schema.yaml; every cell that does not fit is named."""
    from .kit import table

    params, schema = Params.load(PARAMS), Schema.load(SCHEMA)
    frame = table.load(schema, params.data.source, Settings().data_url)
    console.print(f"[green]✓[/] {len(frame)} rows fit schema.yaml; data hash {table.data_hash(frame)[:16]}")


@app.command()
def train(skip_champion: Skip = False) -> None:
    """Train, evaluate, register, and hold the model against the gate. The model card says what came of it."""
    from .kit import train

    result = train.train(Params.load(PARAMS), Settings(), step, skip_champion)
    figures = ", ".join(f"{name} {value:.3g}" for name, value in result.metrics.items())
    console.print(f"Version [bold]{result.version}[/]: {figures}")
    console.print(f"{escape(str(result.choice))}\nModel card: {result.card}", highlight=False)
    for note in result.notes:
        console.print(f"[yellow]![/] {escape(note)}", highlight=False)
    _verdict(result.version, result.checks)


@app.command()
def gate(version: Version = None, skip_champion: Skip = False) -> None:
    """Judge a registered version again, against today's limits, data and champion."""
    from .kit import train

    judged, checks = train.rejudge(Params.load(PARAMS), Settings(), version, step, skip_champion)
    if not _verdict(judged, checks):
        raise typer.Exit(1)


@app.command()
def promote(version: Version = None) -> None:
    """Let a version serve. It must have passed the gate against the champion of now."""
    from .kit import registry

    _champion(registry.promote(Settings(), version), "is the champion")


@app.command()
def rollback() -> None:
    """Let the champion before this one serve again."""
    from .kit import registry

    _champion(registry.roll_back(Settings()), "is the champion again")


@app.command()
def sign(yes: Annotated[bool, typer.Option("--yes", help="Sign without asking.")] = False) -> None:
    """Sign the champion and earlier versions that the private key here has not signed.

    Use it once after upgrading, or after replacing the key. It asks about those that no trusted key signed.
    """
    from .kit.files import held
    from .kit.store import Store

    store = Store(Settings().store)
    store.ready()
    shown = [version for version, why in store.unsigned().items() if not (why or store.vouched(version))]
    for version in shown:
        what = f"isn't signed by a key that this project trusts: {store.folder(version)}"
        console.print(f"Version [bold]{version}[/] {escape(what)}", soft_wrap=True)
    if shown and not yes:
        typer.confirm("Sign what is in the store now?", abort=True)
    with held(store.pointer):
        store.ready()
        champion, found = store.champion(), store.unsigned()
        able = {version: store.vouched(version) for version, why in found.items() if not why}
        signed = {version: manifest for version, manifest in able.items() if manifest or version in shown}
        if made := store.sign_all(signed):
            console.print(escape(made), soft_wrap=True)
    if signed:
        done = f"Signed version {', '.join(signed)} with {store.keys.private}."
        console.print(f"[green]✓[/] {escape(done)}", soft_wrap=True)
    for why in filter(None, found.values()):
        console.print(f"[yellow]![/] {escape(why)}", soft_wrap=True)
    if champion and (reason := found.get(champion.version)):
        raise UserError(f"{reason}. Promote it again, or another version")
    if unseen := able.keys() - signed.keys():
        raise UserError(f"version {', '.join(sorted(unseen))} changed meanwhile: run this again")
    if not found:
        console.print("All versions that may serve are signed already.")


@app.command()
def models() -> None:
    """List the registered versions: what they are worth, how the gate judged, which one serves."""
    from .kit import registry

    listing = Table("version", "made", "score", "gate", "role")
    for row in registry.listing(Settings()):
        listing.add_row(*map(escape, row))
    console.print(listing)


@app.command()
def serve() -> None:
    """Serve the champion over HTTP. Starts without one too, and serves once a version is promoted."""
    import uvicorn

    from .kit.serve import logs, wire
    from .kit.serve.parts import create_app

    here = Settings()
    if _taken(here.host, here.port):
        there = f"another program listens on {here.host}:{here.port}"
        _refuse(f"{there}. Stop it, or set PORT to a free port, as in: PORT={here.port + 1} make serve", 3)
    if sys.stdout.isatty() and SCHEMA.exists():
        typer.echo(f"Documentation: http://{here.host}:{here.port}/docs\nA call to paste:\n")
        call()
    logs.start_log(here.log_level)
    for what in unknown_settings():
        logging.getLogger(__name__).warning(what)
    # What is there by now stays: whoever looks for garbage need not pass it each time.
    gc.freeze()
    uvicorn.run(
        create_app(here),
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


def headers() -> dict[str, str]:
    """What a request of this machine's own carries, and what opens the service to it."""
    return {"Content-Type": "application/json"} | access.headers()


@app.command()
def call() -> None:
    """Print a request for the running service, ready to paste."""
    here, record = Settings(), Schema.load(SCHEMA).example()
    words = ["curl", "-s", f"http://{here.host}:{here.port}/predict"]
    words += [word for name, value in headers().items() for word in ("-H", f"{name}:{value}")]
    typer.echo(shlex.join([*words, "-d", json.dumps(record, ensure_ascii=False)]))


@app.command()
def score(
    source: Annotated[Path, typer.Argument(help="Rows to score: a .parquet file.")],
    output: Annotated[Path, typer.Argument(help="Where the rows and their predictions go.")],
) -> None:
    """Score a file with the champion, in constant memory. A run that was stopped goes on where it was."""
    from .kit import batch
    from .kit.store import Store

    store = Store(Settings().store)
    champion = store.champion()
    if champion is None:
        raise UserError(f"no model is promoted yet: run `{PROJECT} promote`")
    with console.status("Scoring …") as status:

        def tell(rows: int) -> None:
            status.update(f"Scoring … {rows} rows")

        done = batch.score_file(store.open(champion), champion.version, source, output, tell=tell)
    console.print(f"[green]✓[/] {done} rows scored by version {champion.version} into {output}")


@app.command()
def export_log(
    output: Annotated[Path, typer.Argument(help="Where the rows go: a .parquet file.")],
    since: Annotated[datetime | None, typer.Option(help="Only from this time on, in UTC.")] = None,
    labelled: Annotated[bool, typer.Option(help="Only those whose label has come.")] = False,
) -> None:
    """Write the logged predictions, with the labels that have come, as a table to train on."""
    from .kit.export import export_log

    with step(f"Writing {output}"):
        rows = export_log(Schema.load(SCHEMA), output, since, labelled)
    console.print(f"{rows} predictions")


@app.command()
def demo() -> None:
    """The whole life in one go: fetch, train, promote, serve, one prediction, stop."""
    from .kit import registry, train
    from .kit.store import Store

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
    if _verdict(result.version, result.checks):
        registry.promote(Settings(), result.version)
        console.print(escape(str(result.choice)))
        _champion(result.version, "is the champion")
    elif store.champion() is None:
        raise UserError("the first model did not pass the gate, so there is nothing to serve: see above")
    example = Schema.load(SCHEMA).example()
    with step("Serving, asking and stopping"):
        answer = _asked(example)
    console.print_json(data=example)
    console.print_json(data=answer)


def run(command: Callable[[], object] = app) -> None:
    """The entry point: what the user can mend is said without a traceback."""
    try:
        command()
    except ModuleNotFoundError as error:
        if not error.name or error.name.split(".")[0] == __package__:
            raise
        steps = traceback.extract_tb(error.__traceback__)
        where = [step for step in steps if not step.filename.startswith("<")][-1]
        what = f"{error.name} is not installed here; {where.filename} imports it in line {where.lineno}"
        _refuse(f"{what}. `uv sync` installs what is declared, `uv add` declares what your own code needs")
    except (UserError, OSError) as error:
        _refuse(str(error))
    except Exception as error:
        if type(error).__module__.split(".")[0] not in REGISTRY:
            raise
        why = str(error).strip().partition("\n")[0]
        _refuse(f"the registry failed: {why}. Check MLFLOW_TRACKING_URI, then try again")


def _refuse(why: str, status: int = 2) -> None:
    Console(stderr=True, highlight=False).print(f"[red]✗[/] {escape(why)}", soft_wrap=True)
    sys.exit(status)


def _taken(host: str, port: int) -> bool:
    """Whether another program listens there; other errors of an address are the server's to report."""
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


def _champion(version: str, what: str) -> None:
    """Say who serves, and what a service must have for it."""
    from .kit import engine
    from .kit.store import Store

    console.print(f"[green]✓[/] Version [bold]{version}[/] {what}")
    if needs := engine.needs(Store(Settings().store).folder(version)):
        console.print(f"[yellow]![/] To serve it, {escape(needs)}")


def _verdict(version: str, checks: "list[Check]") -> bool:
    """Show what the gate said; gives whether all of it is good."""
    listing = Table("check", "passed", title=f"The gate on version {version}", title_justify="left")
    for check in checks:
        listing.add_row(escape(str(check)), "[green]yes[/]" if check.passed else "[red]no[/]")
    console.print(listing)
    passed = all(check.passed for check in checks)
    if not passed:
        console.print("It stays registered and cannot be promoted. Limits: params.yaml, gate.")
    return passed


def _asked(record: dict[str, object]) -> object:
    """What the service answers, started for this on a free port and then stopped."""
    import uvicorn

    from .kit.serve.parts import create_app

    own = headers()  # before the service starts, which then knows the key that this may make
    server = uvicorn.Server(uvicorn.Config(create_app(Settings()), port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while thread.is_alive() and not server.started:
            time.sleep(0.05)
        url = "http://{}:{}/predict".format(*server.servers[0].sockets[0].getsockname())
        request = urllib.request.Request(url, json.dumps(record).encode(), own)
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        raise UserError(f"the service refused schema.yaml's own example: {error.read().decode()}") from None
    finally:
        server.should_exit = True
        thread.join()


if __name__ == "__main__":
    run()
