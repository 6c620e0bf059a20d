"""Print the results of the commands for people, or as JSON."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict

from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from slipway.fleet import State
from slipway.join import BRANCH, SUFFIX, JoinResult
from slipway.rollout import CLEAN, UpdateResult


def print_join(result: JoinResult, console: Console) -> None:
    """Print what was added, what the owner must resolve and how, and how to undo it."""
    console.print(f"{len(result.added)} files were added in one commit on {BRANCH}.")
    if result.to_resolve:
        table = Table("path", "what to do", box=None, show_lines=False)
        for path, what in result.to_resolve.items():
            table.add_row(escape(path), escape(what))
        console.print("\nYour files are unchanged. Resolve these one by one:\n")
        console.print(table)
        console.print(
            f"\nSlipway's version of NAME is NAME{SUFFIX}:\n\n"
            f"  git diff --no-index NAME NAME{SUFFIX}      compare both\n"
            f"  git mv --force NAME{SUFFIX} NAME          take Slipway's\n"
            f"  git rm NAME{SUFFIX}                       keep yours",
            highlight=False,
        )
    for note in result.notes:
        console.print(f"\n{escape(note)}", highlight=False)
    console.print(
        "\nThen run: make doctor && make test. To undo the join:\n\n"
        f"  git switch - && git branch --delete --force {BRANCH}",
        highlight=False,
    )


def show_progress(
    results: Iterable[State | UpdateResult], total: int
) -> Iterator[State | UpdateResult]:
    """Pass the results on, with a progress bar if stderr is a terminal."""
    console = Console(stderr=True)
    return iter(
        track(
            results,
            "",
            total,
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
    )


def needs_attention(result: State | UpdateResult) -> bool:
    """Return whether the repository could not be inspected or updated cleanly."""
    if isinstance(result, State):
        return bool(result.trouble)
    return result.outcome not in CLEAN


def print_fleet(
    results: Sequence[State | UpdateResult], console: Console, as_json: bool
) -> None:
    """Print a row for each repository, and how many failed."""
    if as_json:
        console.print_json(json.dumps([asdict(result) for result in results]))
        return
    states = [result for result in results if isinstance(result, State)]
    updates = [result for result in results if isinstance(result, UpdateResult)]
    console.print(_state_table(states) if states else _update_table(updates))
    failed = sum(needs_attention(result) for result in results)
    console.print(f"{len(results)} repositories, {failed} failed", highlight=False)


def _state_table(states: list[State]) -> Table:
    table = Table("repository", "version", "behind", "answers", "findings", box=None)
    table.columns[0].overflow = "fold"
    for state in states:
        answers = [f"{name}={answer}" for name, answer in state.differs.items()]
        table.add_row(
            escape(state.repository),
            escape(state.version),
            str(state.behind) if state.behind else "",
            escape("\n".join([state.preset, *answers])),
            "\n".join(_finding_lines(state)),
        )
    return table


def _finding_lines(state: State) -> list[str]:
    """Return the error, or a line for each code that the doctor found."""
    if state.trouble:
        return [f"[red]{escape(state.trouble)}[/]"]
    counts = Counter((each.severity, each.code) for each in state.findings)
    lines = []
    for (severity, code), count in sorted(counts.items()):
        colour = "red" if severity == "error" else "yellow"
        times = f" ×{count}" if count > 1 else ""
        lines.append(f"[{colour}]{escape(code)}[/]{times}")
    return lines


def _update_table(updates: list[UpdateResult]) -> Table:
    table = Table("repository", "outcome", "version", "branch", "what to do", box=None)
    table.columns[0].overflow = "fold"
    for update in updates:
        lines = [update.said] if update.said else []
        lines += [f"resolve {path}" for path in update.conflicts]
        lines += [f"removed {path}" for path in update.removed]
        lines += [f"{name} is now {answer}" for name, answer in update.answers.items()]
        colour = "red" if needs_attention(update) else "green"
        table.add_row(
            escape(update.repository),
            f"[{colour}]{update.outcome}[/]",
            escape(_version_range(update)),
            escape(update.branch),
            escape("\n".join(lines)),
        )
    return table


def _version_range(update: UpdateResult) -> str:
    """Return the old and the new version; one if they are the same, empty if the update failed."""
    if not update.newest:
        return ""
    if update.version == update.newest:
        return update.newest
    return f"{update.version} → {update.newest}"
