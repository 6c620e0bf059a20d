"""docs/changes/: each entry is valid for its release, and `make update` shows it to the projects that it concerns."""

import re
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.version import Version

from slipway import changes, release
from slipway.changes import UNRELEASED
from slipway.tools import load_tool
from tests import quick
from tests.checks.words import PATTERNS
from tests.releases import git
from tests.rendering import ANSWERS_FILE, QUESTIONS, ROOT, render_tree
from tests.update.history import available_releases

tmp_path = quick.tmp_path
tool = load_tool("changes")
RELEASES = changes.load_releases(ROOT)
EXAMPLES = ".env.example"


def questions(version: str) -> Mapping[str, Mapping[str, Any]]:
    """Return the questions of a release; the current ones if it has no tag yet."""
    commit = available_releases().get(f"v{version}")
    if commit is None:
        return QUESTIONS
    text = git(ROOT, "show", f"{commit}:copier.yml")
    return release.select_questions(release.parse_settings(text))


def number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def test_the_changelog_matches_the_entries() -> None:
    assert (ROOT / changes.CHANGELOG).read_text("utf-8") == changes.render_changelog(
        ROOT
    ), "run `make examples`"


def test_every_release_has_its_entries() -> None:
    """At most one file is of no release yet, and its version follows the last."""
    versions = {f"v{version}" for version in RELEASES} - {f"v{UNRELEASED}"}
    assert available_releases().keys() <= versions
    newest = max(map(Version, available_releases()))
    following = {f"v{version}" for version in release.next_versions(newest)}
    assert len(versions - available_releases().keys()) <= 1
    assert versions - available_releases().keys() <= following


@pytest.mark.parametrize("version", RELEASES)
def test_the_entries_of_a_release_are_valid(version: str) -> None:
    assert list(changes.find_problems(RELEASES[version], questions(version))) == []


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ({"text": "A.", "when": {"colour": "red"}}, "unknown question colour"),
        ({"text": "A.", "when": {"auth": "basic"}}, "auth does not offer basic"),
        (
            {"text": "A.", "when": {"auth": ["jwt", "basic"]}},
            "auth does not offer basic",
        ),
        ({"text": "A.", "when": {"user_name": "Ada"}}, "user_name does not offer Ada"),
        ({"text": "A.", "wen": {"auth": "jwt"}}, "unknown key wen: an entry has "),
        ({"text": " "}, "text is missing"),
        ({"do": "Do."}, "text is missing"),
        ({"text": "See [it](docs/x.md)."}, "remove the link"),
        (
            {"text": "A.", "settings": {"OLD": "new"}},
            "OLD → new: the names of settings are upper case",
        ),
    ],
)
def test_a_problem_in_an_entry_is_named(entry: dict[str, Any], problem: str) -> None:
    (found_problem,) = changes.find_problems({"upgrading": [entry]}, QUESTIONS)
    assert problem in found_problem
    assert list(changes.find_problems({"nwe": []}, QUESTIONS)) == [
        "unknown key nwe: a release file has about, upgrading and new"
    ]
    assert list(changes.find_problems({"new": [{"text": "A.", "do": "B."}]}, QUESTIONS))


def test_the_example_in_contributing_is_valid() -> None:
    guide = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    _, _, part = guide.partition("## A change that projects notice\n")
    release = yaml.safe_load(part.partition("```yaml\n")[2].partition("```")[0])
    assert list(changes.find_problems(release, QUESTIONS)) == []
    assert {*release["upgrading"][0]} == changes.KEYS


def test_an_entry_that_names_an_option_has_it_as_a_condition() -> None:
    """Otherwise `make update` would show it to every project."""
    entries = [entry for release in RELEASES.values() for entry in release["upgrading"]]
    assert len(entries) > 20
    for entry in entries:
        text = f"{entry['text']} {entry.get('do', '')}"
        named = {
            question
            for (question, _), pattern in PATTERNS.items()
            if pattern.search(text)
        }
        named |= {q for q in QUESTIONS if re.search(rf"`{q}=", text)}
        # An entry may mention CI to projects without the option too.
        assert named - {"ci"} <= entry.get("when", {}).keys(), text


@cache
def settings_of(commit: str) -> frozenset[str]:
    """Return the settings in the .env.example of a commit; of the work tree if it is empty."""
    ref = [commit] if commit else []
    lines = git(
        ROOT, "grep", "-hE", "^#? ?[A-Z_]+=", *ref, "--", f"template/*{EXAMPLES}*"
    )
    return frozenset(re.findall(r"^#? ?([A-Z_]+)=", lines, re.MULTILINE))


def announced_settings(version: str) -> set[str]:
    """Return the settings that the entries of a release rename or remove."""
    parts = RELEASES[version].get("upgrading", []), RELEASES[version].get("new", [])
    return {name for part in parts for e in part for name in e.get("settings", ())}


def test_every_removed_setting_is_in_an_entry() -> None:
    tagged = sorted(
        available_releases().items(), key=lambda release: Version(release[0])
    )
    assert "STORE" in settings_of("")
    following = [*tagged[1:], ("", "")]
    for (_, before), (version, after) in zip(tagged, following, strict=True):
        untagged = [v for v in RELEASES if f"v{v}" not in available_releases()]
        names = [version.removeprefix("v")] if version else untagged
        named = {setting for name in names for setting in announced_settings(name)}
        removed = settings_of(before) - settings_of(after)
        assert removed == named, f"settings in docs/changes/ of {names}"


# --- the report of `make update` --------------------------------------------------------------

