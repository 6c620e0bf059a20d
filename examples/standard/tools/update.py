# /// script
# requires-python = ">=3.11"
# dependencies = ["copier>=9.19,<10"]
# ///
"""Brings what the template learnt, or changes an answer: `make update`.

It checks before it begins, so that a refusal leaves all as it was, and lets Copier do the work. Then it locks
and tests, and says what came and what is left to do. Without make: `uv run tools/update.py --help`; uv may be
in .tools/bin.
"""

import argparse
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import doctor
import yaml
from doctor import ANSWERS, Origin, git, last_line

HERE = Path()
FIXED = {"made_for", "package_name", "problem", "project_slug"}
NEEDS_TRUST = 4
"""Copier's exit code where the template would run code of its own."""
EXPORTED = "requirements.txt"
BACK = "git reset --hard && git clean -d --force"
MARK = re.compile(rb"^(?=<{7} |\|{7} |={7}\r?$|>{7} )", re.MULTILINE)


class RefusedError(Exception):
    """Why nothing was begun, and what to do instead."""


@dataclass(frozen=True)
class Plan:
    """From which version and answers to which; the files that were edited, and what the template has then."""

    old: Origin
    new: Origin
    given: Mapping[str, str]
    edited: tuple[str, ...] = ()
    after: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def title(self) -> str:
        moved = self.old.version != self.new.version
        version = f"Slipway {self.old.version}" + (f" → {self.new.version}" if moved else "")
        return " with ".join([version, *([", ".join(self.words("="))] if self.given else [])])

    @property
    def branch(self) -> str:
        return "slipway/update-" + re.sub(r"[^\w.-]+", "-", "-".join([self.new.version, *self.words("-")]))

    def words(self, joint: str) -> list[str]:
        return [f"{name}{joint}{answer}" for name, answer in self.given.items()]


def origin() -> Origin:
    """What the project records, if nothing stands in the way of an update."""
    try:
        changes = git(HERE, "status", "--porcelain").splitlines()
    except OSError as error:
        raise RefusedError(f"without a repository nothing could be taken back; git says: {error}") from None
    if changes:
        some = ", ".join(line[3:] for line in changes[:3]) + " and more" * (len(changes) > 3)
        raise RefusedError(f"there is work that is not committed ({some}): commit it, or stash it")
    try:
        found = Origin.of(HERE)
        known = doctor.releases(found.source)
    except ValueError as error:
        raise RefusedError(f"{ANSWERS}: {error}; `make doctor` says how to mend that") from None
    except OSError as error:
        raise RefusedError(f"the template cannot be reached: {error}") from None
    if found.version not in known:
        what = f"{ANSWERS} records {found.version or 'no version'}, which is no release"
        raise RefusedError(f"{what}; `make doctor` says how to mend that")
    return found


def planned(to: str, given: Mapping[str, str]) -> Plan | None:
    """What is to happen, if nothing speaks against it; None where there is nothing to do."""
    old = origin()
    known = doctor.releases(old.source)
    to = to or (old.version if given else known[-1])
    # With a v before it or without: tags have it, and people leave it out.
    to = next((release for release in known if release.removeprefix("v") == to.removeprefix("v")), to)
    if to not in known:
        raise RefusedError(f"{to} is no release; the newest are {', '.join(known[-5:])}")
    if known.index(to) < known.index(old.version):
        raise RefusedError(f"{to} is older than {old.version}: updates only go forward, and git goes back")
    if fixed := sorted(FIXED & given.keys()):
        raise RefusedError(f"{fixed[0]} is fixed once a project exists: for another, make another project")
    given = {name: answer for name, answer in given.items() if str(old.answers.get(name)) != answer}
    if to == old.version and not given:
        return None
    return rehearsed(Plan(old, replace(old, version=to, answers={**old.answers, **given}), given))


