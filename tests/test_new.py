"""`make new` on a machine with only git, make and Python."""

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from slipway import releases
from tests import quick
from tests.checkout import Checkout
from tests.real import run
from tests.releases import git
from tests.rendering import ANSWERS_FILE, ROOT

light, tmp_path = quick.light, quick.tmp_path
DEFAULTS = "ARGS=--defaults --quiet"
STARTER = "ARGS=--defaults --quiet --data preset=starter"


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory, checkout: Checkout) -> Checkout:
    """A clone of the checkout with a release, and with the tools that the checkout fetched."""
    folder = tmp_path_factory.mktemp("released") / "slipway"
    git(checkout.folder.parent, "clone", "--quiet", str(checkout.folder), str(folder))
    for fetched in (".tools", ".venv"):
        shutil.copytree(checkout.folder / fetched, folder / fetched, symlinks=True)
    git(folder, "tag", "1.0.0")
    return Checkout(folder)


def answers(folder: Path) -> dict[str, str]:
    recorded = yaml.safe_load((folder / ANSWERS_FILE).read_text("utf-8"))
    assert isinstance(recorded, dict)
    return recorded


def test_a_template_without_releases_is_noted(
    checkout: Checkout, tmp_path: Path
) -> None:
    done = checkout.new(str(tmp_path / "churn"), DEFAULTS)
    assert done.returncode == 0, done.stdout
    assert (checkout.folder / ".tools" / "bin" / "uv").exists()
    assert "no release yet" in done.stdout
    assert "cannot be updated until a release exists" in done.stdout
    assert answers(tmp_path / "churn")["preset"] == "standard"


def test_the_newest_release_is_rendered(released: Checkout, tmp_path: Path) -> None:
    (released.folder / "template" / "README.md.jinja").write_text("# Unreleased\n")
    done = released.new(str(tmp_path / "churn"), STARTER)
    assert done.returncode == 0, done.stdout
    recorded = answers(tmp_path / "churn")
    assert recorded["_commit"] == "1.0.0"
    assert recorded["_src_path"] == str(released.folder)
    assert f"records {released.folder} as its template" in done.stdout
    assert "Unreleased" not in (tmp_path / "churn" / "README.md").read_text()


def test_ref_head_renders_the_checkout(released: Checkout, tmp_path: Path) -> None:
    (released.folder / "template" / "README.md.jinja").write_text("# Unreleased\n")
    done = released.new(str(tmp_path / "churn"), STARTER, "REF=HEAD")
    assert done.returncode == 0, done.stdout
    assert (tmp_path / "churn" / "README.md").read_text() == "# Unreleased\n"
    assert "REF=HEAD is not a release" in done.stdout
    assert "cannot be updated" in done.stdout


def test_the_source_is_recorded_as_a_reachable_address(
    released: Checkout, tmp_path: Path
) -> None:
    fork = tmp_path / "fork"
    git(tmp_path, "clone", "--quiet", str(released.folder), str(fork))
    dest = released.folder.parent / "from-a-path"
    done = released.new(str(dest), STARTER, "FROM=../slipway")
    assert done.returncode == 0, done.stdout
    assert answers(dest)["_src_path"] == str(released.folder)
    done = released.new(str(tmp_path / "url"), STARTER, f"FROM=file://{fork}")
    assert done.returncode == 0, done.stdout
    assert answers(tmp_path / "url")["_src_path"] == f"git+file://{fork}"
    assert "as its template" not in done.stdout


def test_arguments_reach_copier_unchanged(released: Checkout, tmp_path: Path) -> None:
    name = 'Größe {{ x }} $HOME `a` "b" c\'s'
    dest = tmp_path / "an odd $place 'here'"
    arguments = shlex.join(["--defaults", "--data", f"project_name={name}"])
    done = released.new(str(dest), f"ARGS={arguments}")
    assert done.returncode == 0, done.stdout
    assert answers(dest)["project_name"] == name
    assert f"{name} is ready" in done.stdout
    step = next(line for line in done.stdout.splitlines() if line.startswith("  cd "))
    shown = subprocess.run(
        ["bash", "-c", f"{step} && pwd"], capture_output=True, text=True, check=True
    )
    assert shown.stdout == f"{dest}\n"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ([], "DEST is missing"),
        (["DEST=inside"], "inside the template's own checkout"),
        (["DEST={tmp}"], "is not empty"),
        (["DEST={tmp}/file"], "is a file"),
        (["DEST={new}", "DATA=none.csv", "TARGET=y"], "none.csv is not a file"),
        (["DEST={new}", "DATA={tmp}/file"], "needs the column to predict"),
        (["DEST={new}", "TARGET=churned"], "needs a table"),
        (["DEST={new}", "REF=9.9.9"], "Unknown revision: '9.9.9'"),
        (["DEST={new}", "FROM=../nowhere"], "neither an existing folder nor"),
        (["DEST={new}", "FROM=file:///nowhere.git"], "git cannot read"),
        (["DEST={new}", "ARGS=--data presett=starter"], "presett is not a question"),
        (["DEST={new}", "ARGS=--data preset"], "must have the form NAME=VALUE"),
        (["DEST={new}", "ARGS=-dpreset=big"], "'big' is not in ['starter'"),
        (["DEST={new}", "ARGS=--data-file none.yml"], "none.yml does not exist"),
        (["DEST={new}", "ARGS=--data project_name=Tests"], "'tests' is a folder"),
        (["DEST={new}", "ARGS=--vcs-ref HEAD"], "leave --vcs-ref out"),
    ],
)
def test_an_invalid_request_changes_nothing(
    released: Checkout, tmp_path: Path, settings: list[str], message: str
) -> None:
    (tmp_path / "file").write_text("mine\n")
    paths = {"tmp": str(tmp_path), "new": str(tmp_path / "new")}
    filled = [setting.format(**paths) for setting in settings] or ["DEST="]
    done = released.new(filled[0].removeprefix("DEST="), *filled[1:])
    assert done.returncode != 0
    assert message in done.stdout
    assert "Traceback" not in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert not (released.folder / "inside").exists()


def test_a_missing_tag_of_a_release_is_restored(
    checkout: Checkout, tmp_path: Path
) -> None:
    folder = tmp_path / "slipway"
    git(tmp_path, "clone", "--quiet", "--no-tags", str(checkout.folder), str(folder))
    for fetched in (".tools", ".venv"):
        shutil.copytree(checkout.folder / fetched, folder / fetched, symlinks=True)
    head = git(folder, "rev-parse", "HEAD").strip()
    (folder / releases.RELEASES).write_text(f"v0.1.0 {head}\n")
    done = Checkout(folder).new(str(tmp_path / "churn"), "ARGS=--defaults --quiet")
    assert done.returncode == 0, done.stdout
    assert "_commit: v0.1.0" in (tmp_path / "churn/.copier-answers.yml").read_text()
    assert "All tags are there" in run(folder, "make", "tags")


def test_a_project_can_start_in_an_empty_repository(
    released: Checkout, tmp_path: Path
) -> None:
    git(tmp_path, "init", "--quiet")
    done = released.new(str(tmp_path), STARTER)
    assert done.returncode == 0, done.stdout


def test_make_new_leaves_the_checkout_clean(checkout: Checkout) -> None:
    assert git(checkout.folder, "status", "--porcelain") == ""
    assert not (ROOT / "uv.lock").exists()
