"""The commands of `slipway`."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from slipway import adoption, output, project, release, releases
from slipway.errors import UserError
from slipway.fleet import State, inspect_repository, read_list
from slipway.join import join_repository
from slipway.rollout import UpdateOptions, UpdateResult, roll_out

app = typer.Typer(
    help="Create projects from the Slipway template, and keep a fleet of them current.",
    add_completion=False,
)

DEST = typer.Argument(help="The folder for the project; it must be new or empty.")
REPOSITORIES = typer.Argument(
    help="A file with a repository's path or URL on each line; # starts a comment."
)
UPDATE = typer.Option(help="Push a branch with the update to each repository.")
WAVE = typer.Option(
    min=0,
    help="Update this many at a time, and stop after a wave that fails; 0 for all at once.",
)
TRUST = typer.Option(help="Let the template's migrations run their code.")
MOVE = typer.Option(
    "--from", help="Move the projects to another template, such as your fork."
)
JSON = typer.Option("--json", help="Print JSON, for scripts.")
PATH = typer.Argument(
    help="The repository: a folder with a commit and no uncommitted changes."
)
COPIER = typer.Argument(
    help="Options for Copier, such as --defaults or --data NAME=VALUE."
)
FROM = typer.Option("--from", help="The template's address, for this and all updates.")
REF = typer.Option(
    "--ref", help="The template's tag, branch or commit; the newest tag if empty."
)
TABLE = typer.Option("--adopt", help="Start with this table instead of the demo's.")
TARGET = typer.Option("--target", help="The column of the table to predict.")
ENCODING = typer.Option(help="The table's encoding, such as cp1252; detected if empty.")
SEPARATOR = typer.Option(help="The table's cell separator: a character, or tab.")
DECIMAL = typer.Option(help="The table's decimal mark: . or ,")
DATES = typer.Option(help="The order of the table's dates: ymd, dmy or mdy.")
VERSION = typer.Argument(help="The next version, such as 0.2.0.")


@contextmanager
def errors_for_users() -> Iterator[None]:
    """Print a `UserError` without its traceback, and exit with 1."""
    try:
        yield
    except UserError as error:
        typer.echo(f"slipway: {error}", err=True)
        raise typer.Exit(1) from error


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
    """Create a project: read your table if you give one, ask the questions, render, adopt the table."""
    read_options = {
        "encoding": encoding,
        "separator": separator,
        "decimal": decimal,
        "dates": dates,
    }
    with errors_for_users():
        releases.restore_tags(project.CHECKOUT)
        request = project.Request.parse(dest, source, ref, copier_arguments or [])
        own_table = adoption.Table.parse(table, target, read_options)
        with project.dry_run(request) as rendered:
            survey = own_table and adoption.survey_table(own_table, rendered)
        defaults = {}
        if own_table and survey:
            typer.echo("\n".join(survey.summary(own_table)) + "\n")
            defaults["problem"] = next(iter(survey.fit))
            if problem := adoption.settle_problem(survey, request.answers):
                request = request.with_answers(problem=problem)
        created = project.create(request, defaults, adopts=own_table is not None)
        if created is None:
            return
        for note in project.update_notes(request, created):
            typer.echo(f"\n{note}", err=True)
        if own_table:
            adoption.adopt(own_table, created)
            typer.echo("\n".join(adoption.next_steps(dest, created)))


@app.command(context_settings={"ignore_unknown_options": True})
def join(
    path: Annotated[str, PATH],
    copier_arguments: Annotated[list[str] | None, COPIER] = None,
    source: Annotated[str, FROM] = "",
    ref: Annotated[str, REF] = "",
) -> None:
    """Bring an existing repository to Slipway on a branch, without changing its files."""
    with errors_for_users():
        releases.restore_tags(project.CHECKOUT)
        result = join_repository(path, source, ref, copier_arguments or [])
        if result:
            output.print_join(result, Console())


@app.command()
def fleet(
    repositories: Annotated[Path, REPOSITORIES],
    update: Annotated[bool, UPDATE] = False,
    wave: Annotated[int, WAVE] = 0,
    trust: Annotated[bool, TRUST] = False,
    source: Annotated[str, MOVE] = "",
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Show the state of each repository in a list, or update them; exit with 1 if one fails."""
    with errors_for_users():
        names = read_list(repositories)
        if (wave or trust or source) and not update:
            raise UserError("--wave, --trust and --from require --update.")
        steps: Iterable[State | UpdateResult]
        if update:
            steps = roll_out(names, UpdateOptions(trust, source), wave)
        else:
            steps = map(inspect_repository, names)
        results = list(output.show_progress(steps, len(names)))
        output.print_fleet(results, Console(), as_json)
    if any(output.needs_attention(result) for result in results):
        raise typer.Exit(1)


@app.command()
def tags() -> None:
    """Restore the tags of all releases from releases.txt, if your clone came without them."""
    with errors_for_users():
        created = releases.restore_tags(project.CHECKOUT)
        if missing := releases.missing_releases(project.CHECKOUT):
            raise UserError(
                f"this clone lacks the commits of {', '.join(missing)}. "
                "Run: git fetch --unshallow"
            )
        typer.echo(
            f"Created: {', '.join(created)}" if created else "All tags are there."
        )


@app.command("release")
def publish(version: Annotated[str, VERSION]) -> None:
    """Run every test, tag the committed tree, and record the release in releases.txt."""
    with errors_for_users():
        tag = release.publish(project.CHECKOUT, version, release.PROOF)
        push = f"git push --atomic origin HEAD {tag}"
        typer.echo(f"{tag} is tagged. To publish it: {push}")
