"""A release is refused until all that projects rely on holds; then it is tagged and recorded."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from typer.testing import CliRunner

from slipway import changes, project, proof, release, releases
from slipway.cli import app
from slipway.refusal import Refusal
from tests import quick
from tests.checkout import today
from tests.releases import git
from tests.rendering import ROOT

tmp_path = quick.tmp_path
HOLDS = (sys.executable, "-c", "")
FAILS = (sys.executable, "-c", "raise SystemExit(1)")
PART = """
upgrading: [{text: "`audience` is new, and `team` in projects that exist."}]
new: [{text: "`other` is no part of it."}]
"""


@pytest.fixture(scope="module")
def released(default_gitconfig: object) -> Iterator[Path]:
    """A clone with one release, 0.1.0, and a changelog of what follows."""
    with quick.folder() as folder:
        yield once(Path(folder))


@pytest.fixture
def clone(released: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(released, tmp_path / "clone", symlinks=True))


def once(folder: Path) -> Path:
    """Release today's checkout as 0.1.0."""
    today(folder)
    # What there has been in truth is nothing to these tests.
    (folder / releases.RELEASES).unlink(missing_ok=True)
    shutil.rmtree(folder / changes.FOLDER)
    record(folder, "0.1.0")
    release.write_version(folder, "0.1.0")
    proven(folder)
    release.publish(folder, "0.1.0", HOLDS)
    record(folder, "0.2.0")
    release.write_version(folder, "0.2.0")
    return folder


def proven(folder: Path, **other: Any) -> None:
    """Write the record of a complete run, or of one in which something is otherwise."""
    complete = {
        "tree": proof.tree(folder),
        "ran": dict.fromkeys(proof.test_files(folder), 1),
        "failed": 0,
        "errors": 0,
        "skipped": 0,
        "counts": proof.COUNTS,
    }
    (folder / proof.RECORD).parent.mkdir(exist_ok=True)
    (folder / proof.RECORD).write_text(json.dumps(complete | other))


def record(folder: Path, version: str, text: str = PART) -> None:
    """Write what a release changes, and the changelog of it."""
    file = folder / changes.FOLDER / f"{version}.yml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, "utf-8")
    (folder / changes.CHANGELOG).write_text(changes.page(folder), "utf-8")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "changelog")


def settings(folder: Path, old: str, new: str) -> None:
    file = folder / "copier.yml"
    file.write_text(file.read_text("utf-8").replace(old, new, 1), "utf-8")
    git(folder, "commit", "-qa", "--allow-empty", "--message", "settings")


def refused(folder: Path, version: str) -> str:
    """Why it is refused; nothing is tagged then."""
    with pytest.raises(Refusal) as refusal:
        release.publish(folder, version, HOLDS)
    assert git(folder, "tag").split() == ["v0.1.0"]
    assert list(releases.recorded(folder)) == ["v0.1.0"]
    return str(refusal.value)


def test_a_release_is_tagged_recorded_and_committed(clone: Path) -> None:
    head = git(clone, "rev-parse", "HEAD").strip()
    proven(clone)
    with (
        patch.object(project, "CHECKOUT", clone),
        patch.object(release, "PROOF", FAILS),
    ):
        done = CliRunner().invoke(app, ["release", "0.2.0"])
    assert done.exit_code == 0, done.output
    assert "v0.2.0 is tagged" in done.output
    assert git(clone, "rev-parse", "v0.2.0").strip() == head
    assert releases.recorded(clone)["v0.2.0"] == head
    assert git(clone, "log", "-1", "--format=%s").strip() == "Release v0.2.0"
    assert not git(clone, "status", "--porcelain")


def test_the_version_is_written_before_the_proof(clone: Path) -> None:
    release.write_version(clone, "0.1.9")
    assert "what is committed is" in refused(clone, "0.2.0")
    proven(clone)
    assert release.publish(clone, "0.2.0", FAILS) == "v0.2.0"
    assert '\nversion = "0.2.0"\n' in git(clone, "show", "v0.2.0:pyproject.toml")


def test_what_is_not_committed_is_in_no_release(clone: Path) -> None:
    (clone / "new.txt").write_text("new")
    assert "?? new.txt" in refused(clone, "0.2.0")


@pytest.mark.parametrize("version", ["0.1.0", "0.1.2", "0.3.0", "2.0.0", "v0.2.0", "x"])
def test_only_the_next_version_follows(clone: Path, version: str) -> None:
    assert refused(clone, version) == "after 0.1.0 comes 0.1.1, 0.2.0 or 1.0.0."


@pytest.mark.parametrize("text", ["{}", "new: [{text: Much.}]", "upgrading: []"])
def test_a_release_says_what_an_update_changes(clone: Path, text: str) -> None:
    record(clone, "0.2.0", text)
    reason = "docs/changes/0.2.0.yml has no entry under `upgrading`"
    assert reason in refused(clone, "0.2.0")


