"""The matrix on the command line: `uv run matrix`, or `make matrix ARGS=...` where uv is missing."""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from tests import drawn, trees
from tests.checks import CHECKS, NAMED, decide_check, page, suite, unexcused
from tests.checks.ledgers import Ledgers
from tests.examples import ANSWERS as EXAMPLES
from tests.matrix.answers import Known
from tests.matrix.faults import faults
from tests.matrix.runs import marginal
from tests.matrix.template import Template
from tests.matrix.verdicts import Decision, report, shown
from tests.rendering import organisation
from tests.size import size
from tests.trees import PERSON

app = typer.Typer(
    help="Decide every combination of answers that copier.yml allows.",
    add_completion=False,
    no_args_is_help=True,
)
SUITES = "passes"
"""The name of what emitted tests say."""
console = Console(highlight=False, soft_wrap=True)
# What this repository offers: in a fork, what its org.yml leaves of the template.
template = partial(trees.template, organisation())
renamed = partial(trees.renamed, organisation())

ANSWERS = typer.Argument(help="NAME=VALUE; what is left out takes its first value.")
ONLY = typer.Option(help=f"One check: {', '.join([*CHECKS, SUITES])}.")
OPTION = typer.Option(help="Only the files that this question decides about.")
CACHE = typer.Option(help="Take over what earlier runs found, but for a share.")
PAGE = typer.Option("--report", help="Write a page about it, to look at offline.")
LIMIT = typer.Option(help="How many to list.")


@app.command()
def count() -> None:
    """Count combinations, files and lines of code, and list what is forbidden."""
    questions = template().questions
    console.print(
        f"{questions.count()} combinations of {len(questions.names)} questions"
    )
    console.print(
        f"with {', '.join(PERSON)} left empty or answered, all other free text at its default"
    )
    for preset in EXAMPLES:
        files, lines = size(preset)
        console.print(f"{preset}: {files} files, {lines} lines of code in its package")
    for refusal in (*questions.refusals, *renamed().questions.refusals):
        after = f" after {shown(refusal.known)}" if refusal.known else ""
        console.print(
            f"{refusal.question}={refusal.value!r} is refused{after}: {refusal.reason}",
            markup=False,
        )


@app.command("list")
def list_(limit: Annotated[int, LIMIT] = 20) -> None:
    """List combinations, in the order of the questions."""
    for number, known in enumerate(template().questions.combinations()):
        if number == limit:
            console.print(f"… of {template().questions.count()}")
            return
        console.print(shown(known), markup=False)


@app.command()
def explain(answers: Annotated[list[str] | None, ANSWERS] = None) -> None:
    """Say of each file of a project which questions decided about it."""
    known = given(answers or [])
    complete = template().questions.completed(known)
    console.print(shown(complete), markup=False)
    for path in sorted(template().tree(complete)):
        decided = ", ".join(sorted(template().questions_of(path))) or "always the same"
        console.print(f"{path}: {decided}", markup=False)


def given(answers: list[str]) -> Known:
    """Answers as they are typed, each among those that are allowed."""
    questions, known = template().questions, Known()
    for typed in answers:
        name, _, value = typed.partition("=")
        if name not in questions.names:
            raise typer.BadParameter(
                f"{name} is no question: {', '.join(questions.names)}"
            )
        allowed = {answer for _, answer in questions.explore(lambda way, n=name: way(n), known)}  # type: ignore[misc]
        fitting = [answer for answer in allowed if str(answer.value) == value]
        if not fitting:
            told = ", ".join(sorted(str(answer.value) for answer in allowed))
            raise typer.BadParameter(f"{typed}: it can be {told}")
        known[name] = fitting[0]
    return known


@app.command()
def run(
    only: Annotated[str, ONLY] = "",
    option: Annotated[str, OPTION] = "",
    cache: Annotated[bool, CACHE] = True,
    report_to: Annotated[Path | None, PAGE] = None,
) -> None:
    """Decide all checks; exit with 0 only if every project passes."""
    names = [*CHECKS, SUITES]
    if only and only not in names:
        raise typer.BadParameter(f"{only} is no check: {', '.join(names)}")
    began = time.perf_counter()
    told = [report(fault, template().questions) for fault in faults(template())]
    console.print(
        f"{template().questions.count()} combinations from {evaluations(template())} evaluations,"
        f" {time.perf_counter() - began:.1f} s"
    )
    decisions: list[Decision] = []
    for whole, decision in decided([only] if only else names, option, cache):
        left = unexcused(decision.failing)
        told += [report(failure, whole.questions) for failure in left]
        decisions.append(decision)
        console.print(
            f"{'[red]✗[/]' if left else '[green]✓[/]'} {decision.check}: {decision.subjects} files,"
            f" {decision.ways} ways, {decision.plans} settled, {decision.taken_over} taken over, {decision.seconds:.1f} s"
        )
    for failure in told:
        console.print(f"\n{failure}", markup=False)
    show_costs([decision for decision in decisions if decision.costs])
    seconds = time.perf_counter() - began
    if report_to is not None:
        told_page = page.page(template(), decisions, told, seconds)
        report_to.write_text(told_page, "utf-8")
        console.print(f"{report_to} tells more")
    console.print(f"{seconds:.1f} s, {len(told)} problems")
    raise typer.Exit(1 if told else 0)


def show_costs(decisions: Sequence[Decision]) -> None:
    """Print what each question adds to the runs of the emitted tests."""
    if not decisions:
        return
    table = Table("question", "runs that it adds", "seconds", box=None)
    costs = marginal(template().questions, decisions)
    for name, (runs, seconds) in sorted(costs.items(), key=lambda cost: -cost[1][1]):
        if runs:
            table.add_row(name, str(runs), f"{seconds:.0f}")
    console.print(table)


def decided(
    names: list[str], option: str, cache: bool
) -> Iterator[tuple[Template, Decision]]:
    """The decisions of these checks, one after another."""
    again: Callable[[str], bool] = drawn.again if cache else lambda key: True
    for name in names:
        with console.status(f"{name} …"):
            if name == SUITES:
                paths = decided_by(template(), option)
                for decision in suite.decisions(template(), Ledgers(again), paths):
                    yield template(), decision
                continue
            for whole in (template(), renamed()) if name in NAMED else (template(),):
                paths = decided_by(whole, option)
                ledgers = trees.ledgers(whole, again)
                yield whole, decide_check(whole, CHECKS[name], ledgers, paths)


def evaluations(whole: Template) -> int:
    """How often Copier's code ran."""
    return sum(cell.evaluations for cell in whole.cells())


def decided_by(whole: Template, option: str) -> set[str] | None:
    """The files about which a question decides; all of them if none is named."""
    if not option:
        return None
    if option not in whole.questions.names:
        raise typer.BadParameter(
            f"{option} is no question: {', '.join(whole.questions.names)}"
        )
    return {path for path in whole.files if option in whole.questions_of(path)}


if __name__ == "__main__":
    app()
