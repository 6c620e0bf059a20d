"""`make lock-images` writes what a real registry gives into the Dockerfile, or nothing."""

import io
import shutil
import socket
import subprocess
import sys
import tarfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.rendering import render_tree

from .engine import Engine

REGISTRY = "docker-registry"
CONFIGURATION = """\
version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""
DOCKERFILE = """\
FROM {uv} AS uv
FROM --platform=linux/amd64 {python} AS build
FROM build AS checked
COPY --from=uv /content /uv
FROM {python}
# FROM here on, nothing changes.
"""
Push = Callable[[str, str], str]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a registry of images, empty."""
    if shutil.which(REGISTRY) is None:
        pytest.skip(f"no {REGISTRY} on PATH: apt-get install {REGISTRY}")
    folder = tmp_path_factory.mktemp("registry")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = folder / "config.yml"
    settings.write_text(CONFIGURATION.format(folder=folder / "images", port=port))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [REGISTRY, "serve", str(settings)], stdout=log, stderr=log
        )
    try:
        for _ in range(100):
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
def push(engine: Engine, registry: str, tmp_path: Path) -> Iterator[Push]:
    """Put an image of one file under a name into the registry; gives its digest there."""
    made: list[str] = []

    def pushed(name: str, content: str) -> str:
        image = f"{registry}/{name}"
        archive = tmp_path / "image.tar"
        with tarfile.open(archive, "w") as tar:
            entry = tarfile.TarInfo("content")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content.encode()))
        engine.docker("import", str(archive), image)
        engine.docker("push", "--quiet", image)
        # The engine must ask the registry.
        engine.docker("image", "rm", "--force", image)
        made.append(image)
        repository, _, tag = name.rpartition(":")
        request = urllib.request.Request(
            f"http://{registry}/v2/{repository}/manifests/{tag}", method="HEAD"
        )
        request.add_header(
            "Accept", "application/vnd.docker.distribution.manifest.v2+json"
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return str(answer.headers["Docker-Content-Digest"])

    yield pushed
    for image in made:
        engine.try_docker("image", "rm", "--force", image)


@pytest.fixture
def lock(
    engine: Engine, tmp_path: Path
) -> Callable[[], subprocess.CompletedProcess[str]]:
    """What the Makefile's target runs, beside the Dockerfile."""
    tree = render_tree({"preset": "standard"})
    script = tmp_path / "lock_images.py"
    script.write_bytes(tree["tools/lock_images.py"])

    def run() -> subprocess.CompletedProcess[str]:
        (tmp_path / "docker").unlink(missing_ok=True)
        (tmp_path / "docker").symlink_to("/usr/bin/docker")
        environment = engine.environment
        environment["PATH"] = f"{tmp_path}:{environment['PATH']}"
        return subprocess.run(
            [sys.executable, script],
            check=False,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
        )

    return run


def test_digests_are_those_of_the_registry_and_follow_a_tag_that_moves(
    engine: Engine,
    registry: str,
    push: Push,
    lock: Callable[[], subprocess.CompletedProcess[str]],
    tmp_path: Path,
) -> None:
    uv, python = f"{registry}/tools/uv:0.13", f"{registry}/python:3.11"
    text = DOCKERFILE.format(uv=uv, python=python)
    (tmp_path / "Dockerfile").write_text(text)
    for content in ("one", "two"):
        first, second = push("tools/uv:0.13", f"uv {content}"), push(
            "python:3.11", content
        )
        done = lock()
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"{python} is {second}\n{uv} is {first}\n"
        pinned = DOCKERFILE.format(uv=f"{uv}@{first}", python=f"{python}@{second}")
        assert (tmp_path / "Dockerfile").read_text() == pinned
    # What is written is what an engine builds on.
    engine.docker(
        "build", "--tag", "pinned", "--file", str(tmp_path / "Dockerfile"), "."
    )
    engine.docker("image", "rm", "--force", "pinned")


def test_an_image_that_the_registry_lacks_changes_nothing(
    registry: str,
    push: Push,
    lock: Callable[[], subprocess.CompletedProcess[str]],
    tmp_path: Path,
) -> None:
    push("tools/uv:0.13", "uv")
    text = DOCKERFILE.format(
        uv=f"{registry}/tools/uv:0.13", python=f"{registry}/absent:1"
    )
    (tmp_path / "Dockerfile").write_text(text)
    done = lock()
    assert done.returncode == 1
    assert f"docker pull --quiet {registry}/absent:1" in done.stderr
    assert "The Dockerfile is as it was." in done.stderr
    assert (tmp_path / "Dockerfile").read_text() == text