def test_entries_that_no_release_has_are_named(clone: Path) -> None:
    file = clone / changes.FOLDER / "0.2.0.yml"
    file.rename(file.with_name("unreleased.yml"))
    git(clone, "add", "--all")
    record(clone, "0.1.0")
    assert "git mv it to docs/changes/0.2.0.yml" in refused(clone, "0.2.0")


def test_an_entry_is_of_answers_that_there_are(clone: Path) -> None:
    record(clone, "0.2.0", PART.replace("}]", ", when: {auth: basic}}]", 1))
    assert "docs/changes/0.2.0.yml: '`audience` is new" in refused(clone, "0.2.0")
    assert "auth is never basic." in refused(clone, "0.2.0")


def test_the_changelog_is_made_of_the_entries(clone: Path) -> None:
    page = clone / changes.CHANGELOG
    page.write_text(page.read_text("utf-8") + "\n- By hand.\n", "utf-8")
    git(clone, "commit", "-qa", "--message", "by hand")
    assert "CHANGELOG.md is not what docs/changes/ says" in refused(clone, "0.2.0")


def test_a_new_question_is_told(clone: Path) -> None:
    question = "audience: {type: str, default: team}\n\n_min_copier_version"
    settings(clone, "_min_copier_version", question)
    assert not list(release.objections(clone, "0.2.0"))
    settings(clone, "audience:", "other:")
    assert "new question `other`" in refused(clone, "0.2.0")


def test_a_migration_runs_on_the_way_to_its_release(clone: Path) -> None:
    settings(clone, "_migrations: []", "_migrations:")
    entry = "_migrations:\n  - {version: 0.2.0, command: echo}\n"
    settings(clone, "_migrations:\n", entry)
    assert not list(release.objections(clone, "0.2.0"))
    settings(clone, "version: 0.2.0", "version: 0.3.0")
    assert "a migration of 0.3.0" in refused(clone, "0.2.0")


# --- the proof ---------------------------------------------------------------------------


def test_a_release_whose_proof_fails_is_refused(clone: Path) -> None:
    with pytest.raises(Refusal, match="the proof fails"):
        release.publish(clone, "0.2.0", FAILS)
    assert git(clone, "tag").split() == ["v0.1.0"]


def test_without_a_record_nothing_is_released(clone: Path) -> None:
    (clone / proof.RECORD).unlink()
    assert "there is no record" in refused(clone, "0.2.0")
    (clone / proof.RECORD).write_text("half a rec")
    assert "there is no record" in refused(clone, "0.2.0")


def test_the_record_of_another_tree_releases_nothing(clone: Path) -> None:
    proven(clone)
    (clone / "new.txt").write_text("new")
    record(clone, "0.2.0")
    assert "and what is committed is" in refused(clone, "0.2.0")
    # The same files in another commit are the same tree.
    proven(clone)
    git(clone, "commit", "--quiet", "--allow-empty", "--message", "nothing new")
    assert release.publish(clone, "0.2.0", FAILS) == "v0.2.0"


def test_the_record_of_a_tree_with_changes_releases_nothing(clone: Path) -> None:
    (clone / "new.txt").write_text("new")
    proven(clone)
    assert "the work tree has changes" in "".join(proof.objections(clone))
    (clone / "new.txt").unlink()
    assert "is of a work tree with changes" in refused(clone, "0.2.0")


def test_verdicts_that_a_proof_wrote_down_are_no_changes(clone: Path) -> None:
    committed = proof.tree(clone)
    assert committed
    (clone / proof.LEDGER).mkdir(parents=True, exist_ok=True)
    (clone / proof.LEDGER / "new.txt").write_text("0f 1\n")
    assert proof.tree(clone) == committed
    (clone / "tests" / "new.txt").touch()
    assert not proof.tree(clone)


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        ({"skipped": 1}, "skipped is 1, and must be 0"),
        ({"failed": 2}, "failed is 2, and must be 0"),
        ({"errors": 1}, "errors is 1, and must be 0"),
        ({"errors": None}, "errors is None, and must be 0"),
        ({"ran": {}}, "no test ran of tests/"),
        ({"ran": None}, "no test ran of tests/"),
        ({"counts": {**proof.COUNTS, "UPDATE_CASES": 40}}, "UPDATE_CASES was 40"),
        ({"counts": {}}, "MATRIX_SAMPLES was 0, and must be 20"),
    ],
)
def test_a_record_that_is_not_complete_releases_nothing(
    clone: Path, other: dict[str, Any], sentence: str
) -> None:
    proven(clone, **other)
    assert sentence in refused(clone, "0.2.0")


