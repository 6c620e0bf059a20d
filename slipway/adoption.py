"""Start a project with the owner's table instead of the demo's."""

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

from slipway.errors import UserError
from slipway.project import CHECKOUT, Project

OWN_VARIABLES = frozenset(
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
"""Variables of `make new` that must not reach the project's Makefile. With CI, that would require a lock, which a new project lacks."""
READ_OPTION = re.compile(r"--(?:encoding|separator|decimal|dates) (?:\w+|[.,])(?= |$)")
"""An option for reading the table, with its value, as an error message of the project's tools suggests it."""


@dataclass(frozen=True)
class Table:
    """An existing file, its target column, and the options for reading it."""

    path: Path
    target: str
    read_options: Mapping[str, str]
    """Options of the project's `adopt` by name; an empty one is detected."""

    @classmethod
    def parse(
        cls, path: str, target: str, read_options: Mapping[str, str]
    ) -> Self | None:
        """Validate the options of the command line; return None if no table is given."""
        if not path and not target:
            return None
        if not target:
            raise UserError(
                f"DATA={path} needs the column to predict. Add it: TARGET=churned"
            )
        if not path:
            raise UserError(f"TARGET={target} needs a table. Add it: DATA=churn.csv")
        file = Path(path).expanduser()
        # Resolve the folder for readable messages, but not the file: a link keeps its name and suffix.
        file = file.parent.resolve() / file.name
        if not file.is_file():
            raise UserError(
                f"DATA={path} is not a file. Pass a CSV file, a Parquet file or a "
                "workbook."
            )
        return cls(file, target, read_options)


@dataclass(frozen=True)
class Survey:
    """The result of reading a table, as a project's tools/infer.py prints it."""

    read: str
    notes: list[str]
    fit: dict[str, str]
    """The possible problems with the reason for each, the likeliest first."""
    unfit: dict[str, str]
    """The impossible problems with the reason for each."""

    def summary(self, table: Table) -> Iterator[str]:
        """Yield the lines to print before the questions."""
        yield f"{table.path.name}: {self.read}"
        yield from (f"! {note}" for note in self.notes)
        likeliest, *others = self.fit
        yield f"{table.target}: {self.fit[likeliest]}, so {likeliest}"
        if others:
            yield f"  ({others[0]} is possible too: {self.fit[others[0]]})"


def find_uv() -> str:
    """Return the path of uv: on PATH, or where the Makefile installs it."""
    return shutil.which("uv") or str(CHECKOUT / ".tools" / "bin" / "uv")


def survey_table(table: Table, project: Path) -> Survey | None:
    """Read the table with the tools of a rendered project; return None if its release has none for this."""
    if not (project / "tools" / "reading.py").is_file():
        return None
    command = [find_uv(), "run", "--quiet", "--no-project", "--script"]
    command += ["tools/infer.py", str(table.path), table.target]
    for name in ("encoding", "separator", "decimal", "dates"):
        command.append(table.read_options.get(name, ""))
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        cwd=project,
        env=_project_environment(),
    )
    if done.returncode:
        reason = done.stderr.strip()
        if option := READ_OPTION.search(reason):
            reason += f'\nWith make new, pass the option in READ: READ="{option[0]}"'
        raise UserError(f"{reason}\nNo project was created.")
    return Survey(**json.loads(done.stdout))


def settle_problem(survey: Survey, answers: Mapping[str, object]) -> str:
    """Return the problem that was answered, or the only possible one; empty if Copier must ask for it."""
    problem = str(answers.get("problem", ""))
    if problem and problem not in survey.fit:
        reason = survey.unfit.get(problem, "the template does not offer this problem")
        raise UserError(
            f"--data problem={problem} does not fit: {reason}\nNo project was created."
        )
    if not problem and len(survey.fit) == 1:
        (problem,) = survey.fit
    return problem


def adopt(table: Table, project: Project) -> None:
    """Set up a new project and run its `adopt` on the table."""
    command = [find_uv(), "run", "python", "tools/adopt.py", str(table.path)]
    command += ["--target", table.target]
    for name, value in table.read_options.items():
        if value:
            command += [f"--{name}", value]
    for step in (["make", "setup"], command):
        done = subprocess.run(
            step, check=False, cwd=project.folder, env=_project_environment()
        )
        if done.returncode:
            raise UserError(
                f"the project was created in {project.folder}, but "
                f"'{shlex.join(step)}' failed there; see the output above. Fix the "
                "cause, then run:\n"
                f"  cd {shlex.quote(str(project.folder))} && make setup && "
                f"{shlex.join(command)}"
            )


def next_steps(dest: str, project: Project) -> Iterator[str]:
    """Yield lines with the next commands for a project that has just adopted its table."""
    answers = project.answers
    uses_dvc = answers.get("data_versioning") == "dvc"
    yield f"\n{answers['project_name']} is ready. Review schema.yaml, then run:\n"
    yield f"  cd {shlex.quote(dest)}"
    yield "  make demo    # train, gate, promote, serve, predict"
    yield "  make test    # run the project's tests"
    if uses_dvc:
        params = yaml.safe_load((project.folder / "params.yaml").read_text("utf-8"))
        table = shlex.quote(params["data"]["source"])
        yield f"  . .venv/bin/activate && dvc add {table} && git add {table}.dvc    # git ignores the table itself"
        yield "  dvc repro && dvc push    # run the steps as a pipeline"
    yield '  git add --all && git commit --message "Start from Slipway"'
    if answers.get("container") == "docker":
        yield f"  docker build --tag {answers['package_name'].replace('_', '-')} ."
    if uses_dvc:
        yield "\nThe DVC remote is a folder on this machine. Before others clone the project, add a shared remote and commit it:\n"
        yield "  dvc remote add --default shared URL && dvc push"
        yield '  git commit --message "Share the data" .dvc/config'


def _project_environment() -> dict[str, str]:
    """Return the environment for commands of a project: without our variables, with uv on PATH."""
    environment = {n: text for n, text in os.environ.items() if n not in OWN_VARIABLES}
    uv_folder = Path(find_uv()).parent
    environment["PATH"] = f"{uv_folder}{os.pathsep}{environment['PATH']}"
    return environment
