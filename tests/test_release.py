"""A release is tagged and recorded only if every precondition holds and the proof is complete."""

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
from slipway.errors import UserError
from tests import quick
from tests.checkout import today
from tests.releases import git
from tests.rendering import ROOT

tmp_path = quick.tmp_path
PASSES = (sys.executable, "-c", "")
FAILS = (sys.executable, "-c", "raise SystemExit(1)")
ENTRIES = """
upgrading: [{text: "`audience` is new, and `team` in projects that exist."}]
new: [{text: "`other` is no part of it."}]
"""


@pytest.fixture(scope="module")
def released(default_gitconfig: object) -> Iterator[Path]:
    """A checkout with one release, 0.1.0, and the changelog of the next."""
    with quick.folder() as folder:
        yield release_first(Path(folder))


@pytest.fixture
def clone(released: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(released, tmp_path / "clone", symlinks=True))


def release_first(folder: Path) -> Path:
    """Release the current checkout as 0.1.0, and prepare 0.2.0."""
    today(folder)
    # The tests start without the real releases.
    (folder / releases.RELEASES).unlink(missing_ok=True)
    shutil.rmtree(folder / changes.FOLDER)
    write_changes(folder, "0.1.0")
    release.write_version(folder, "0.1.0")
    write_record(folder)
    release.publish(folder, "0.1.0", PASSES)
    write_changes(folder, "0.2.0")
    release.write_version(folder, "0.2.0")
    return folder


def write_record(folder: Path, **changed: Any) -> None:
    """Write the record of a complete run, with some of its values changed."""
    complete = {
        "tree": proof.committed_tree(folder),
        "ran": dict.fromkeys(proof.list_test_files(folder), 1),
        "failed": 0,
        "errors": 0,
        "skipped": 0,
        "counts": proof.COUNTS,
    }
    (folder / proof.RECORD).parent.mkdir(exist_ok=True)
    (folder / proof.RECORD).write_text(json.dumps(complete | changed))


def write_changes(folder: Path, version: str, text: str = ENTRIES) -> None:
    """Commit the entries of a release, and the changelog rendered from them."""
    file = folder / changes.FOLDER / f"{version}.yml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, "utf-8")
    (folder / changes.CHANGELOG).write_text(changes.render_changelog(folder), "utf-8")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "changelog")


def edit_copier_yml(folder: Path, old: str, new: str) -> None:
    file = folder / "copier.yml"
    file.write_text(file.read_text("utf-8").replace(old, new, 1), "utf-8")
    git(folder, "commit", "-qa", "--allow-empty", "--message", "settings")


def refusal_of(folder: Path, version: str) -> str:
    """Return the message of a release that is refused, after checking that nothing was tagged."""
    with pytest.raises(UserError) as error:
        release.publish(folder, version, PASSES)
    assert git(folder, "tag").split() == ["v0.1.0"]
    assert list(releases.recorded_releases(folder)) == ["v0.1.0"]
    return str(error.value)


def test_a_release_is_tagged_recorded_and_committed(clone: Path) -> None:
    head = git(clone, "rev-parse", "HEAD").strip()
    write_record(clone)
    with (
        patch.object(project, "CHECKOUT", clone),
        patch.object(release, "PROOF", FAILS),
    ):
        done = CliRunner().invoke(app, ["release", "0.2.0"])
    assert done.exit_code == 0, done.output
    assert "v0.2.0 is tagged" in done.output
    assert git(clone, "rev-parse", "v0.2.0").strip() == head
    assert releases.recorded_releases(clone)["v0.2.0"] == head
    assert git(clone, "log", "-1", "--format=%s").strip() == "Release v0.2.0"
    assert not git(clone, "status", "--porcelain")


def test_the_version_is_written_before_the_proof(clone: Path) -> None:
    release.write_version(clone, "0.1.9")
    assert "but the committed tree is" in refusal_of(clone, "0.2.0")
    write_record(clone)
    assert release.publish(clone, "0.2.0", FAILS) == "v0.2.0"
    assert '\nversion = "0.2.0"\n' in git(clone, "show", "v0.2.0:pyproject.toml")


def test_uncommitted_changes_block_a_release(clone: Path) -> None:
    (clone / "new.txt").write_text("new")
    assert "?? new.txt" in refusal_of(clone, "0.2.0")


@pytest.mark.parametrize("version", ["0.1.0", "0.1.2", "0.3.0", "2.0.0", "v0.2.0", "x"])
def test_a_version_must_follow_the_last(clone: Path, version: str) -> None:
    assert refusal_of(clone, version) == "after 0.1.0 comes 0.1.1, 0.2.0 or 1.0.0."