FIRST = """
upgrading:
  - text: This concerns all.
  - {text: Only tokens change., do: Issue them again., when: {auth: jwt}}
  - {text: Keys or tokens., when: {auth: [api_key, jwt], limits: memory}}
  - {text: Old settings are gone., settings: {OLD_NAME: MIDDLE_NAME, GONE: null}}
  - {text: A file moves., files: {docs/a.md: docs/b.md, docs/c.md: null}}
new:
  - text: Something is new.
  - {text: New for others., when: {auth: none}}
"""
SECOND = """
about: A later tool writes more than an older one reads.
upgrading:
  - {text: Names change., do: Rename them., settings: {MIDDLE_NAME: NEW_NAME}, severity: 3}
"""


@pytest.fixture
def template(tmp_path: Path) -> Path:
    folder = tmp_path / changes.FOLDER
    folder.mkdir(parents=True)
    files = {"0.3.0": FIRST, "0.10.0": SECOND, "0.2.0": "upgrading: [{text: Before.}]"}
    for version, text in (
        files | {UNRELEASED: "upgrading: [{text: Not yet.}]"}
    ).items():
        (folder / f"{version}.yml").write_text(text)
    return tmp_path


def report_lines(template: Path, new: str = "0.10.0", **answers: str) -> list[str]:
    """Return the lines of the report on an update from 0.2.0."""
    crossed = tool.between(tool.read(template), "0.2.0", new, number)
    report = tool.report(crossed, answers, template, "the template")
    return [line for line in str(report).splitlines() if line]


def test_actions_come_first_then_changed_behaviour(template: Path) -> None:
    """aegis-stack #1029: an update closed a public page, and nothing reported it."""
    assert report_lines(template, auth="jwt", limits="none") == [
        "What to do:",
        "1. Issue them again. Only tokens change.",
        "2. Rename them. Names change.",
        "   - The setting `MIDDLE_NAME` is now `NEW_NAME`.",
        "What behaves differently:",
        "- This concerns all.",
        "- Old settings are gone.",
        "  - The setting `OLD_NAME` is now `MIDDLE_NAME`.",
        "  - The setting `GONE` is no longer read.",
        "- A file moves.",
        "  - `docs/a.md` is now `docs/b.md`.",
        "  - `docs/c.md` is removed.",
        "Not listed here: entries on what is new or mended (1) and on other answers (2).",
        "All are in CHANGELOG.md of the template.",
    ]


def test_the_answers_decide(template: Path) -> None:
    keys = report_lines(template, auth="api_key", limits="memory")
    assert "- Keys or tokens." in keys and "1. Rename them. Names change." in keys
    assert keys[-2].endswith(" and on other answers (2).")
    none = report_lines(template, "0.3.0", auth="none", limits="memory")
    assert none[0] == "What behaves differently:" and "- Keys or tokens." not in none
    assert none[-2].endswith(" and on other answers (2).")
    # A question that the project lacks excludes no entry.
    assert "- Keys or tokens." in report_lines(template, limits="memory")


def test_only_the_crossed_releases_count(template: Path) -> None:
    assert "Names change." not in "".join(report_lines(template, "0.3.0"))
    assert not {"- Before.", "- Not yet."} & {*report_lines(template)}
    assert report_lines(template, "0.2.0") == []


DOTENV = """\
GOOD=1
# OLD_NAME=1
old_name = secret1
export GONE="secret2"\r
MIDDLE_NAME=secret3
NOT_OLD_NAME=4
"""


def test_renamed_settings_are_listed_without_their_values(
    template: Path,
) -> None:
    (template / ".env").write_text(DOTENV, newline="")
    (template / ".env.production").write_text("GONE=secret4\n", "utf-8-sig")
    (template / EXAMPLES).write_text("GONE=\n")
    (template / ".env.d").mkdir()
    lines = report_lines(template, auth="none")
    assert lines[0] == "What to do:"
    assert [line for line in lines if ". .env" in line] == [
        "2. .env, line 3: OLD_NAME is now NEW_NAME: rename it.",
        "3. .env, line 4: GONE is no longer read: remove the line.",
        "4. .env, line 5: MIDDLE_NAME is now NEW_NAME: rename it.",
        "5. .env.production, line 1: GONE is no longer read: remove the line.",
    ]
    assert "secret" not in "".join(lines)


@pytest.mark.parametrize("preset", ["starter", "standard"])
def test_a_real_project_reads_what_concerns_it(preset: str, tmp_path: Path) -> None:
    """From 0.1.0 to the next release: a starter project reads nothing on keys, a standard project nothing on tokens."""
    answers = yaml.safe_load(render_tree({"preset": preset})[ANSWERS_FILE])
    folder = tmp_path / changes.FOLDER
    folder.mkdir(parents=True)
    for version in RELEASES:
        text = (ROOT / changes.FOLDER / f"{version}.yml").read_text("utf-8")
        name = "99.0.0" if version == UNRELEASED else version
        (folder / f"{name}.yml").write_text(text, "utf-8")
    crossed = tool.between(tool.read(tmp_path), "0.1.0", "99.0.0", number)
    report = tool.report(crossed, answers, tmp_path, "the template")
    assert ("keys.labels.json" in report) == (preset == "standard")
    assert "auth=jwt" not in report
    assert f"2. Run `{answers['project_slug']} sign` where you promote." in report
    assert "<project>" not in report and "<package>" not in report
    assert "package_index" in report and "There is nothing to update" not in report


def test_a_tool_leaves_no_bytecode_in_the_template(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "template" / "tools"
    folder.mkdir(parents=True)
    (folder / "of_a_test.py").write_text("FOUND = 1\n", "utf-8")
    monkeypatch.setattr("slipway.tools.CHECKOUT", tmp_path)
    monkeypatch.setattr("sys.dont_write_bytecode", False)
    assert load_tool("of_a_test").FOUND == 1
    assert [file.name for file in folder.iterdir()] == ["of_a_test.py"]
    del sys.modules["of_a_test"]