def test_the_record_of_a_part_releases_nothing(clone: Path) -> None:
    every = proof.test_files(clone)
    left = "tests/update/test_pairs.py"
    assert {left, "tests/test_release.py", "tests/system/test_image.py"} <= every
    proven(clone, ran=dict.fromkeys(every - {left}, 1))
    assert f"no test ran of {left}" in refused(clone, "0.2.0")


def test_a_release_proves_what_has_no_record_yet(clone: Path, tmp_path: Path) -> None:
    proven(clone)
    (clone / proof.RECORD).rename(tmp_path / "record.json")
    settings = " and ".join(
        f"os.environ[{name!r}] == {value!r}" for name, value in proof.SETTINGS.items()
    )
    script = f"import os; assert {settings}; os.rename({str(tmp_path / 'record.json')!r}, {proof.RECORD!r})"
    assert release.publish(clone, "0.2.0", (sys.executable, "-c", script)) == "v0.2.0"


# --- the record that a run writes --------------------------------------------------------

PASSES = "def test_it() -> None:\n    pass\n"
CONFTEST = """
from pathlib import Path
from tests.record import Recorder

def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Recorder(Path(config.rootpath)))
"""


@pytest.fixture
def suite(tmp_path: Path, default_gitconfig: object) -> Path:
    """A repository with two test files, of which every run is recorded."""
    (tmp_path / "tests").mkdir()
    for path, text in {
        ".gitignore": ".tools/\n__pycache__/\n",
        # As this repository's own: pytest turns the strict options into overrides, which leave no test out.
        "pytest.ini": "[pytest]\ntestpaths = tests\naddopts = --strict-config --strict-markers -rs\n",
        "tests/conftest.py": CONFTEST,
        "tests/test_one.py": PASSES,
        "tests/test_two.py": PASSES,
    }.items():
        (tmp_path / path).write_text(text)
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "--message", "tests")
    return tmp_path


def ran(suite: Path, *arguments: str) -> str:
    """Run its tests with as much as a release asks for; the output."""
    only_xdist = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    plain = {n: t for n, t in os.environ.items() if not n.startswith("PYTEST")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-pxdist", "-pno:cacheprovider", *arguments],
        check=False,
        cwd=suite,
        env={**plain, **proof.SETTINGS, **only_xdist, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("processes", ["0", "2"])
def test_a_complete_run_is_recorded(suite: Path, processes: str) -> None:
    output = ran(suite, f"--numprocesses={processes}")
    assert list(proof.objections(suite)) == [], output
    assert "complete, a release may follow" in output
    found = proof.read(suite)
    assert found and found["ran"] == {"tests/test_one.py": 1, "tests/test_two.py": 1}
    assert found["passed"] == 2 and found["seconds"] >= 0


@pytest.mark.parametrize(
    "part",
    [
        "tests/test_one.py",
        "tests",
        "-kit",
        "-mnot slow",
        "--deselect=tests/test_one.py::test_it",
        "--ignore=tests/test_one.py",
        "--collect-only",
        "--override-ini=python_files=test_one.py",
    ],
)
def test_the_run_of_a_part_is_not_recorded(suite: Path, part: str) -> None:
    ran(suite, part)
    assert proof.read(suite) is None


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("raise ValueError", "failed is 1"),
        ("import pytest; pytest.skip('no part')", "skipped is 1"),
        ("import os; os._exit(3)", "failed is 1"),
        ("open('new.txt', 'w').close()", "is of a work tree with changes"),
    ],
)
def test_a_run_that_proves_too_little_says_so(
    suite: Path, body: str, sentence: str
) -> None:
    (suite / "tests" / "test_two.py").write_text(f"def test_it():\n    {body}\n")
    git(suite, "commit", "--quiet", "--all", "--message", "otherwise")
    output = ran(suite, "--numprocesses=1")
    assert "a release may follow" not in output
    (suite / "new.txt").unlink(missing_ok=True)
    assert sentence in "".join(proof.objections(suite)), output


def test_a_file_that_skips_itself_is_missed(suite: Path) -> None:
    text = f"import pytest\npytest.skip('no', allow_module_level=True)\n{PASSES}"
    (suite / "tests" / "test_two.py").write_text(text)
    git(suite, "commit", "--quiet", "--all", "--message", "otherwise")
    assert "no test ran of tests/test_two.py" in ran(suite, "--numprocesses=2")


# --- clones ------------------------------------------------------------------------------


def test_a_clone_that_came_without_tags_has_them_again(clone: Path) -> None:
    git(clone, "tag", "--delete", "v0.1.0")
    proven(clone)
    assert release.publish(clone, "0.2.0", HOLDS) == "v0.2.0"
    assert git(clone, "tag").split() == ["v0.1.0", "v0.2.0"]
