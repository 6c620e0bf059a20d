"""Reads a GitHub workflow into the jobs and steps that can be run here.

What the runner beside this file does not emulate is refused, not skipped: a step that
nothing ran must never look like a step that passed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

_WORKFLOW_KEYS = {
    *("name", "on", "permissions", "concurrency", "env", "defaults", "jobs"),
}
_JOB_KEYS = {
    *("name", "needs", "if", "runs-on", "timeout-minutes"),
    *("permissions", "outputs", "env", "steps"),
}
_STEP_KEYS = {"name", "id", "if", "uses", "with", "run", "env"}
_ACTION = re.compile(r"(?P<name>[\w.-]+/[\w.-]+)@[0-9a-f]{40}")


class UnsupportedWorkflowError(ValueError):
    """The workflow holds something that cannot be run here as GitHub would run it."""


@dataclass(frozen=True)
class Step:
    """One step: `uses` names an action without its pin, or `run` holds a script."""

    job: str
    number: int
    id: str
    condition: str
    uses: str
    run: str
    inputs: Mapping[str, Any]
    env: Mapping[str, str]

    def __str__(self) -> str:
        return f"{self.job}, step {self.number}: {self.uses or self.run.strip()}"


@dataclass(frozen=True)
class Job:
    """One job, with the workflow's and its own `env` merged."""

    name: str
    needs: str
    condition: str
    seconds: float
    outputs: Mapping[str, str]
    env: Mapping[str, str]
    steps: tuple[Step, ...]


def read_jobs(path: Path) -> dict[str, Job]:
    """The jobs of the workflow at `path` by name, or UnsupportedWorkflowError."""
    # YAML 1.1 reads the key `on` as true; as text it is what GitHub reads.
    document = yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader)
    _refuse_unknown(path.name, document, _WORKFLOW_KEYS)
    if document.get("defaults") != {"run": {"shell": "bash"}}:
        raise UnsupportedWorkflowError(f"{path.name}: the default shell must be bash")
    env = document.get("env", {})
    return {name: _read_job(name, job, env) for name, job in document["jobs"].items()}


def _read_job(name: str, job: Mapping[str, Any], env: Mapping[str, str]) -> Job:
    _refuse_unknown(name, job, _JOB_KEYS)
    steps = enumerate(job["steps"], start=1)
    return Job(
        name=name,
        needs=job.get("needs", ""),
        condition=job.get("if", ""),
        seconds=60 * float(job["timeout-minutes"]),
        outputs=job.get("outputs", {}),
        env={**env, **job.get("env", {})},
        steps=tuple(_read_step(name, number, step) for number, step in steps),
    )


def _read_step(job: str, number: int, step: Mapping[str, Any]) -> Step:
    _refuse_unknown(f"{job}, step {number}", step, _STEP_KEYS)
    action = ""
    if "uses" in step:
        pinned = _ACTION.fullmatch(step["uses"])
        if pinned is None:
            raise UnsupportedWorkflowError(f"{step['uses']} is not pinned by a commit")
        action = pinned["name"]
    script = step.get("run", "")
    if "${{" in script:
        raise UnsupportedWorkflowError(
            f"an expression inside a script lets its value be run: {script}"
        )
    return Step(
        job=job,
        number=number,
        id=step.get("id", ""),
        condition=step.get("if", ""),
        uses=action,
        run=script,
        inputs=step.get("with", {}),
        env=step.get("env", {}),
    )


def _refuse_unknown(where: str, mapping: Mapping[str, Any], known: set[str]) -> None:
    if unknown := sorted(mapping.keys() - known):
        raise UnsupportedWorkflowError(f"{where}: {', '.join(unknown)} is not emulated")
