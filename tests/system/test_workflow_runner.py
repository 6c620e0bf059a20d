"""The runner's promises, on small workflows: it runs what GitHub runs, or refuses."""

import shutil
import subprocess
import time
from pathlib import Path

import pytest

from .workflow_file import UnsupportedWorkflowError, read_jobs
from .workflow_runner import JobRun, Machine, commit_all, run_job

SHA = "0" * 40
CHECKOUT = f"uses: actions/checkout@{SHA}"
HEAD = "on: push\ndefaults: {run: {shell: bash}}\n"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one committed file and one that git does not know."""
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "committed").write_text("text\n")
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    commit_all(folder)
    (folder / "untracked").touch()
    return folder


def run(
    repository: Path,
    *steps: str,
    settings: dict[str, str] | None = None,
    job: str = "",
    name: str = "only",
) -> JobRun:
    """Run a job of these steps, with `job` as further lines of the job."""
    lines = ["jobs:", f"  {name}:", "    timeout-minutes: 1", *job.splitlines()]
    lines += ["    steps:", *(f"      - {step}" for step in steps)]
    workflow = repository.parent / "workflow.yml"
    workflow.write_text(HEAD + "\n".join(lines))
    tool = repository.parent / "uv"
    tool.write_text("#!/bin/sh\necho this is uv\n")
    tool.chmod(0o755)
    return run_job(
        read_jobs(workflow)[name],
        repository,
        repository.parent / "scratch",
        Machine(uv=tool, settings=settings or {}),
    )


def test_a_step_sees_what_is_committed_and_nothing_else(repository: Path) -> None:
    done = run(repository, CHECKOUT, "run: ls")
    assert done.failed is None
    assert done.output.split() == ["$", "ls", "committed"]


def test_steps_after_a_failure_do_not_run(repository: Path) -> None:
    done = run(repository, CHECKOUT, "run: 'false | true'", "run: echo later")
    assert done.failed is not None and done.failed.number == 2
    assert len(done.ran) == 1
    assert "later" not in done.output


def test_this_process_lends_no_environment(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "leak")
    done = run(repository, CHECKOUT, 'run: test "$CI<$PYTHONPATH>" = "true<>"')
    assert done.failed is None, done.output


def test_environment_files_reach_the_next_step_only(repository: Path) -> None:
    done = run(
        repository,
        CHECKOUT,
        "run: echo NAME=value >> $GITHUB_ENV; test -z $NAME",
        "run: test $NAME = value; test -w $GITHUB_STEP_SUMMARY -a -w $GITHUB_OUTPUT",
    )
    assert done.failed is None, done.output


def test_an_output_decides_on_a_step_and_on_a_job(repository: Path) -> None:
    steps = (
        "id: first\n        run: echo A=text >> $GITHUB_OUTPUT",
        "if: steps.first.outputs.A != ''\n        run: echo ran",
        "if: steps.first.outputs.B != ''\n        run: echo not",
    )
    outputs = "    outputs: {A: '${{ steps.first.outputs.A }}', B: '${{ steps.first.outputs.B }}'}"
    assert run(repository, CHECKOUT, *steps, job=outputs).output.count("$ ") == 2
    for name, skipped in (("A", False), ("B", True)):
        needs = f"    needs: only\n    if: needs.only.outputs.{name} != ''"
        later = run(
            repository, CHECKOUT, "run: 'true'", job=needs, name=f"later-{name}"
        )
        assert later.skipped is skipped


def test_uv_is_there_once_it_is_set_up(repository: Path) -> None:
    found = "run: command -v uv | grep /only/bin/uv && uv"
    assert run(repository, CHECKOUT, found).failed is not None
    shutil.rmtree(repository.parent / "scratch")
    done = run(repository, CHECKOUT, f"uses: astral-sh/setup-uv@{SHA}", found)
    assert done.failed is None
    assert "this is uv" in done.output


def test_a_secret_comes_by_its_name_and_is_else_empty(repository: Path) -> None:
    printed = 'run: echo "<$A$B>"\n        env:\n          '
    printed += "A: ${{ secrets.GIVEN }}\n          B: ${{ secrets.ABSENT }}"
    done = run(repository, CHECKOUT, printed, settings={"GIVEN": "text"})
    assert "<text>" in done.output


def test_a_secret_that_is_not_set_leaves_the_token_of_the_run(
    repository: Path,
) -> None:
    printed = 'run: echo "<$A>"\n        env: {A: "${{ secrets.B || github.token }}"}'
    assert "<the-run's-own>" in run(repository, CHECKOUT, printed).output
    shutil.rmtree(repository.parent / "scratch")
    done = run(repository, CHECKOUT, printed, settings={"B": "text"})
    assert "<text>" in done.output


def test_a_variable_switches_a_job_off(repository: Path) -> None:
    condition = "    if: vars.RUN != 'off'"
    assert run(repository, CHECKOUT, settings={"RUN": "off"}, job=condition).skipped
    assert not run(repository, CHECKOUT, job=condition).skipped


def test_what_a_step_leaves_running_ends_with_the_job(repository: Path) -> None:
    done = run(repository, CHECKOUT, "run: sleep 600 & echo $!")
    process = Path("/proc", done.output.split()[-1], "stat")
    end = time.monotonic() + 5
    while _alive(process):
        assert time.monotonic() < end
        time.sleep(0.01)


def _alive(process: Path) -> bool:
    try:
        return process.read_text().split()[2] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_job_ends_at_its_time_limit(repository: Path) -> None:
    done = run(repository, CHECKOUT, "run: sleep 600", job="    timeout-minutes: 0.005")
    assert done.failed is not None
    assert "timeout-minutes" in done.output


@pytest.mark.parametrize(
    ("step", "job", "reason"),
    [
        (f"uses: someone/unknown@{SHA}", "", "someone/unknown is not emulated"),
        ("uses: actions/checkout@v7", "", "not pinned"),
        ("run: echo ${{ github.head_ref }}", "", "inside a script"),
        ("run: 'true'\n        shell: python", "", "shell is not emulated"),
        (CHECKOUT, "    env: {A: '${{ github.sha }}'}", "expression"),
        (CHECKOUT, "    if: github.ref == 'x'", "not emulated"),
        (CHECKOUT, "    strategy: {}", "strategy is not emulated"),
    ],
)
def test_what_is_not_emulated_is_refused(
    repository: Path, step: str, job: str, reason: str
) -> None:
    with pytest.raises(UnsupportedWorkflowError, match=reason):
        run(repository, step, job=job)


def test_a_shell_without_pipefail_is_refused(tmp_path: Path) -> None:
    workflow = tmp_path / "workflow.yml"
    workflow.write_text("on: push\njobs: {}\n")
    with pytest.raises(UnsupportedWorkflowError, match="must be bash"):
        read_jobs(workflow)
