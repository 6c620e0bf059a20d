"""What was done, as people read it in a terminal."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict

from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from slipway.fleet import State
from slipway.join import BESIDE, BRANCH, Joined
from slipway.rollout import CLEAN, Update


def joined(done: Joined, console: Console) -> None:
    """What came, what has to be settled and how, and the way back."""
    console.print(f"{len(done.added)} files came, in one commit on {BRANCH}.")
    if done.to_settle:
        table = Table("where", "what to do", box=None, show_lines=False)
        for path, what in done.to_settle.items():
            table.add_row(escape(path), escape(what))
        console.print("\nYours stayed as it was. To settle, one by one:\n")
        console.print(table)
        console.print(
            f"\nOurs lies beside yours as NAME{BESIDE}:\n\n"
            f"  git diff --no-index NAME NAME{BESIDE}      see both\n"
            f"  git mv --force NAME{BESIDE} NAME          take ours\n"
            f"  git rm NAME{BESIDE}                       keep yours",
            highlight=False,
        )
    for note in done.notes:
        console.print(f"\n{escape(note)}", highlight=False)
    console.print(
        "\nThen: make doctor && make test. And back, as if nothing had been:\n\n"
        f"  git switch - && git branch --delete --force {BRANCH}",
        highlight=False,
    )


def progress(steps: Iterable[State | Update], total: int) -> Iterator[State | Update]:
    """Say how far it is, where a person looks on."""
    console = Console(stderr=True)
    return iter(
        track(
            steps,
            "",
            total,
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
    )


def failed(done: State | Update) -> bool:
    """Whether a person has to look at the repository itself."""
    return bool(done.trouble) if isinstance(done, State) else done.outcome not in CLEAN


def fleet(done: Sequence[State | Update], console: Console, as_json: bool) -> None:
    """A line for each repository."""
    if as_json:
        console.print_json(json.dumps([asdict(each) for each in done]))
        return
    states = [each for each in done if isinstance(each, State)]
    updates = [each for each in done if isinstance(each, Update)]
    console.print(_states(states) if states else _updates(updates))
    told = Counter("failed" if failed(each) else "fine" for each in done)
    console.print(f"{len(done)} repositories, {told['failed']} failed", highlight=False)


def _states(states: list[State]) -> Table:
    table = Table("repository", "version", "behind", "answers", "findings", box=None)
    table.columns[0].overflow = "fold"
    for state in states:
        differs = [f"{name}={answer}" for name, answer in state.differs.items()]
        found = Counter((each.severity, each.code) for each in state.findings)
        findings = [
            f"[{'red' if severity == 'error' else 'yellow'}]{escape(code)}[/]"
            f"{f' ×{number}' if number > 1 else ''}"
            for (severity, code), number in sorted(found.items())
        ]
        if state.trouble:
            findings = [f"[red]{escape(state.trouble)}[/]"]
        table.add_row(
            escape(state.repository),
            escape(state.version),
            str(state.behind) if state.behind else "",
            escape("\n".join([state.preset, *differs])),
            "\n".join(findings),
        )
    return table


def _updates(updates: list[Update]) -> Table:
    table = Table("repository", "outcome", "version", "branch", "what to do", box=None)
    table.columns[0].overflow = "fold"
    for update in updates:
        crossed = [update.version, update.newest] if update.newest else []
        lines = [update.said] if update.said else []
        lines += [f"settle {path}" for path in update.conflicts]
        lines += [f"removed {path}" for path in update.removed]
        lines += [f"{name} is now {answer}" for name, answer in update.answers.items()]
        colour = "red" if failed(update) else "green"
        table.add_row(
            escape(update.repository),
            f"[{colour}]{update.outcome}[/]",
            escape(" → ".join(dict.fromkeys(crossed))),
            escape(update.branch),
            escape("\n".join(lines)),
        )
    return table