def rehearsed(plan: Plan) -> Plan:
    """Render both beside the project: that shows what would be refused, and what would be lost."""
    try:
        before, after = doctor.render(HERE, plan.old), doctor.render(HERE, plan.new)
    except ValueError as error:
        raise RefusedError(f"the template does not take these answers: {error}") from None
    questions = {name for name in yaml.safe_load(after[ANSWERS]) if name[0] != "_"}
    if unknown := sorted(plan.given.keys() - questions):
        there = ", ".join(sorted(questions - FIXED))
        raise RefusedError(f"{unknown[0]} is no question; there are {there}")
    here = [path for path in sorted(before) if (HERE / path).is_file()]
    edited = [path for path in here if not doctor.same((HERE / path).read_bytes(), before[path])]
    if plan.given and (doomed := [path for path in edited if path not in after]):
        raise RefusedError(
            f"that removes what you have edited: {', '.join(doomed)}. Take along what you need of it, then "
            'make doctor ARGS="--restore FILE" for each, commit, and update again'
        )
    return replace(plan, edited=tuple(edited), after=after)


def bring(plan: Plan, trust: bool) -> None:
    """Let Copier do it. What git sees afterwards tells what it did: to Copier, a conflict is a success."""
    command = [sys.executable, "-W", "ignore", "-m", "copier", "update", "--defaults", "--quiet"]
    command += ["--conflict", "inline", "--vcs-ref", plan.new.version, *(["--trust"] if trust else [])]
    command += [word for answer in plan.words("=") for word in ("--data", answer)]
    done = subprocess.run(command, check=False, cwd=HERE, stderr=subprocess.PIPE, text=True)
    if done.returncode and git(HERE, "status", "--porcelain"):
        sys.exit(f"update: Copier stopped half way: {last_line(done.stderr)}\nTo go back: {BACK}")
    if done.returncode == NEEDS_TRUST:
        raise RefusedError(
            f"on the way to {plan.new.version}, code of the template moves files of yours: read what its "
            "changelog and hooks/migrate.py say of that, then make update TRUST=1"
        )
    if done.returncode:
        raise RefusedError(f"Copier says: {last_line(done.stderr)}")
    # As comments, the marks of a conflict leave make able to run `make doctor`.
    makefile = HERE / "Makefile"
    if any(each.path == makefile.name for each in doctor.unsettled(HERE)):
        makefile.write_bytes(MARK.sub(b"# ", makefile.read_bytes()))


def came(plan: Plan) -> Iterator[str]:
    """The answers and files that are not what they were, a line for each."""
    answers = Origin.of(HERE).answers
    for name in sorted({*answers, *plan.old.answers}):
        was, now = plan.old.answers.get(name, "(not asked)"), answers.get(name, "(not asked)")
        if was != now:
            yield f"- answer {name}: {was} → {now}"
    prefix = git(HERE, "rev-parse", "--show-prefix").strip()
    status = git(HERE, "status", "--porcelain", "-z", "--no-renames", "--untracked-files=all").split("\0")
    before = git(HERE, "ls-tree", "-r", "-z", "--name-only", "HEAD").split("\0")
    for state, path in sorted((line[:2], line[3:].removeprefix(prefix)) for line in status if line):
        now = (HERE / path).read_bytes() if (HERE / path).is_file() else None
        what = "removed" if now is None else "changed" if path in before else "added"
        what = "in conflict" if "U" in state or state in ("AA", "DD") else what
        # Edits that Copier could not carry over must not vanish without a word.
        lost = path in plan.edited and now == plan.after.get(path)
        yield f"- {what}: {path}" + f", without edits of yours: git show HEAD:./{path}" * lost


def changelog(plan: Plan) -> str:
    """What the template's changelog says of the versions on the way; nothing if it has none."""
    with TemporaryDirectory(prefix="slipway-") as folder:
        clone = ("clone", "--quiet", "--depth=1", "--branch", plan.new.version)
        git(HERE, *clone, "--", doctor.address(plan.new.source), folder)
        file = Path(folder, "CHANGELOG.md")
        parts = re.split(r"^(?=## )", file.read_text("utf-8") if file.is_file() else "", flags=re.MULTILINE)
    first, last = doctor.number(plan.old.version), doctor.number(plan.new.version)
    versions = [(doctor.RELEASE.search(part.partition("\n")[0]), part.strip()) for part in parts]
    return "\n\n".join(part for found, part in versions if found and first < doctor.number(found[0]) <= last)


