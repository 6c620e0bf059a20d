"""Base images made on the spot, under the names that a Dockerfile gives.

No registry is asked. Debian with its own Python, or with this machine's, stands in for
`python:*-slim-bookworm`; the binary in uv's wheel for `ghcr.io/astral-sh/uv`. What only
this machine needs, such as its certificates, goes into these images and so never into a
Dockerfile.
"""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from .engine import Engine

_DEBIAN_PYTHON = "python:3.11-slim-bookworm"
_PYTHON = re.compile(r"python:(?P<version>3\.\d+)-slim-bookworm")
_UV = re.compile(r"ghcr\.io/astral-sh/uv:(?P<version>\d+\.\d+(\.\d+)?)")
_CERTIFICATES = Path("etc/ssl/certs/ca-certificates.crt")
_PYTHON_SETTINGS = (
    f"ENV SSL_CERT_FILE=/{_CERTIFICATES}",
    "ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin",
    'CMD ["python3"]',
)


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


def interpreter(version: str) -> Path | None:
    """This machine's Python of that version: where pyenv keeps its own, or on PATH."""
    name = f"python{version}"
    pyenv = Path("~/.pyenv/versions").expanduser().glob(f"{version}.*/bin/{name}")
    for candidate in (*sorted(pyenv), shutil.which(name)):
        if candidate is not None:
            return Path(candidate).resolve()
    return None


def provide(engine: Engine, image: str) -> None:
    """Make the stand-in for `image` unless the engine has it from an earlier session."""
    if engine.docker("image", "ls", "--quiet", image):
        return
    with tempfile.TemporaryDirectory(dir=engine.home) as folder:
        scratch = Path(folder)
        if image == _DEBIAN_PYTHON:
            _import(engine, _debian_python(scratch / "root"), image, _PYTHON_SETTINGS)
        elif python := _PYTHON.fullmatch(image):
            provide(engine, _DEBIAN_PYTHON)
            _lay_over_debian(scratch, python["version"])
            engine.build(scratch, image)
        elif uv := _UV.fullmatch(image):
            _import(engine, _uv(scratch / "root", uv["version"]), image, ())
        else:
            raise ValueError(f"no stand-in can be made for the base image {image}")


def _debian_python(root: Path) -> Path:
    """Debian with the interpreter where the official image has it: /usr/local."""
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


def _lay_over_debian(context: Path, version: str) -> None:
    """A Dockerfile that puts this machine's interpreter in front of Debian's."""
    source = interpreter(version)
    if source is None:
        raise ValueError(f"no Python {version} here to make a base image of")
    prefix, local, name = source.parents[1], context / "local", f"python{version}"
    unused = shutil.ignore_patterns("site-packages", "test", "config-*", "__pycache__")
    shutil.copytree(prefix / "lib" / name, local / "lib" / name, ignore=unused)
    (local / "lib" / name / "site-packages").mkdir()
    for shared in (prefix / "lib").glob("libpython*.so*"):
        shutil.copy(shared, local / "lib")
    (local / "bin").mkdir()
    shutil.copy(source, local / "bin")
    for link in ("python", "python3"):
        (local / "bin" / link).symlink_to(name)
    (context / "Dockerfile").write_text(
        f"FROM {_DEBIAN_PYTHON}\nCOPY local /usr/local\nRUN ldconfig\n"
    )


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
