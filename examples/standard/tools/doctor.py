# /// script
# requires-python = ">=3.11"
# dependencies = ["copier>=9.19,<10"]
# ///
"""Check this project against its template, and suggest fixes: `make doctor`. It needs nothing but uv."""

import argparse
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any, Self

import yaml

ANSWERS = ".copier-answers.yml"
OWNERS = "tools/owners.toml"
# A fork puts a number of its own behind upstream's three, as in v1.4.0.1.
RELEASE = re.compile(r"v?\d+(\.\d+)+")
SUPPORTED = 2  # minor versions: the newest, and those before it
MARKERS = re.compile(rb"^(?:# )?<{7} .*?^(?:# )?={7}\r?$.*?^(?:# )?>{7} ", re.MULTILINE | re.DOTALL)
WITHOUT_VALUE = re.compile(r"^\s*(?:export\s+)?(\w+)\s*=\s*(?:#.*)?$", re.MULTILINE)
ABBREVIATED = {"gh:": "https://github.com/", "gl:": "https://gitlab.com/", "git+": ""}

# Each code keeps its meaning for good: how severe it is, and the cure. Only errors fail.
CODES = {
    "missing-tool": ("error", "install {path}, and see that it is on PATH"),
    "no-repository": ("error", "git init && git add --all && git commit --message Start"),
    "conflict-marker": ("error", "keep the lines that should stay, remove the marks, then: git add {path}"),
    "rejected-hunk": ("error", "write what it says into the file that it is named after, then: rm {path}"),
    "unmerged": ("error", "write the file as it should be, then: git add {path} (or git rm {path})"),
    "setting-without-value": ("warning", "give it a value in {path}, or take the line out"),
    "stale-lock": ("error", "uv lock"),
    "no-answers": ("error", "take back a version that was whole: git log {path}; git checkout COMMIT {path}"),
    "source-unreachable": ("error", "mend the access; if the template moved, correct _src_path in {path}"),
    "unknown-version": ("error", "write the release that the project is nearest to as _commit into {path}"),
    "unsupported": ("warning", "make update"),
    "behind": ("warning", "make update"),
    "missing-file": ("error", 'make doctor ARGS="--restore {path}"'),
    "edited": ("warning", 'keep it, and updates merge; or: make doctor ARGS="--restore {path}"'),
}


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be."""

    code: str
    severity: str
    path: str
    message: str
    cure: str


def finding(code: str, path: str, message: str) -> Finding:
    severity, cure = CODES[code]
    return Finding(code, severity, path, message, cure.replace("{path}", path))


@dataclass(frozen=True)
class Origin:
    """What a project records: its template, the version that it follows, and its answers."""

    source: str
    version: str
    answers: Mapping[str, Any]

    @classmethod
    def of(cls, project: Path) -> Self:
        """As it is recorded; ValueError says what is wrong with the record."""
        try:
            recorded = yaml.safe_load((project / ANSWERS).read_text("utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            why = "is not there" if isinstance(error, FileNotFoundError) else "cannot be read"
            raise ValueError(f"the file of your answers {why}") from None
        if not isinstance(recorded, dict) or not recorded.get("_src_path"):
            raise ValueError("it does not say which template the project follows")
        answers = {name: answer for name, answer in recorded.items() if str(name)[:1] != "_"}
        return cls(str(recorded["_src_path"]), str(recorded.get("_commit", "")), answers)


def address(source: str) -> str:
    """A repository, as git calls it: Copier knows short ways to say one."""
    short = next(filter(source.startswith, ABBREVIATED), "")
    return os.path.expanduser(ABBREVIATED.get(short, "") + source.removeprefix(short))


@cache
def releases(source: str) -> tuple[str, ...]:
    """All releases of a template, the oldest first; OSError says why they cannot be had."""
    listing = git(Path(), "ls-remote", "--tags", "--refs", "--", address(source))
    return tuple(sorted(filter(RELEASE.fullmatch, re.findall("refs/tags/(.+)", listing)), key=number))


def number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.removeprefix("v").split(".")))


def git(folder: Path, *arguments: str) -> str:
    """What git says; OSError says why it does not."""
    # It must not wait for a password that nobody types.
    settings = {"GIT_SSH_COMMAND": "ssh -o BatchMode=yes"} | os.environ
    settings |= {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(["git", *arguments], check=False, cwd=folder, env=settings, capture_output=True)
    if done.returncode:
        said = done.stderr.decode(errors="replace")
        # Warnings may come first, and advice follows.
        fatal = re.search("^fatal: (.*)", said, re.MULTILINE)
        raise OSError(fatal[1] if fatal else said.partition("\n")[0])
    return done.stdout.decode(errors="replace")


def uv() -> str:
    """Where uv is: what runs this, on PATH, or where the Makefile puts it; empty if it is nowhere."""
    path = os.pathsep.join([os.environ.get("PATH", ""), ".tools/bin"])
    return os.environ.get("UV") or shutil.which("uv", path=path) or ""


@cache
def owners() -> dict[str, list[str]]:
    """The files that are not Slipway's alone, as patterns by owner; ValueError if the list cannot be read."""
    try:
        return tomllib.loads(Path(__file__).with_name("owners.toml").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"it cannot be read ({error})") from error


