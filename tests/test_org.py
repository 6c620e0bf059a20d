"""A fork's own face: what org.yml may say, and that all of it reaches projects and the matrix."""

import re
import shutil
import subprocess
import sys
import tomllib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

from tests import quick
from tests.checkout import today
from tests.organisation import ITS_OWN, complaints
from tests.releases import Follower, Template, git
from tests.rendering import (
    ANSWERS_FILE,
    QUESTIONS,
    ROOT,
    organisation,
    questions,
    render,
    settings,
)
from tests.trees import template

light, python, tmp_path = quick.light, quick.python, quick.tmp_path
(EXAMPLE,) = re.findall(
    r"^```yaml\n(.+?)^```$",
    (ROOT / "docs" / "forking.md").read_text("utf-8"),
    re.DOTALL | re.MULTILINE,
)


def restated(name: str, **other: Any) -> str:
    """A question of copier.yml as org.yml would say it."""
    return yaml.safe_dump({name: QUESTIONS[name] | other}, allow_unicode=True)


def said(folder: Path) -> dict[str, Any]:
    answers = yaml.safe_load((folder / ANSWERS_FILE).read_text("utf-8"))
    assert isinstance(answers, dict)
    return answers


# --- what it may say ---------------------------------------------------------------------


@pytest.mark.parametrize("org", [organisation(), EXAMPLE], ids=["ours", "example"])
@pytest.mark.parametrize("preset", ["starter", "standard"])
def test_what_an_organisation_says_works(org: str, preset: str, tmp_path: Path) -> None:
    assert not list(complaints(yaml.safe_load(org) or {}, settings()))
    answers = said(render(tmp_path, {"preset": preset}, org))
    assert answers.keys() >= questions(org).keys()
    assert list(questions(org)) == list(QUESTIONS)


@pytest.mark.parametrize(
    ("org", "sentence"),
    [
        (restated("problem", default="regression"), "problem must be the same in"),
        (
            restated("project_name", default="Ours"),
            "project_name must be the same in every fork",
        ),
        (
            restated("package_name", ask=True),
            "package_name must be the same in every fork",
        ),
        ("_subdirectory: ours\n", "_subdirectory: a setting of the template;"),
        ("_exclude: [/src/]\n", "_exclude: a setting of the template;"),
        ("mascot: {type: str, default: an otter}\n", "mascot is an unknown question"),
        ("container: docker\n", "container: copy the whole question"),
        ("container: {default: docker}\n", "container: type must be as in"),
        (
            restated("container", choices={"Podman": "podman"}),
            "does not support 'podman'",
        ),
        (restated("container", ask=True), "container: ask must be"),
        (restated("container", choices={}), "container: it must have choices"),
        (restated("container", when=False), "container: when must be as in"),
        (restated("base_image", validator=""), "base_image: validator must be"),
    ],
)
def test_what_it_must_not_contain_is_named(org: str, sentence: str) -> None:
    found = "\n".join(complaints(yaml.safe_load(org), settings()))
    assert sentence in found


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("package_index", "packages.example.com/simple", "without a password"),
        ("package_index", "https://ada:secret@example.com/simple", "without a pass"),
        ("package_index", 'https://example.com/"\n', "without a password"),
        ("base_image", "python:{python}\nRUN true", "an image name"),
        ("base_image", "python:$VERSION", "an image name"),
        ("uv_image", "uv:0.13 AS uv", "an image name"),
        ("uv_image", "", "an image name"),
    ],
)
def test_an_address_that_is_none_is_refused_wherever_a_project_is_made(
    tmp_path: Path, name: str, value: str, sentence: str
) -> None:
    org = restated(name, default=value, choices=[value])
    with pytest.raises(ValueError, match=sentence):
        render(tmp_path, {}, org)


@pytest.mark.parametrize("name", sorted(ITS_OWN))
def test_nobody_else_settles_what_is_the_organisations(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(ValueError, match="is not in"):
        render(tmp_path, {name: "https://elsewhere.example.com"})


# --- what comes of it ----------------------------------------------------------------------


def test_a_project_gets_what_the_organisation_settled(tmp_path: Path) -> None:
    project = render(tmp_path, {"preset": "starter", "python_version": "3.12"}, EXAMPLE)
    started = re.findall(
        "^FROM (.+?)(?: AS .*)?$", _read(project, "Dockerfile"), re.MULTILINE
    )
    image = "registry.example.com/python:3.12-slim-bookworm"
    assert started == ["registry.example.com/uv:0.13", image, image]
    assert tomllib.loads(_read(project, "pyproject.toml"))["tool"]["uv"]["index"] == [
        {
            "name": "organisation",
            "url": "https://packages.example.com/simple",
            "default": True,
        }
    ]
    assert not (project / "LICENSE").exists()
    with pytest.raises(ValueError, match="'MIT' is not in"):
        render(tmp_path, {"licence": "MIT"}, EXAMPLE)


def test_uv_asks_the_organisations_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("uv") is None:
        pytest.skip("no uv on PATH: pip install uv")
    asked: list[str] = []

    class Index(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    for name in ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), Index) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/simple"
        org = restated("package_index", default=address, choices=[address])
        project = render(tmp_path, {}, org)
        done = subprocess.run(
            ["uv", "lock", "--no-cache"],
            check=False,
            cwd=project,
            capture_output=True,
            text=True,
        )
        server.shutdown()
    assert "/simple/fastapi/" in asked
    assert "not found in the package registry" in done.stderr


