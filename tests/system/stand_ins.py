"""Base images made on the spot, under the names that a Dockerfile gives.

No registry is asked: Debian's own Python stands in for `python:3.11-slim-bookworm`, and
the binary in uv's wheel for `ghcr.io/astral-sh/uv`. What only this machine needs, such as
its certificates, goes into these images and so never into a Dockerfile.
"""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from .engine import Engine

_DEBIAN_PYTHON = "python:3.11-slim-bookworm"
_UV = re.compile(r"ghcr\.io/astral-sh/uv:(?P<version>\d+\.\d+(\.\d+)?)")
_CERTIFICATES = Path("etc/ssl/certs/ca-certificates.crt")


def base_images(dockerfile: str) -> list[str]:
    """The images that a Dockerfile starts from, its own stages left out."""
    stages: set[str] = set()
    images: list[str] = []
    for line in dockerfile.splitlines():
        match line.split():
            case ["FROM", image, "AS", stage]:
                found = image
                stages.add(stage)
            case ["FROM", found]:
                pass
            case ["COPY", source, *_] if source.startswith("--from="):
                found = source.removeprefix("--from=")
            case _:
                continue
        if found not in stages and found not in images:
            images.append(found)
    return images


def provide(engine: Engine, image: str) -> None:
    """Make the stand-in for `image` unless the engine has it from an earlier session."""
    if engine.docker("image", "ls", "--quiet", image):
        return
    with tempfile.TemporaryDirectory(dir=engine.home) as folder:
        root = Path(folder) / "root"
        if image == _DEBIAN_PYTHON:
            _import(engine, _debian_python(root), image, _PYTHON_SETTINGS)
        elif uv := _UV.fullmatch(image):
            _import(engine, _uv(root, uv["version"]), image, ())
        else:
            raise ValueError(f"no stand-in can be made for the base image {image}")


_PYTHON_SETTINGS = (
    f"ENV SSL_CERT_FILE=/{_CERTIFICATES}",
    "ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin",
    'CMD ["python3"]',
)


def _debian_python(root: Path) -> Path:
    """Debian with the interpreter where the official image has it: /usr/local/bin."""
    packages = "ca-certificates,netbase,python3,tzdata"
    # What debootstrap mounts lives in a namespace of its own and ends with it.
    debootstrap = ["unshare", "--mount", "debootstrap", "--variant=minbase"]
    _run(*debootstrap, f"--include={packages}", "bookworm", str(root))
    for name in ("python", "python3", "python3.11"):
        (root / "usr/local/bin" / name).symlink_to("/usr/bin/python3.11")
    for archives in (root / "var/cache/apt/archives", root / "var/lib/apt/lists"):
        shutil.rmtree(archives)
    shutil.copy(Path("/") / _CERTIFICATES, root / _CERTIFICATES)
    return root


def _uv(root: Path, version: str) -> Path:
    """The image of uv holds nothing but its binaries, at the root."""
    target = root.with_name("wheel")
    wanted = f"uv=={version}" if version.count(".") == 2 else f"uv=={version}.*"
    _run("uv", "pip", "install", "--quiet", "--target", str(target), wanted)
    root.mkdir()
    for binary in ("uv", "uvx"):
        shutil.move(target / "bin" / binary, root / binary)
    return root


def _import(engine: Engine, root: Path, image: str, settings: tuple[str, ...]) -> None:
    archive = root.with_suffix(".tar")
    _run("tar", "--directory", str(root), "--create", "--file", str(archive), ".")
    changes = [part for setting in settings for part in ("--change", setting)]
    engine.docker("import", *changes, str(archive), image)


def _run(*command: str) -> None:
    done = subprocess.run(
        command,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        end = "\n".join(done.stdout.splitlines()[-20:])
        raise RuntimeError(f"{' '.join(command)} failed:\n{end}")