def owner(path: str) -> str:
    """The owner of a file: "yours", "shared" or "slipway"."""
    for name, patterns in owners().items():
        # A pattern alone would fit in deeper folders too.
        alike = (pattern for pattern in patterns if pattern.count("/") == path.count("/"))
        if any(map(PurePosixPath(path).match, alike)):
            return name
    return "slipway"


def render(project: Path, origin: Origin) -> dict[str, bytes]:
    """Every file that the template makes of the answers; ValueError says why it makes none."""
    with TemporaryDirectory(prefix="slipway-") as scratch:
        answers, made = Path(scratch, "answers.yml"), Path(scratch, "project")
        answers.write_text(yaml.safe_dump(dict(origin.answers)), "utf-8")
        command = [sys.executable, "-W", "ignore", "-m", "copier", "copy", "--defaults", "--quiet"]
        command += ["--vcs-ref", origin.version, "--data-file", str(answers), "--", origin.source, str(made)]
        done = subprocess.run(command, check=False, cwd=project, capture_output=True, text=True)
        if done.returncode:
            raise ValueError(last_line(done.stderr))
        return {p.relative_to(made).as_posix(): p.read_bytes() for p in made.rglob("*") if p.is_file()}


def last_line(text: str) -> str:
    """What a program said in the end, without colours."""
    return re.sub(r"\x1b\[\d*m", "", text).strip().rpartition("\n")[2].removeprefix("ValueError: ")


def same(one: bytes, other: bytes) -> bool:
    """Whether two contents differ in nothing but how lines end."""
    return one.replace(b"\r\n", b"\n") == other.replace(b"\r\n", b"\n")


def examine(project: Path, *, network: bool = True) -> list[Finding]:
    """Find all that is wrong with a project. Without the network, nothing is compared with the template."""
    missing = [tool for tool, found in (("git", shutil.which("git")), ("uv", uv())) if not found]
    found = [finding("missing-tool", tool, f"{tool} cannot be found") for tool in missing]
    if "git" not in missing:
        found += unsettled(project)
    found += [*settings(project), *contributed(project)]
    if "uv" not in missing and not {each.path for each in found} & {"pyproject.toml", "uv.lock"}:
        found += lock(project, network)
    try:
        origin = Origin.of(project)
    except ValueError as error:
        return [*found, finding("no-answers", ANSWERS, str(error))]
    if network and "git" not in missing:
        found += followed(project, origin, {each.path for each in found})
    return found


