"""A repository that exists joins: nothing of theirs changes, and what collides is told."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import copier
import pytest
import yaml
from typer.testing import CliRunner

from slipway.cli import app
from slipway.join import BESIDE, BRANCH
from slipway.project import CHECKOUT
from tests import quick
from tests.releases import Template, git
from tests.rendering import ANSWERS_FILE, render_tree, tree

light, tmp_path = quick.light, quick.tmp_path
THEIRS = {
    ".github/workflows/ci.yml": "on: push\n",
    ".github/workflows/docs.yml": "on: push\n",
    ".gitignore": "*.csv\n/notebooks/\n/data/\n",
    "README.md": "# Shop\n\nOurs since 2019.\n",
    "docs": "a file\n",
    "makefile": "all:\n\ttrue\n",
    "pyproject.toml": '[project]\nname = "shop"\nversion = "3.1"\n',
    "pytest.ini": "[pytest]\n",
    "src/shop/model.py": "def price() -> int:\n    return 1\n",
    "src/shop/till.py": "OPEN = True\n",
}
NOT_TRACKED = {"data/demo.py": "SECRET = 1\n"}
WORDS = ["--defaults", "--data", "project_name=Shop", "--data", "preset=starter"]


@pytest.fixture
def template(tmp_path: Path, default_gitconfig: object) -> Template:
    template = Template(tmp_path / "template")
    template.release("1.0.0")
    return template


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    shop = tmp_path / "shop"
    write(shop, THEIRS)
    git(shop, "init", "--quiet", "--initial-branch=trunk")
    commit(shop, "theirs")
    write(shop, NOT_TRACKED)
    return shop


def write(folder: Path, files: Mapping[str, str]) -> None:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, "utf-8")


def commit(folder: Path, message: str) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)


def join(template: Template, path: Path | str, status: int = 0) -> str:
    words = ["join", "--from", str(template.folder), str(path), "--", *WORDS]
    done = CliRunner(env={"COLUMNS": "200"}).invoke(app, words)
    assert done.exit_code == status, done.output
    return done.output


def theirs(folder: Path) -> dict[str, str]:
    return {path: (folder / path).read_text() for path in THEIRS | NOT_TRACKED}


def test_theirs_stays_and_ours_lies_beside_it(template: Template, shop: Path) -> None:
    said = join(template, shop)
    assert theirs(shop) == THEIRS | NOT_TRACKED
    assert git(shop, "status", "--porcelain") == ""
    assert git(shop, "branch", "--show-current").strip() == BRANCH
    answers = {"project_name": "Shop", "preset": "starter"}
    made = render_tree(answers)
    ours = {path for path in tree(shop) if not path.startswith(".git/")}
    ours -= THEIRS.keys() | NOT_TRACKED.keys()
    assert {path.replace(BESIDE, "") for path in ours} == made.keys()
    for path in ours - {ANSWERS_FILE}:
        assert (shop / path).read_bytes() == made[path.replace(BESIDE, "")], path
    assert f"{len(ours)} files came" in said


def test_each_collision_is_told_with_what_to_do(template: Template, shop: Path) -> None:
    said = " ".join(join(template, shop).split())
    for path, what in {
        "pyproject.toml": "take ours, and put into it what is yours: dependencies under [project]",
        "README.md": "keep yours",
        "Makefile": "put our verbs into yours",
        ".gitignore": "add our lines to yours",
        ".github/workflows/ci.yml": "rename yours if it shall run on",
        ".github/workflows/docs.yml": "it runs beside ours",
        "data/demo.py": "compare the two",
        "docs": "it is in the way of a folder of ours",
        "notebooks/explore.ipynb": ".gitignore leaves it out by /notebooks/",
        "pytest.ini": "it is read instead of pyproject.toml",
        "src/shop/model.py": "keep yours under another name",
    }.items():
        assert f"{path} {what}" in said
        message = git(shop, "show", "--no-patch", "--format=%B", BRANCH)
        assert f"\n{path}: {what}" in message
    assert "till.py" not in said


def test_switching_back_undoes_it(template: Template, shop: Path) -> None:
    before = tree(shop)
    join(template, shop)
    git(shop, "switch", "--quiet", "-")
    git(shop, "branch", "--quiet", "--delete", "--force", BRANCH)
    after = tree(shop)
    assert git(shop, "worktree", "list").count("\n") == 1
    for files in (before, after):
        for path in [path for path in files if path.startswith(".git/")]:
            del files[path]
    assert after == before


def test_updates_reach_it_and_keep_what_is_theirs(
    template: Template, shop: Path
) -> None:
    join(template, shop)
    git(shop, "mv", "--force", f"pyproject.toml{BESIDE}", "pyproject.toml")
    git(shop, "rm", "--quiet", f"README.md{BESIDE}")
    git(shop, "mv", "docs", "docs.txt")
    git(shop, "mv", f"docs{BESIDE}", "docs")
    commit(shop, "settled")
    template.replace("template/README.md.jinja", "\n\n", "\n\nA new line.\n\n")
    template.replace("template/pyproject.toml.jinja", "testpaths", "# New.\ntestpaths")
    template.release("1.1.0")
    copier.run_update(shop, defaults=True, overwrite=True, quiet=True)
    assert yaml.safe_load((shop / ANSWERS_FILE).read_text())["_commit"] == "1.1.0"
    assert "# New.\ntestpaths" in (shop / "pyproject.toml").read_text()
    assert "Ours since 2019." in (shop / "README.md").read_text()
    for path in ("src/shop/model.py", "src/shop/till.py", "data/demo.py"):
        assert (shop / path).read_text() == (THEIRS | NOT_TRACKED)[path]


def test_nothing_is_written_through_a_link(
    template: Template, shop: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (shop / "tests").symlink_to(outside)
    (shop / "params.yaml").symlink_to(outside / "nothing.yaml")
    commit(shop, "a link")
    said = " ".join(join(template, shop).split())
    assert "tests it is in the way of a folder of ours: rename it" in said
    assert "params.yaml compare the two" in said
    assert (shop / f"tests{BESIDE}" / "conftest.py").is_file()
    assert not list(outside.iterdir())


def test_a_file_that_is_the_same_collides_with_nothing(
    template: Template, shop: Path
) -> None:
    text = (CHECKOUT / "examples" / "starter" / ".pre-commit-config.yaml").read_text()
    write(shop, {".pre-commit-config.yaml": text})
    commit(shop, "the same")
    assert ".pre-commit-config" not in join(template, shop)


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        ("dirty", "has changes that are not committed"),
        ("untracked", "has changes that are not committed"),
        ("no commit", "is no git repository with a commit"),
        ("no repository", "is no git repository with a commit"),
        ("inside", "lies inside the repository"),
        ("nowhere", "is no folder"),
        ("template", "is the template itself"),
        ("joined", "follows a template already"),
        ("branch", f"has a branch {BRANCH} already"),
        ("beside", f"README.md{BESIDE} is there already"),
    ],
)
def test_what_cannot_join_is_refused_and_left_alone(
    template: Template, shop: Path, state: str, sentence: str
) -> None:
    path = shop
    match state:
        case "dirty":
            (shop / "README.md").write_text("mine\n")
        case "untracked":
            (shop / "new.txt").write_text("mine\n")
        case "no commit":
            path = shop.parent / "empty"
            git(shop.parent, "init", "--quiet", str(path))
        case "no repository":
            path = shop.parent
        case "inside":
            path = shop / "src"
        case "nowhere":
            path = shop / "nowhere"
        case "template":
            path = CHECKOUT
        case "joined":
            write(shop, {ANSWERS_FILE: "_src_path: elsewhere\n"})
            commit(shop, "joined")
        case "branch":
            git(shop, "branch", BRANCH)
        case "beside":
            write(shop, {f"README.md{BESIDE}": "mine\n"})
            commit(shop, "beside")
    before = tree(shop / "src"), git(shop, "for-each-ref"), git(shop, "status", "-s")
    assert sentence in " ".join(join(template, path, status=1).split())
    after = tree(shop / "src"), git(shop, "for-each-ref"), git(shop, "status", "-s")
    assert after == before
    assert git(shop, "worktree", "list").count("\n") == 1


def test_copier_alone_asks_about_each_file_keeps_or_overwrites_it(
    template: Template, shop: Path
) -> None:
    """As docs/forking.md says of doing without `join`."""
    git(shop, "mv", "docs", "docs.txt")
    commit(shop, "out of the way")
    command = [sys.executable, "-W", "ignore", "-m", "copier", "copy", *WORDS]
    command += ["--quiet", str(template.folder), str(shop)]
    files = (shop / "README.md", shop / "src" / "shop" / "model.py")
    before = [file.read_text() for file in files]

    def run(*options: str) -> int:
        done = subprocess.run(
            [*command, *options],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
        )
        return done.returncode

    assert run() != 0  # it asks, and nobody answers
    assert [file.read_text() for file in files] == before
    assert run("--skip=*") == 0
    assert [file.read_text() for file in files] == before
    assert (shop / ANSWERS_FILE).is_file()
    assert run("--overwrite") == 0
    assert not {file.read_text() for file in files} & set(before)
