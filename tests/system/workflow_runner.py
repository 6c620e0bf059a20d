"""Runs the jobs of a GitHub workflow on this machine, each in a fresh clone.

A job gets what a runner gives it: a clone of what is committed, a home of its own, an
environment without this process's, and the files that GITHUB_ENV and its like name. Jobs of
one `scratch` folder belong to one run: what a job uploads or gives as its outputs, those after
it can use. Four actions are emulated; any other is refused.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .workflow_file import Job, Step, UnsupportedWorkflowError

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# The way to the outside is the machine's and not the runner's.
_NETWORK = re.compile(
    r"(https?|all|no)_proxy|ssl_cert_(file|dir)|requests_ca_bundle|"
    r"uv_(default_)?index.*|pip_.*",
    re.IGNORECASE,
)
_SETTING = re.compile(r"\$\{\{ (?:secrets|vars)\.(\w+)( \|\| github\.token)? \}\}")
_CONDITION = re.compile(
    r"(vars\.\w+|(?:steps|needs)\.\w+\.outputs\.\w+) (==|!=) '([^']*)'"
)
_OUTPUT = re.compile(r"\$\{\{ (steps\.\w+\.outputs\.\w+) \}\}")
_COMMAND_FILES = ("GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")


@dataclass(frozen=True)
class Machine:
    """What a runner finds outside its clone."""

    uv: Path
    uv_cache: Path | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    tools: Sequence[Path] = ()


@dataclass
class JobRun:
    """What became of a job: scripts that ran, their output, the step that failed."""

    skipped: bool = False
    ran: list[Step] = field(default_factory=list)
    output: str = ""
    failed: Step | None = None


def run_job(job: Job, repository: Path, scratch: Path, machine: Machine) -> JobRun:
    """Run a job on a clone of `repository`, in a folder of its own under `scratch`."""
    known = {f"vars.{name}": text for name, text in machine.settings.items()}
    if job.needs:
        needed = json.loads(_outputs(scratch, job.needs).read_text(encoding="utf-8"))
        known |= {f"needs.{job.needs}.outputs.{n}": text for n, text in needed.items()}
    if not _wanted(job.condition, known):
        return JobRun(skipped=True)
    run = _Run(job, repository, scratch / job.name, machine)
    try:
        done = run.run()
        _outputs(scratch, job.name).write_text(json.dumps(run.outputs()), "utf-8")
        return done
    finally:
        run.end_leftovers()


def _outputs(scratch: Path, job: str) -> Path:
    """Where the outputs of a job are kept for those that need it."""
    return scratch / f"{job}.outputs"


def _wanted(condition: str, known: Mapping[str, str]) -> bool:
    """Whether a job or a step is to run; what is not known is empty, as on GitHub."""
    if not condition:
        return True
    found = _CONDITION.fullmatch(condition)
    if found is None:
        raise UnsupportedWorkflowError(f"if: {condition} is not emulated")
    name, operator, text = found.groups()
    return (known.get(name, "") == text) is (operator == "==")


class _Run:
    """One job under way."""

    def __init__(
        self, job: Job, repository: Path, folder: Path, machine: Machine
    ) -> None:
        self._job = job
        self._repository = repository
        self._folder = folder
        self._machine = machine
        self._actions = {
            "actions/checkout": self._check_out,
            "actions/download-artifact": self._download,
            "actions/upload-artifact": self._upload,
            "astral-sh/setup-uv": self._set_up_uv,
        }
        for step in job.steps:
            if step.uses and step.uses not in self._actions:
                raise UnsupportedWorkflowError(f"{step.uses} is not emulated")
        self._env = self._new_environment() | self._resolved(job.env)
        self._end = time.monotonic() + job.seconds
        self._groups: list[int] = []
        self._known = {f"vars.{n}": text for n, text in machine.settings.items()}

    def run(self) -> JobRun:
        """Run the steps in order and stop at the first that fails."""
        done = JobRun()
        for step in self._job.steps:
            if not _wanted(step.condition, self._known):
                continue
            if step.uses:
                self._actions[step.uses](step.inputs)
                continue
            code, output = self._run_script(step)
            done.ran.append(step)
            done.output += f"$ {step.run.strip()}\n{output}\n"
            if code:
                done.failed = step
                break
        return done

    def outputs(self) -> dict[str, str]:
        """What the job tells those that need it."""
        found = {name: _OUTPUT.fullmatch(t) for name, t in self._job.outputs.items()}
        if None in found.values():
            raise UnsupportedWorkflowError(f"outputs: {self._job.outputs}")
        return {name: self._known.get(f[1], "") for name, f in found.items() if f}

    def end_leftovers(self) -> None:
        """End what a step left running, as a runner does when its job is over."""
        for group in self._groups:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)

    def _new_environment(self) -> dict[str, str]:
        """Make the folders that a job starts with and return its environment."""
        temp = self._folder / "temp"
        places = {"HOME": self._folder / "home", "RUNNER_TEMP": temp}
        for place in (*places.values(), self._folder / "bin"):
            place.mkdir(parents=True)
        files = {name: temp / name.lower() for name in _COMMAND_FILES}
        for file in files.values():
            file.touch()
        tools = (*map(str, self._machine.tools), str(self._folder / "bin"))
        return {
            **{name: text for name, text in os.environ.items() if _NETWORK.match(name)},
            **{name: str(path) for name, path in {**places, **files}.items()},
            **self._machine.environment,
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_WORKSPACE": str(self._folder / "workspace"),
            "LANG": "C.UTF-8",
            "PATH": ":".join((*tools, _SYSTEM_PATH)),
        }

    def _resolved(self, env: Mapping[str, str]) -> dict[str, str]:
        """Put secrets and variables in; one that is not set is empty, as on GitHub."""
        settings = self._machine.settings

        def value(found: re.Match[str]) -> str:
            return settings.get(found[1]) or ("the-run's-own" if found[2] else "")

        resolved = {name: _SETTING.sub(value, text) for name, text in env.items()}
        if any("${{" in text for text in resolved.values()):
            raise UnsupportedWorkflowError(f"an expression that is not emulated: {env}")
        return resolved

    def _check_out(self, inputs: Mapping[str, str]) -> None:
        """Clone what is committed, without history unless it is asked for."""
        depth = inputs.get("fetch-depth", "1")
        history = () if depth == "0" else ("--depth", depth)
        source = self._repository.resolve().as_uri()
        command = ["git", "clone", "--quiet", *history, source, "workspace"]
        subprocess.run(command, cwd=self._folder, env=self._env, check=True)

    def _set_up_uv(self, inputs: Mapping[str, str]) -> None:
        """Put uv on PATH, and its cache where an earlier run left it."""
        if inputs:
            raise UnsupportedWorkflowError(f"setup-uv with {', '.join(inputs)}")
        (self._folder / "bin" / "uv").symlink_to(self._machine.uv)
        if self._machine.uv_cache is not None:
            self._env["UV_CACHE_DIR"] = str(self._machine.uv_cache)

    def _upload(self, inputs: Mapping[str, str]) -> None:
        """Keep one file for the jobs that follow."""
        known = {"name", "path", "if-no-files-found", "retention-days"}
        if set(inputs) != known or inputs["if-no-files-found"] != "error":
            raise UnsupportedWorkflowError(f"upload-artifact with {inputs}")
        kept = self._folder.parent / "artifacts" / inputs["name"]
        kept.mkdir(parents=True)
        shutil.copy(self._place(inputs["path"]), kept)

    def _download(self, inputs: Mapping[str, str]) -> None:
        """Bring what an earlier job kept under this name."""
        if set(inputs) != {"name", "path"}:
            raise UnsupportedWorkflowError(f"download-artifact with {inputs}")
        kept = self._folder.parent / "artifacts" / inputs["name"]
        shutil.copytree(kept, self._place(inputs["path"]), dirs_exist_ok=True)

    def _place(self, path: str) -> Path:
        found = path.replace("${{ runner.temp }}", self._env["RUNNER_TEMP"])
        if "${{" in found:
            raise UnsupportedWorkflowError(f"{path} is not emulated")
        return Path(found)

    def _run_script(self, step: Step) -> tuple[int, str]:
        """Run one script; its exit code and output. Heed what it put in GITHUB_ENV."""
        script, log = self._folder / "temp" / "script", self._folder / "temp" / "log"
        script.write_text(step.run, encoding="utf-8")
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
                cwd=self._folder / "workspace",
                env=self._env | self._resolved(step.env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._groups.append(process.pid)
            try:
                code = process.wait(max(0.0, self._end - time.monotonic()))
            except subprocess.TimeoutExpired:
                output.write(b"\nThe job took longer than its timeout-minutes.\n")
                os.killpg(process.pid, signal.SIGKILL)
                code = process.wait()
        self._env |= self._written("GITHUB_ENV")
        outputs = self._written("GITHUB_OUTPUT").items()
        self._known |= {
            f"steps.{step.id}.outputs.{name}": text for name, text in outputs
        }
        Path(self._env["GITHUB_OUTPUT"]).write_bytes(b"")
        return code, log.read_text(encoding="utf-8", errors="replace")

    def _written(self, file: str) -> dict[str, str]:
        """The lines NAME=TEXT that steps have put in a file."""
        lines = Path(self._env[file]).read_text(encoding="utf-8").splitlines()
        pairs = (line.partition("=") for line in lines)
        return {name: text for name, _, text in pairs}


def make_repository(project: Path, into: Path, uv: Path) -> Path:
    """A repository with `project` and a new uv.lock, committed as its owner would."""
    shutil.copytree(project, into)
    for command in (
        ("git", "init", "--quiet", "--initial-branch", "main"),
        (str(uv), "lock", "--quiet"),
    ):
        subprocess.run(command, cwd=into, check=True)
    commit_all(into)
    return into


def commit_all(repository: Path) -> None:
    """Commit what git does not ignore."""
    owner = ("-c", "user.name=Owner", "-c", "user.email=owner@example.com")
    for arguments in (
        ("add", "--all"),
        (*owner, "commit", "--quiet", "--message", "Work"),
    ):
        subprocess.run(["git", *arguments], cwd=repository, check=True)