@pytest.mark.parametrize("text", ["{}", "new: [{text: Much.}]", "upgrading: []"])
def test_a_release_needs_an_upgrading_entry(clone: Path, text: str) -> None:
    write_changes(clone, "0.2.0", text)
    reason = "docs/changes/0.2.0.yml has no entry under `upgrading`"
    assert reason in refusal_of(clone, "0.2.0")


def test_unreleased_entries_block_a_release(clone: Path) -> None:
    file = clone / changes.FOLDER / "0.2.0.yml"
    file.rename(file.with_name("unreleased.yml"))
    git(clone, "add", "--all")
    write_changes(clone, "0.1.0")
    assert "git mv docs/changes/unreleased.yml docs/changes/0.2.0.yml" in refusal_of(
        clone, "0.2.0"
    )


def test_an_entry_with_an_unknown_answer_blocks_a_release(clone: Path) -> None:
    write_changes(clone, "0.2.0", ENTRIES.replace("}]", ", when: {auth: basic}}]", 1))
    assert "docs/changes/0.2.0.yml: '`audience` is new" in refusal_of(clone, "0.2.0")
    assert "auth does not offer basic." in refusal_of(clone, "0.2.0")


def test_a_changelog_edited_by_hand_blocks_a_release(clone: Path) -> None:
    page = clone / changes.CHANGELOG
    page.write_text(page.read_text("utf-8") + "\n- By hand.\n", "utf-8")
    git(clone, "commit", "-qa", "--message", "by hand")
    assert "CHANGELOG.md does not match docs/changes/" in refusal_of(clone, "0.2.0")


def test_a_new_question_must_be_in_the_changelog(clone: Path) -> None:
    question = "audience: {type: str, default: team}\n\n_min_copier_version"
    edit_copier_yml(clone, "_min_copier_version", question)
    assert not list(release.find_problems(clone, "0.2.0"))
    edit_copier_yml(clone, "audience:", "other:")
    assert "new question `other`" in refusal_of(clone, "0.2.0")


def test_a_migration_of_a_later_release_blocks_a_release(clone: Path) -> None:
    edit_copier_yml(clone, "_migrations: []", "_migrations:")
    entry = "_migrations:\n  - {version: 0.2.0, command: echo}\n"
    edit_copier_yml(clone, "_migrations:\n", entry)
    assert not list(release.find_problems(clone, "0.2.0"))
    edit_copier_yml(clone, "version: 0.2.0", "version: 0.3.0")
    assert "a migration of 0.3.0" in refusal_of(clone, "0.2.0")


# --- the proof ---------------------------------------------------------------------------


def test_a_release_whose_proof_fails_is_refusal_of(clone: Path) -> None:
    with pytest.raises(UserError, match="the proof failed"):
        release.publish(clone, "0.2.0", FAILS)
    assert git(clone, "tag").split() == ["v0.1.0"]


def test_a_release_needs_a_record(clone: Path) -> None:
    (clone / proof.RECORD).unlink()
    assert "there is no record" in refusal_of(clone, "0.2.0")
    (clone / proof.RECORD).write_text("half a rec")
    assert "there is no record" in refusal_of(clone, "0.2.0")


def test_the_record_of_another_tree_does_not_count(clone: Path) -> None:
    write_record(clone)
    (clone / "new.txt").write_text("new")
    write_changes(clone, "0.2.0")
    assert "but the committed tree is" in refusal_of(clone, "0.2.0")
    # The same files in another commit are the same tree.
    write_record(clone)
    git(clone, "commit", "--quiet", "--allow-empty", "--message", "nothing new")
    assert release.publish(clone, "0.2.0", FAILS) == "v0.2.0"


def test_the_record_of_a_tree_with_uncommitted_changes_does_not_count(
    clone: Path,
) -> None:
    (clone / "new.txt").write_text("new")
    write_record(clone)
    assert "the work tree has uncommitted changes" in "".join(
        proof.find_problems(clone)
    )
    (clone / "new.txt").unlink()
    assert "describes a work tree with uncommitted changes" in refusal_of(
        clone, "0.2.0"
    )


def test_verdicts_that_a_proof_wrote_down_are_no_changes(clone: Path) -> None:
    committed = proof.committed_tree(clone)
    assert committed
    (clone / proof.LEDGER).mkdir(parents=True, exist_ok=True)
    (clone / proof.LEDGER / "new.txt").write_text("0f 1\n")
    assert proof.committed_tree(clone) == committed
    (clone / "tests" / "new.txt").touch()
    assert not proof.committed_tree(clone)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"skipped": 1}, "skipped is 1, and must be 0"),
        ({"failed": 2}, "failed is 2, and must be 0"),
        ({"errors": 1}, "errors is 1, and must be 0"),
        ({"errors": None}, "errors is None, and must be 0"),
        ({"ran": {}}, "no test ran in tests/"),
        ({"ran": None}, "no test ran in tests/"),
        ({"counts": {**proof.COUNTS, "UPDATE_CASES": 40}}, "UPDATE_CASES was 40"),
        ({"counts": {}}, "MATRIX_SAMPLES was 0, and must be at least 20"),
    ],
)
def test_an_incomplete_record_does_not_count(
    clone: Path, changed: dict[str, Any], message: str
) -> None:
    write_record(clone, **changed)
    assert message in refusal_of(clone, "0.2.0")


