"""The pipeline: a stage runs once, push and pull bring back what was lost."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, raw_table

from fraud_watch.kit.schema import Schema

FILES = ("schema.yaml", "dvc.yaml", ".dvc/config", ".dvc/.gitignore", ".dvcignore")


def run(*command: str, cwd: Path) -> str:
    # What the stages call lies beside the interpreter.
    path = {"PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin", "HOME": str(cwd)}
    result = subprocess.run(command, cwd=cwd, env=path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture
def repository(tmp_path: Path, project: Path, schema: Schema) -> Path:
    """A fresh repository with this project's pipeline, on a small table that is kept by DVC."""
    folder = tmp_path / "repository"
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    shutil.copyfile(project / "params.yaml", folder / "params.yaml")
    # The service has no part in a pipeline.
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__", "serve"))
    (folder / "data").mkdir()
    raw_table(schema).to_csv(folder / "data" / "raw.csv", index=False)
    run("git", "init", "--quiet", cwd=folder)
    run("dvc", "add", "--quiet", "data/raw.csv", cwd=folder)
    return folder


def test_a_stage_runs_once_and_pull_brings_back_what_push_kept(repository: Path) -> None:
    raw = repository / "data" / "raw.csv"
    table = raw.read_bytes()
    assert "rows fit schema.yaml" in run("dvc", "repro", "check", cwd=repository)
    run("dvc", "push", "--quiet", "data/raw.csv.dvc", cwd=repository)
    shutil.rmtree(repository / ".dvc" / "cache")
    raw.unlink()
    run("dvc", "pull", "--quiet", "data/raw.csv.dvc", cwd=repository)
    assert raw.read_bytes() == table
    assert "Stage 'check' didn't change" in run("dvc", "repro", "check", cwd=repository)


def test_the_pipeline_ends_with_training(repository: Path) -> None:
    assert run("dvc", "stage", "list", "--name-only", cwd=repository).split() == ["check", "train"]


def test_the_demo_has_a_stage_as_long_as_there_is_a_demo() -> None:
    assert (ROOT / "data" / "dvc.yaml").exists() == (ROOT / "data" / "demo.py").exists()