def uv(*arguments: str) -> bool:
    """Whether uv does that in the project's environment, not in that of this tool."""
    environment = {name: text for name, text in os.environ.items() if name != "VIRTUAL_ENV"}
    command = [doctor.uv() or "uv", *arguments]
    return not subprocess.run(command, check=False, cwd=HERE, env=environment).returncode


def locked() -> bool:
    """Lock what came, and export it again where it was exported: as `make lock`, but nothing newer."""
    options = ("--locked", "--no-emit-project", "--no-emit-index-url", "--output-file", EXPORTED)
    return uv("lock", "--quiet") and (not Path(EXPORTED).is_file() or uv("export", "--quiet", *options))


def looked_after(plan: Plan) -> tuple[str, bool]:
    """Lock and test what came, and say all there is to say of it; whether nothing is left to do."""
    settled, tests = not any(doctor.unsettled(HERE)), "not run, as there are conflicts to settle first"
    if settled:
        print("Locking and testing …", flush=True)
        passed = locked() and uv("run", "--locked", "--quiet", "pytest", "--quiet")
        tests = "passed" if passed else "failed"
    found = doctor.examine(HERE)
    ails = [doctor.in_words(each) for each in found] or ["- Nothing to mend."]
    parts = ["What came:\n", *came(plan), "\nThe doctor says:\n", *ails, f"\nThe tests: {tests}."]
    if said := changelog(plan):
        parts += ["\nWhat the changelog says:\n", said]
    healthy = not any(each.severity == "error" for each in found)
    return "\n".join(parts), healthy and tests == "passed"


def commit(plan: Plan, text: str) -> None:
    """Commit all that came on a branch of its own, conflicts with their marks included."""
    git(HERE, "branch", plan.branch)
    # A switch would refuse where there are conflicts.
    git(HERE, "symbolic-ref", "HEAD", f"refs/heads/{plan.branch}")
    git(HERE, "add", "--all", ".")
    git(HERE, "commit", "--no-verify", "--cleanup=whitespace", "--message", plan.title, "--message", text)


def update(options: argparse.Namespace) -> bool:
    """Do it; whether nothing is left to do."""
    pairs = [pair.partition("=") for data in options.data for pair in shlex.split(data)]
    if wrong := [name for name, equals, _ in pairs if not equals]:
        raise RefusedError(f"{wrong[0]} is no answer: write name=answer, as in formatter=ruff")
    print("Checking …", flush=True)
    plan = planned(options.to, {name: answer for name, _, answer in pairs})
    if plan is None:
        print("Nothing to do: the project is where it should be.")
        return True
    if options.branch and git(HERE, "branch", "--list", plan.branch):
        raise RefusedError(f"there is a branch {plan.branch}: merge it, or delete it")
    print(f"{plan.title} …", flush=True)
    try:
        bring(plan, options.trust)
        text, well = looked_after(plan)
        if options.branch:
            commit(plan, text)
    except KeyboardInterrupt:
        sys.exit(f"\nupdate: stopped. To go back: {BACK}")
    print(f"\n{text}\n")
    if options.branch:
        print(f"All of it is committed on {plan.branch}.")
    else:
        first = "" if well else "First settle what is an error, until `make doctor` and `make test` pass.\n"
        print(f"{first}To keep it: git add --all && git commit --message '{plan.title}'\nTo go back: {BACK}")
    return well or options.branch


def main() -> None:
    parser = argparse.ArgumentParser(prog="make update", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--to", default="", metavar="VERSION", help="the release to go to; else the newest")
    parser.add_argument("--data", action="append", default=[], metavar="NAME=VALUE", help="change an answer")
    parser.add_argument("--trust", action="store_true", help="let code of the template move files")
    parser.add_argument("--branch", action="store_true", help="commit what comes on a branch of its own")
    try:
        well = update(parser.parse_args())
    except RefusedError as refusal:
        sys.exit(f"update: {refusal}.\nNothing was changed.")
    sys.exit(not well)


if __name__ == "__main__":
    main()
