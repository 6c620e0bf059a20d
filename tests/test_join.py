"""An existing repository joins: its own files stay unchanged, and each collision comes with advice."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import copier
import pytest
import yaml
from typer.testing import CliRunner

from slipway.cli import app
from slipway.join import BRANCH, SUFFIX
from slipway.project import CHECKOUT
from tests import quick
from tests.releases import Template, git
from tests.rendering import ANSWERS_FILE, render_tree, tree

light, tmp_path = quick.light, quick.tmp_path
THEIRS = {
    ".github/workflows/ci.yml": "on: push\n",
    ".github/workflows/docs.yml": "on: push\n",
    ".gitignore": "*.csv\n/notebooks/\n/data/\n",
    "README.md": "# Shop\n\nFounded in 2019.\n",
    "docs": "a file\n",
    "makefile": "all:\n\ttrue\n",
    "pyproject.toml": '[project]\nname = "shop"\nversion = "3.1"\n',
    "pytest.ini": "[pytest]\n",
    "src/shop/model.py": "def price() -> int:\n    return 1\n",
    "src/shop/till.py": "OPEN = True\n",
}
IGNORED = {"data/demo.py": "SECRET = 1\n"}
ANSWERS = ["--defaults", "--data", "project_name=Shop", "--data", "preset=starter"]


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
    write(shop, IGNORED)
    return shop


def write(folder: Path, files: Mapping[str, str]) -> None:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, "utf-8")


def commit(folder: Path, message: str) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)


def join(template: Template, path: Path | str, status: int = 0) -> str:
    words = ["join", "--from", str(template.folder), str(path), "--", *ANSWERS]
    done = CliRunner(env={"COLUMNS": "200"}).invoke(app, words)
    assert done.exit_code == status, done.output
    return done.output


def read_theirs(folder: Path) -> dict[str, str]:
    return {path: (folder / path).read_text() for path in THEIRS | IGNORED}


def test_their_files_stay_and_slipways_are_added(
    template: Template, shop: Path
) -> None:
    printed = join(template, shop)
    assert read_theirs(shop) == THEIRS | IGNORED
    assert git(shop, "status", "--porcelain") == ""
    assert git(shop, "branch", "--show-current").strip() == BRANCH
    answers = {"project_name": "Shop", "preset": "starter"}
    rendered = render_tree(answers)
    added = {path for path in tree(shop) if not path.startswith(".git/")}
    added -= THEIRS.keys() | IGNORED.keys()
    assert {path.replace(SUFFIX, "") for path in added} == rendered.keys()
    for path in added - {ANSWERS_FILE}:
        assert (shop / path).read_bytes() == rendered[path.replace(SUFFIX, "")], path
    assert f"{len(added)} files were added" in printed


def test_each_collision_comes_with_advice(template: Template, shop: Path) -> None:
    printed = " ".join(join(template, shop).split())
    for path, what in {
        "pyproject.toml": "take Slipway's file, then add your dependencies under [project]",
        "README.md": "keep your file",
        "Makefile": "add Slipway's targets to your file",
        ".gitignore": "add Slipway's lines to your file",
        ".github/workflows/ci.yml": "take Slipway's file, and rename yours first if it must keep running",
        ".github/workflows/docs.yml": "it runs in addition to Slipway's workflows",
        "data/demo.py": "compare the two files",
        "docs": "Slipway needs a folder of this name",
        "notebooks/explore.ipynb": ".gitignore ignores it by /notebooks/",
        "pytest.ini": "it is read instead of pyproject.toml",
        "src/shop/model.py": "keep your file under another name",
    }.items():
        assert f"{path} {what}" in printed
        message = git(shop, "show", "--no-patch", "--format=%B", BRANCH)
        assert f"\n{path}: {what}" in message
    assert "till.py" not in printed


def test_switching_back_undoes_the_join(template: Template, shop: Path) -> None:
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


def test_later_updates_keep_their_files(template: Template, shop: Path) -> None:
    join(template, shop)
    git(shop, "mv", "--force", f"pyproject.toml{SUFFIX}", "pyproject.toml")
    git(shop, "rm", "--quiet", f"README.md{SUFFIX}")
    git(shop, "mv", "docs", "docs.txt")
    git(shop, "mv", f"docs{SUFFIX}", "docs")
    commit(shop, "settled")
    template.replace("template/README.md.jinja", "\n\n", "\n\nA new line.\n\n")
    template.replace("template/pyproject.toml.jinja", "testpaths", "# New.\ntestpaths")
    template.release("1.1.0")
    copier.run_update(shop, defaults=True, overwrite=True, quiet=True)
    assert yaml.safe_load((shop / ANSWERS_FILE).read_text())["_commit"] == "1.1.0"
    assert "# New.\ntestpaths" in (shop / "pyproject.toml").read_text()
    assert "Founded in 2019." in (shop / "README.md").read_text()
    for path in ("src/shop/model.py", "src/shop/till.py", "data/demo.py"):
        assert (shop / path).read_text() == (THEIRS | IGNORED)[path]


def test_nothing_is_written_through_a_link(
    template: Template, shop: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (shop / "tests").symlink_to(outside)
    (shop / "params.yaml").symlink_to(outside / "nothing.yaml")
    commit(shop, "a link")
    printed = " ".join(join(template, shop).split())
    assert "tests Slipway needs a folder of this name: rename yours" in printed
    assert "params.yaml compare the two files" in printed
    assert (shop / f"tests{SUFFIX}" / "conftest.py").is_file()
    assert not list(outside.iterdir())


def test_an_identical_file_is_no_collision(template: Template, shop: Path) -> None:
    text = (CHECKOUT / "examples" / "starter" / ".pre-commit-config.yaml").read_text()
    write(shop, {".pre-commit-config.yaml": text})
    commit(shop, "the same")
    assert ".pre-commit-config" not in join(template, shop)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ("dirty", "has uncommitted changes"),
        ("untracked", "has uncommitted changes"),
        ("no commit", "is not a git repository with a commit"),
        ("no repository", "is not a git repository with a commit"),
        ("inside", "is inside the repository"),
        ("nowhere", "is not a folder"),
        ("template", "is the template itself"),
        ("joined", "already follows a template"),
        ("branch", f"already has a branch {BRANCH}"),
        ("suffix", f"README.md{SUFFIX} exists already"),
    ],
)
def test_a_refused_repository_is_unchanged(
    template: Template, shop: Path, state: str, message: str
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
        case "suffix":
            write(shop, {f"README.md{SUFFIX}": "mine\n"})
            commit(shop, "suffix")
    before = tree(shop / "src"), git(shop, "for-each-ref"), git(shop, "status", "-s")
    assert message in " ".join(join(template, path, status=1).split())
    after = tree(shop / "src"), git(shop, "for-each-ref"), git(shop, "status", "-s")
    assert after == before
    assert git(shop, "worktree", "list").count("\n") == 1


def test_copier_alone_asks_about_each_file_keeps_or_overwrites_it(
    template: Template, shop: Path
) -> None:
    """docs/forking.md says this about joining without the command."""
    git(shop, "mv", "docs", "docs.txt")
    commit(shop, "out of the way")
    command = [sys.executable, "-W", "ignore", "-m", "copier", "copy", *ANSWERS]
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

    assert run() != 0  # it asks, and stdin is closed
    assert [file.read_text() for file in files] == before
    assert run("--skip=*") == 0
    assert [file.read_text() for file in files] == before
    assert (shop / ANSWERS_FILE).is_file()
    assert run("--overwrite") == 0
    assert not {file.read_text() for file in files} & set(before)
