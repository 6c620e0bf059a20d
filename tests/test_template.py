"""The template's own files: names, sheets, and what no committed file may say."""

import re
from functools import cache
from pathlib import Path

import pytest
import yaml
from pathspec import GitIgnoreSpec

from tests.releases import git
from tests.rendering import ROOT, render_tree

TEMPLATE = ROOT / "template"
# Windows keeps these characters and names for itself.
ILLEGAL = re.compile(
    r'[<>:"|?*\\\x00-\x1f]|[. ]$|^(con|prn|aux|nul|com\d|lpt\d)(\.|$)', re.IGNORECASE
)
INDEX_HOSTS = (
    "pypi" + ".org",
    "pythonhosted" + ".org",
    "anaconda" + ".org",
    "npmjs" + ".org",
)


@cache
def committed() -> list[Path]:
    """Every file of the repository, today's included."""
    listed = git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    return [
        ROOT / path for path in listed.split("\0") if path and (ROOT / path).is_file()
    ]


def sources() -> list[Path]:
    return [path for path in committed() if path.is_relative_to(TEMPLATE)]


def test_file_names_are_legal_on_windows() -> None:
    for path in sources():
        for part in path.relative_to(TEMPLATE).parts:
            assert not ILLEGAL.search(part), path
        assert len(str(path.relative_to(ROOT))) < 160, path
    folded = [str(path).casefold() for path in sources()]
    assert len(folded) == len(set(folded)), "two names differ in case alone"


def test_a_sheet_is_one_folder_at_the_top() -> None:
    for path in sources():
        assert not any(
            "{{ '.'" in part for part in path.relative_to(TEMPLATE).parts[1:]
        )


def test_templates_hold_jinja_and_no_other_file_does() -> None:
    for path in sources():
        text = path.read_text("utf-8")
        # GitHub's own expressions are `${{ … }}`.
        holds = bool(re.search(r"(?<!\$)\{\{|\{%|\{#", text))
        assert holds == (path.suffix == ".jinja"), f"{path} holds Jinja: {holds}"


def test_no_committed_file_names_a_package_index() -> None:
    for path in committed():
        text = path.read_bytes().decode("utf-8", "replace")
        for host in INDEX_HOSTS:
            assert host not in text, f"{path} names {host}"


def test_a_template_is_mostly_text() -> None:
    for path in sources():
        if path.name == "LICENSE":  # somebody else's text
            continue
        lines = path.read_text("utf-8").splitlines()
        tags = [line for line in lines if line.lstrip().startswith("{%")]
        assert len(tags) * 3 <= len(lines), f"{path}: more than a third is conditions"


@pytest.mark.parametrize(
    ("auth", "header"),
    [("api_key", "X-API-Key:"), ("jwt", "Authorization: Bearer "), ("none", "")],
)
def test_the_calls_of_the_guide_are_accepted(auth: str, header: str) -> None:
    tree = render_tree({"auth": auth, "prediction_log": "sqlite"})
    guide = tree["docs/guide.md"].decode().replace("\\\n", "")
    (call,) = re.findall("^curl .*/feedback.*", guide, re.MULTILINE)
    assert header in call
    assert ("X-API-Key" in call or "Authorization" in call) == (auth != "none")


def test_the_hook_before_a_commit_calls_a_target_of_the_makefile() -> None:
    tree = render_tree({})
    repos = yaml.safe_load(tree[".pre-commit-config.yaml"])["repos"]
    called = [hook["entry"].split() for repo in repos for hook in repo["hooks"]]
    assert called
    makefile = tree["Makefile"].decode()
    for program, target in called:
        assert program == "make"
        assert re.search(f"^{target}:", makefile, re.MULTILINE)


def test_files_that_the_guide_writes_are_kept_out_of_git() -> None:
    """They hold what callers sent: a commit of everything must not take them along."""
    tree = render_tree({"prediction_log": "sqlite", "bulk": "parquet"})
    ignored = GitIgnoreSpec.from_lines(tree[".gitignore"].decode().splitlines())
    guide = tree["docs/guide.md"].decode()
    written = re.findall(r"(?:export-log|score \S+) (\S+\.parquet)", guide)
    assert len(written) == 2
    for path in [*written, *(Path(path).name for path in written)]:
        assert ignored.match_file(path), path