def test_a_record_without_some_files_does_not_count(clone: Path) -> None:
    every = proof.list_test_files(clone)
    left = "tests/update/test_pairs.py"
    assert {left, "tests/test_release.py", "tests/system/test_image.py"} <= every
    write_record(clone, ran=dict.fromkeys(every - {left}, 1))
    assert f"no test ran in {left}" in refusal_of(clone, "0.2.0")


def test_a_release_runs_the_proof_if_there_is_no_record(
    clone: Path, tmp_path: Path
) -> None:
    write_record(clone)
    (clone / proof.RECORD).rename(tmp_path / "record.json")
    settings = " and ".join(
        f"os.environ[{name!r}] == {value!r}" for name, value in proof.SETTINGS.items()
    )
    script = f"import os; assert {settings}; os.rename({str(tmp_path / 'record.json')!r}, {proof.RECORD!r})"
    assert release.publish(clone, "0.2.0", (sys.executable, "-c", script)) == "v0.2.0"


# --- the record that a run writes --------------------------------------------------------

PASSING_TEST = "def test_it() -> None:\n    pass\n"
CONFTEST = """
from pathlib import Path
from tests.record import Recorder

def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Recorder(Path(config.rootpath)))
"""


@pytest.fixture
def suite(tmp_path: Path, default_gitconfig: object) -> Path:
    """A repository with two test files and the recorder."""
    (tmp_path / "tests").mkdir()
    for path, text in {
        ".gitignore": ".tools/\n__pycache__/\n",
        # As this repository's own: pytest turns the strict options into overrides, which leave no test out.
        "pytest.ini": "[pytest]\ntestpaths = tests\naddopts = --strict-config --strict-markers -rs\n",
        "tests/conftest.py": CONFTEST,
        "tests/test_one.py": PASSING_TEST,
        "tests/test_two.py": PASSING_TEST,
    }.items():
        (tmp_path / path).write_text(text)
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "--message", "tests")
    return tmp_path


def run_suite(suite: Path, *arguments: str) -> str:
    """Run the tests with the counts of a release, and return the output."""
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
    output = run_suite(suite, f"--numprocesses={processes}")
    assert list(proof.find_problems(suite)) == [], output
    assert "complete, a release may follow" in output
    record = proof.read_record(suite)
    assert record and record["ran"] == {"tests/test_one.py": 1, "tests/test_two.py": 1}
    assert record["passed"] == 2 and record["seconds"] >= 0


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
def test_a_partial_run_is_not_recorded(suite: Path, part: str) -> None:
    run_suite(suite, part)
    assert proof.read_record(suite) is None


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("raise ValueError", "failed is 1"),
        ("import pytest; pytest.skip('no part')", "skipped is 1"),
        ("import os; os._exit(3)", "failed is 1"),
        (
            "open('new.txt', 'w').close()",
            "describes a work tree with uncommitted changes",
        ),
    ],
)
def test_an_insufficient_run_says_why(suite: Path, body: str, message: str) -> None:
    (suite / "tests" / "test_two.py").write_text(f"def test_it():\n    {body}\n")
    git(suite, "commit", "--quiet", "--all", "--message", "otherwise")
    output = run_suite(suite, "--numprocesses=1")
    assert "a release may follow" not in output
    (suite / "new.txt").unlink(missing_ok=True)
    assert message in "".join(proof.find_problems(suite)), output


def test_a_file_that_skips_itself_is_named(suite: Path) -> None:
    text = f"import pytest\npytest.skip('no', allow_module_level=True)\n{PASSING_TEST}"
    (suite / "tests" / "test_two.py").write_text(text)
    git(suite, "commit", "--quiet", "--all", "--message", "otherwise")
    assert "no test ran in tests/test_two.py" in run_suite(suite, "--numprocesses=2")


# --- clones ------------------------------------------------------------------------------


def test_a_release_restores_missing_tags(clone: Path) -> None:
    git(clone, "tag", "--delete", "v0.1.0")
    write_record(clone)
    assert release.publish(clone, "0.2.0", PASSES) == "v0.2.0"
    assert git(clone, "tag").split() == ["v0.1.0", "v0.2.0"]