def test_the_matrix_shrinks_with_it(tmp_path: Path) -> None:
    fork = today(tmp_path).folder
    (fork / "org.yml").write_text(EXAMPLE, "utf-8")
    command = [quick.COLD, "-m", "tests.checks", "count"]
    done = subprocess.run(command, check=True, cwd=fork, capture_output=True, text=True)
    number = int(done.stdout.split()[0])
    assert number == template(EXAMPLE).questions.count()
    # One licence instead of four, and always an image.
    assert number * 4 * 2 == template().questions.count()


# --- through Copier itself -----------------------------------------------------------------


def forked(upstream: Template, folder: Path) -> Template:
    """A clone of upstream, with all its tags, and a release of its own."""
    version = git(upstream.folder, "describe", "--tags").strip()
    git(folder.parent, "clone", "--quiet", str(upstream.folder), str(folder))
    (folder / "org.yml").write_text(EXAMPLE, "utf-8")
    fork = Template.at(folder)
    fork.release(f"{version}.1")
    return fork


@pytest.fixture
def upstream(tmp_path: Path, default_gitconfig: object) -> Template:
    upstream = Template(tmp_path / "upstream")
    upstream.keep("Dockerfile", "LICENSE", "Makefile", "README.md")
    upstream.release("1.0.0")
    return upstream


@pytest.fixture
def fork(upstream: Template, tmp_path: Path) -> Template:
    return forked(upstream, tmp_path / "fork")


def test_copy_and_update_know_it(fork: Template, tmp_path: Path) -> None:
    project = Follower(fork, tmp_path / "project", preset="starter")
    assert said(project.folder)["_commit"] == "1.0.0.1"
    assert said(project.folder)["container"] == "docker"
    fork.replace("org.yml", "registry.example.com", "images.example.com")
    fork.release("1.0.0.2")
    project.update()
    assert not [line for line in project.changed() if line[:2] != " M"]
    assert "FROM images.example.com/python:3.11" in project.read("Dockerfile")
    assert said(project.folder)["_commit"] == "1.0.0.2"


def test_a_checkout_that_is_not_committed_knows_it(
    fork: Template, tmp_path: Path
) -> None:
    fork.replace("org.yml", "registry.example.com", "images.example.com")
    project = tmp_path / "project"
    command = [sys.executable, "-W", "ignore", "-m", "copier", "copy", "--defaults"]
    command += ["--quiet", "--vcs-ref=HEAD", str(fork.folder), str(project)]
    subprocess.run(command, check=True, capture_output=True)
    assert said(project)["uv_image"] == "images.example.com/uv:0.13"


def test_a_template_without_it_works(upstream: Template, tmp_path: Path) -> None:
    assert not (upstream.folder / "org.yml").exists()
    project = Follower(upstream, tmp_path / "without")
    (upstream.folder / "org.yml").write_text("# nothing\n", "utf-8")
    upstream.release("1.1.0")
    project.update()
    assert project.changed() == [f" M {ANSWERS_FILE}"]


def test_a_project_moves_from_upstream_to_a_fork(
    upstream: Template, fork: Template, tmp_path: Path
) -> None:
    project = Follower(upstream, tmp_path / "project", preset="starter", licence="MIT")
    project.append("Makefile", "\nours:\n\ttrue\n")
    project.commit("ours")
    before = said(project.folder)
    answers = project.read(ANSWERS_FILE)
    moved = answers.replace(str(upstream.folder), str(fork.folder))
    (project.folder / ANSWERS_FILE).write_text(moved, "utf-8")
    project.commit("follow our fork")
    project.update()
    after = said(project.folder)
    assert after["_src_path"] == str(fork.folder)
    assert after["_commit"] == "1.0.0.1"
    settled = {name for name in before if before[name] != after[name]}
    assert settled - {"_src_path", "_commit"} == {"licence", "container", *ITS_OWN}
    assert project.read("Makefile").endswith("\nours:\n\ttrue\n")
    assert not [line for line in project.changed() if "U" in line[:2]]
    assert "FROM registry.example.com/python:3.11" in project.read("Dockerfile")
    project.commit("moved")
    project.update()
    assert not project.changed()


def _read(folder: Path, path: str) -> str:
    return (folder / path).read_text("utf-8")
