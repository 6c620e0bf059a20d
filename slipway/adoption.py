"""Starting a project with its owner's table instead of the demo's."""

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import yaml

from slipway.project import CHECKOUT, Project
from slipway.refusal import Refusal

# What `make new` sets for itself must not reach the new project's Makefile; nor may CI,
# where that Makefile insists on a lock, which a project that was just made cannot have.
OURS = frozenset(
    [
        "ARGS",
        "CI",
        "DATA",
        "DEST",
        "FROM",
        "MAKEFLAGS",
        "MAKELEVEL",
        "MAKEOVERRIDES",
        "MFLAGS",
        "READ",
        "REF",
        "TARGET",
        "VIRTUAL_ENV",
    ]
)


READ = re.compile(r"--(?:encoding|separator|decimal|dates) (?:\w+|[.,])(?= |$)")
"""An option that a refusal advises, with its value."""


@dataclass(frozen=True)
class Table:
    """A file that exists, the column to predict, and how the file is to be read."""

    path: Path
    target: str
    given: Mapping[str, str]
    """Options of the project's `adopt` by name; what is empty is detected."""

    @classmethod
    def checked(cls, path: str, target: str, given: Mapping[str, str]) -> Self | None:
        """Refuse half a request; None where there is none."""
        if not path and not target:
            return None
        if not target:
            raise Refusal(
                f"DATA={path} needs the column to predict, as in: TARGET=churned"
            )
        if not path:
            raise Refusal(f"TARGET={target} needs a table, as in: DATA=churn.csv")
        file = Path(path).expanduser()
        # Without the dots of a path, which a message would repeat; a link keeps its own name and ending.
        file = file.parent.resolve() / file.name
        if not file.is_file():
            raise Refusal(
                f"DATA={path} is not a file. Give a CSV, a Parquet file or a workbook."
            )
        return cls(file, target, given)


@dataclass(frozen=True)
class Survey:
    """How a table was read, and which problems its target allows."""

    read: str
    notes: list[str]
    fit: dict[str, str]
    """The problems that the target allows, each with the reason; the likelier first."""
    unfit: dict[str, str]
    """The others."""

    def summary(self, table: Table) -> Iterator[str]:
        """Lines to print before the questions."""
        yield f"{table.path.name}: {self.read}"
        yield from (f"! {note}" for note in self.notes)
        likely, *others = self.fit
        yield f"{table.target}: {self.fit[likely]}, so {likely}"
        if others:
            yield f"  ({others[0]} is possible too: {self.fit[others[0]]})"


def uv() -> str:
    """Where uv is: on PATH, or where the Makefile puts it."""
    return shutil.which("uv") or str(CHECKOUT / ".tools" / "bin" / "uv")


def survey(table: Table, rendered: Path) -> Survey | None:
    """Read the table with the tools of a project; None where its release has none that can."""
    if not (rendered / "tools" / "reading.py").is_file():
        return None
    options = ("encoding", "separator", "decimal", "dates")
    command = [uv(), "run", "--quiet", "--no-project", "--script", "tools/infer.py"]
    command += [str(table.path), table.target]
    command += [table.given.get(name, "") for name in options]
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        cwd=rendered,
        env=_environment(),
    )
    if done.returncode:
        why = done.stderr.strip()
        if option := READ.search(why):
            why += f'\nWith make new, such an option goes into READ, as in: READ="{option[0]}"'
        raise Refusal(f"{why}\nNo project was made.")
    return Survey(**json.loads(done.stdout))


def answer(found: Survey, data: Mapping[str, object]) -> str:
    """The problem, where table and answers leave no choice; empty where it is to be asked."""
    given = str(data.get("problem", ""))
    if given and given not in found.fit:
        reason = found.unfit.get(given, "it is no problem that the template knows")
        raise Refusal(
            f"--data problem={given} does not fit: {reason}\nNo project was made."
        )
    return given or (next(iter(found.fit)) if len(found.fit) == 1 else "")


def adopt(table: Table, project: Project) -> None:
    """Set the new project up, and let it adopt the table."""
    command = [uv(), "run", "python", "tools/adopt.py", str(table.path)]
    command += ["--target", table.target]
    for name, value in table.given.items():
        command += [f"--{name}", value] if value else []
    for step in (["make", "setup"], command):
        if subprocess.run(
            step, check=False, cwd=project.folder, env=_environment()
        ).returncode:
            raise Refusal(
                f"the project is in {project.folder}, but '{shlex.join(step)}' failed "
                "there, as it says above. Mend the cause, then run:\n"
                f"  cd {shlex.quote(str(project.folder))} && make setup && "
                f"{shlex.join(command)}"
            )


def next_steps(dest: str, project: Project) -> Iterator[str]:
    """Lines that say what to do in a project that has just adopted its table."""
    answers = project.answers
    kept_by_dvc = answers.get("data_versioning") == "dvc"
    yield f"\n{answers['project_name']} is ready. Read schema.yaml through; then, in order:\n"
    yield f"  cd {shlex.quote(dest)}"
    yield "  make demo    # train, gate, promote, serve, predict"
    yield "  make test    # its own tests"
    if kept_by_dvc:
        params = yaml.safe_load((project.folder / "params.yaml").read_text("utf-8"))
        table = shlex.quote(params["data"]["source"])
        yield f"  . .venv/bin/activate && dvc add {table} && git add {table}.dvc    # git ignores the table itself"
        yield "  dvc repro && dvc push    # the steps as a pipeline"
    yield '  git add --all && git commit --message "Start from Slipway"'
    if answers.get("container") == "docker":
        yield f"  docker build --tag {answers['package_name'].replace('_', '-')} ."
    if kept_by_dvc:
        yield "\nDVC's remote is a folder of this machine. Before others clone the project, name a shared one and commit it:\n"
        yield "  dvc remote add --default shared URL && dvc push"
        yield '  git commit --message "Share the data" .dvc/config'


def _environment() -> dict[str, str]:
    """The environment of a project's own commands."""
    kept = {name: text for name, text in os.environ.items() if name not in OURS}
    return kept | {"PATH": f"{Path(uv()).parent}{os.pathsep}{kept['PATH']}"}