def unsettled(project: Path) -> Iterator[Finding]:
    """What an update or a merge left to be settled. In a Makefile the marks of a conflict are comments."""
    try:
        listed = git(project, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    except OSError:
        yield finding("no-repository", ".", "the project is in no git repository: nothing can be taken back")
        return
    unmerged = {e.partition("\t")[2] for e in git(project, "ls-files", "-z", "--unmerged").split("\0")}
    for path in sorted({*filter(None, listed.split("\0"))}):
        file = project / path
        if file.is_file() and MARKERS.search(file.read_bytes()):
            yield finding("conflict-marker", path, "two versions stand in it, between <<<<<<< and >>>>>>>")
        elif path in unmerged:
            yield finding("unmerged", path, "git has two versions of it and does not know which one to keep")
    # A list of what git ignores often names them.
    for path in git(project, "ls-files", "-z", "--cached", "--others", "--", "*.rej").split("\0"):
        if path:
            yield finding("rejected-hunk", path, "it holds a change that could not be put into its file")


def settings(project: Path) -> Iterator[Finding]:
    file = project / ".env"
    for name in WITHOUT_VALUE.findall(file.read_text("utf-8")) if file.is_file() else ():
        yield finding("setting-without-value", ".env", f"{name} is set to nothing, which is not its default")


def contributed(project: Path) -> Iterator[Finding]:
    """Run the checks that options bring: `check` in each doctor_*.py next to this file."""
    for file in sorted(Path(__file__).parent.glob("doctor_*.py")):
        with suppress(SyntaxError):  # it is in conflict, which is a finding already
            yield from (Finding(*found) for found in runpy.run_path(str(file))["check"](project))


def lock(project: Path, network: bool) -> Iterator[Finding]:
    if not (project / "uv.lock").is_file():
        yield finding("stale-lock", "uv.lock", "there is no lock, so each installation differs")
        return
    command = [uv(), "lock", "--check", *(() if network else ("--offline",))]
    done = subprocess.run(command, check=False, cwd=project, capture_output=True, text=True)
    # Any other failure is one of the network, or says more than that the lock is old.
    if "needs to be updated" in done.stderr:
        yield finding("stale-lock", "uv.lock", "it does not fit pyproject.toml")
    elif done.returncode and network:
        yield finding("stale-lock", "uv.lock", f"uv cannot say whether it fits: {last_line(done.stderr)}")


def followed(project: Path, origin: Origin, told: Collection[str]) -> Iterator[Finding]:
    """What comparing with the template shows, but for files that something was told of."""
    try:
        known = releases(origin.source)
    except OSError as error:
        yield finding("source-unreachable", ANSWERS, f"the template cannot be reached: {error}")
        return
    if origin.version not in known:
        yield finding("unknown-version", ANSWERS, f"{origin.version or 'no version'} is no known release")
        return
    newer, now = known[known.index(origin.version) + 1 :], f"the project follows {origin.version}"
    supported = sorted({number(release)[:2] for release in known})[-SUPPORTED:]
    if number(origin.version)[:2] < supported[0]:
        yield finding("unsupported", ANSWERS, f"{now}, which gets no fixes any more; {newer[-1]} is there")
    elif newer:
        yield finding("behind", ANSWERS, f"{now}, and {newer[-1]} is there")
    try:
        owners()
    except ValueError as error:
        if OWNERS not in told:
            yield finding("missing-file", OWNERS, f"{error}, so no file is compared with the template")
        return
    try:
        rendered = render(project, origin)
    except ValueError as error:
        yield finding("no-answers", ANSWERS, f"the template makes nothing of it: {error}")
        return
    for path in sorted(rendered.keys() - {ANSWERS, *told}):
        file = project / path
        if owner(path) != "slipway":
            continue
        if not file.is_file():
            yield finding("missing-file", path, "your answers give it, and it is not there")
        elif not same(file.read_bytes(), rendered[path]):
            yield finding("edited", path, "it is Slipway's, and differs from what your answers give")


def restore(project: Path, path: str) -> None:
    """Write a file as the answers give it; ValueError says why it cannot be."""
    rendered = render(project, Origin.of(project))
    if path not in rendered or (path != OWNERS and owner(path) == "yours"):
        raise ValueError(f"{path} is none of the files that Slipway gives this project and keeps up to date")
    (project / path).parent.mkdir(parents=True, exist_ok=True)
    (project / path).write_bytes(rendered[path])


def in_words(found: Finding) -> str:
    """A finding in words, for a terminal as for a page."""
    return f"- {found.path}: {found.message} ({found.code}, {found.severity})\n  Fix: {found.cure}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="make doctor", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print version, newest, findings as JSON")
    parser.add_argument("--offline", action="store_true", help="compare nothing with the template")
    parser.add_argument("--restore", metavar="FILE", help="first write this file of Slipway's as it was")
    options, project, version, newest = parser.parse_args(), Path(), "", ""
    with suppress(ValueError, OSError, IndexError):
        version = Origin.of(project).version
        newest = "" if options.offline else releases(Origin.of(project).source)[-1]
    try:
        if options.restore:
            restore(project, options.restore)
    except ValueError as error:
        sys.exit(f"doctor: {error}")
    found = examine(project, network=not options.offline)
    if options.json:
        findings = [asdict(each) for each in found]
        print(json.dumps({"version": version, "newest": newest, "findings": findings}, indent=2))
    else:
        print(f"Slipway {version or 'of no known version'}; newest: {newest or 'not known'}.")
        print(*map(in_words, found), f"Findings: {len(found)}." if found else "Nothing to mend.", sep="\n")
    sys.exit(any(each.severity == "error" for each in found))


if __name__ == "__main__":
    main()
