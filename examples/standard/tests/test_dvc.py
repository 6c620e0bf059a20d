"""The pipeline: repro runs it once, push and pull bring back what was lost."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, raw_table

from fraud_watch.kit.schema import Schema

FILES = ("schema.yaml", "dvc.yaml", ".dvc/config", ".dvc/.gitignore", ".gitignore")


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
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "data").mkdir()
    raw_table(schema).to_csv(folder / "data" / "raw.csv", index=False)
    run("git", "init", "--quiet", cwd=folder)
    run("dvc", "add", "--quiet", "data/raw.csv", cwd=folder)
    return folder


def test_repro_runs_every_stage_once_and_pull_brings_back_what_push_kept(repository: Path) -> None:
    assert "train" in run("dvc", "repro", cwd=repository)
    card = (repository / "reports" / "model_card.md").read_text(encoding="utf-8")
    assert "Data and pipelines are up to date" in run("dvc", "status", cwd=repository)
    assert "score" in run("dvc", "metrics", "show", cwd=repository)
    run("dvc", "push", "--quiet", cwd=repository)
    shutil.rmtree(repository / ".dvc" / "cache")
    (repository / "reports" / "model_card.md").unlink()
    (repository / "data" / "raw.csv").unlink()
    run("dvc", "pull", "--quiet", cwd=repository)
    assert (repository / "reports" / "model_card.md").read_text(encoding="utf-8") == card
    assert (repository / "data" / "raw.csv").exists()


def test_the_demo_has_a_stage_as_long_as_there_is_a_demo() -> None:
    assert (ROOT / "data" / "dvc.yaml").exists() == (ROOT / "data" / "demo.py").exists()
