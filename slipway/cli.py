"""The command line: `slipway --help` says what there is."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from slipway import adoption, project, release, releases, rollout, shown
from slipway import fleet as fleet_
from slipway.fleet import State, survey
from slipway.join import join as join_
from slipway.refusal import Refusal
from slipway.rollout import Update

app = typer.Typer(
    help="Start projects from the Slipway template, and keep a fleet of them current.",
    add_completion=False,
)

DEST = typer.Argument(help="Where the project goes: a folder that is new or empty.")
REPOSITORIES = typer.Argument(help="A list: a path or URL on each line, # comments.")
UPDATE = typer.Option(help="Push a branch that updates it to each repository.")
WAVE = typer.Option(min=0, help="How many at a time; a wave that fails is the last.")
TRUST = typer.Option(help="Let the template's migrations run.")
MOVE = typer.Option("--from", help="Another template for them to follow: your fork.")
JSON = typer.Option("--json", help="Print it as JSON.")
PATH = typer.Argument(help="The repository: a folder with a commit, and no changes.")
COPIER = typer.Argument(
    help="Handed to Copier, such as --defaults or --data NAME=VALUE."
)
FROM = typer.Option("--from", help="The template's address, which updates come from.")
REF = typer.Option("--ref", help="A tag, branch or commit; the newest tag if left out.")
TABLE = typer.Option(
    "--adopt", help="A table of your own for the project to start with."
)
VERSION = typer.Argument(help="The next version, such as 0.2.0.")
TARGET = typer.Option("--target", help="The column of that table to predict.")
ENCODING = typer.Option(help="Its encoding, such as cp1252; detected if left out.")
SEPARATOR = typer.Option(help="What separates its cells: a character, or tab.")
DECIMAL = typer.Option(help="The decimal mark of its numbers: . or ,")
DATES = typer.Option(help="The order of its dates: ymd, dmy or mdy.")


@contextmanager
def refusing() -> Iterator[None]:
    """A refusal is a sentence, and nothing was changed."""
    try:
        yield
    except Refusal as refusal:
        typer.echo(f"slipway: {refusal}", err=True)
        raise typer.Exit(1) from refusal


@app.command(context_settings={"ignore_unknown_options": True})
def new(
    dest: Annotated[str, DEST],
    copier_arguments: Annotated[list[str] | None, COPIER] = None,
    source: Annotated[str, FROM] = "",
    ref: Annotated[str, REF] = "",
    table: Annotated[str, TABLE] = "",
    target: Annotated[str, TARGET] = "",
    encoding: Annotated[str, ENCODING] = "",
    separator: Annotated[str, SEPARATOR] = "",
    decimal: Annotated[str, DECIMAL] = "",
    dates: Annotated[str, DATES] = "",
) -> None:
    """Make a project: read the table, ask the questions, render the answers, adopt the table."""
    given = {"encoding": encoding, "separator": separator}
    given |= {"decimal": decimal, "dates": dates}
    with refusing():
        list(releases.restore(project.CHECKOUT))
        request = project.Request.checked(dest, source, ref, copier_arguments or [])
        own_table = adoption.Table.checked(table, target, given)
        with project.rehearsed(request) as rendered:
            found = own_table and adoption.survey(own_table, rendered)
        likely = {}
        if own_table and found:
            typer.echo("\n".join(found.summary(own_table)) + "\n")
            likely["problem"] = next(iter(found.fit))
            if problem := adoption.answer(found, request.data):
                request = request.answered(problem=problem)
        made = project.make(request, likely, adopts=own_table is not None)
        for note in project.notes(request, made):
            typer.echo(f"\n{note}", err=True)
        if own_table and made:
            adoption.adopt(own_table, made)
            typer.echo("\n".join(adoption.next_steps(dest, made)))


@app.command(context_settings={"ignore_unknown_options": True})
def join(
    path: Annotated[str, PATH],
    copier_arguments: Annotated[list[str] | None, COPIER] = None,
    source: Annotated[str, FROM] = "",
    ref: Annotated[str, REF] = "",
) -> None:
    """Bring a repository that exists to Slipway, on a branch: its own files stay."""
    with refusing():
        list(releases.restore(project.CHECKOUT))
        joined = join_(path, source, ref, copier_arguments or [])
        if joined:
            shown.joined(joined, Console())


@app.command()
def fleet(
    repositories: Annotated[Path, REPOSITORIES],
    update: Annotated[bool, UPDATE] = False,
    wave: Annotated[int, WAVE] = 0,
    trust: Annotated[bool, TRUST] = False,
    source: Annotated[str, MOVE] = "",
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Say where each repository of a list stands, or update them; exit with 1 if one failed."""
    with refusing():
        named = fleet_.read(repositories)
        if (wave or trust or source) and not update:
            raise Refusal("--wave, --trust and --from go with --update.")
        order = rollout.Order(trust, source)
        steps: Iterable[State | Update] = (
            rollout.roll_out(named, order, wave) if update else map(survey, named)
        )
        done = list(shown.progress(steps, len(named)))
        shown.fleet(done, Console(), as_json)
    if any(shown.failed(each) for each in done):
        raise typer.Exit(1)


@app.command()
def tags() -> None:
    """Make the tags of all releases anew, from releases.txt."""
    with refusing():
        made = list(releases.restore(project.CHECKOUT))
        if absent := releases.absent(project.CHECKOUT):
            raise Refusal(
                f"this clone does not hold the commits of {', '.join(absent)}: "
                "git fetch --unshallow"
            )
        typer.echo(f"Made: {', '.join(made)}" if made else "All tags are there.")


@app.command("release")
def publish(version: Annotated[str, VERSION]) -> None:
    """Prove that every update holds, tag what is committed, and record it in releases.txt."""
    with refusing():
        tag = release.publish(project.CHECKOUT, version, release.PROOF)
        push = f"git push --atomic origin HEAD {tag}"
        typer.echo(f"{tag} is tagged. To publish it: {push}")
