# /// script
# requires-python = ">=3.11"
# dependencies = ["copier>=9.19,<10"]
# ///
"""Update the project to a newer release, or change an answer: `make update`.

It checks before it begins, so that a refusal changes nothing, and lets Copier do the work. Then it locks and
tests, and says what changed and what to do. Without make: `uv run tools/update.py --help`; uv may be in
.tools/bin.
"""

import argparse
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import conflicts
import doctor
import yaml
from doctor import ANSWERS, Origin, git, last_line
from result import (
    HERE,
    Plan,
    RefusedError,
    commit,
    crossed,
    finishing,
    looked_after,
    marks_left,
    switch,
    touched,
    unmerged,
)

FIXED = {"made_for", "package_name", "problem", "project_slug"}
NEEDS_TRUST = 4
"""Copier's exit code where the template would run code of its own."""
BACK = "git reset --hard && git clean -d --force"
SETTLED = "Settle the conflicts of "


def origin() -> Origin:
    """What the project records, if nothing stands in the way of an update."""
    try:
        changes = git(HERE, "status", "--porcelain").splitlines()
    except OSError as error:
        raise RefusedError(f"without a repository nothing could be taken back; git says: {error}") from None
    if changes:
        if any(line.endswith(ANSWERS) for line in changes):
            raise RefusedError(
                f"an update is begun and not committed. To finish it: {finishing()}; to go back: {BACK}"
            )
        some = ", ".join(line[3:] for line in changes[:3]) + " and more" * (len(changes) > 3)
        raise RefusedError(
            f"there is work that is not committed ({some}): commit it, or stash it. If an update was "
            f"interrupted, go back instead: {BACK}"
        )
    if left := sorted({each.path for each in doctor.unsettled(HERE)}):
        first = f"settle the conflicts in {', '.join(left)} first, then"
        raise RefusedError(f"what came last is not finished: {first} {finishing()}")
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
    """Render both outside the project: that shows what would be refused, and what would be lost."""
    before, after = renderings(plan)
    questions = {name for name in yaml.safe_load(after[ANSWERS]) if name[0] != "_"}
    if unknown := sorted(plan.given.keys() - questions):
        there = ", ".join(sorted(questions - FIXED))
        raise RefusedError(f"{unknown[0]} is no question; there are {there}")
    here = {path: (HERE / path).read_bytes() for path in before if (HERE / path).is_file()}
    edited = edits(before, here)
    if plan.given and (doomed := [path for path in edited if path not in after]):
        raise RefusedError(
            f"that removes what you have edited: {', '.join(doomed)}. Take along what you need of it, then "
            'make doctor ARGS="--restore FILE" for each, commit, and update again'
        )
    return replace(plan, edited=tuple(edited), after=after)


def renderings(plan: Plan) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Render the project as its old version and answers give it, and the new ones."""
    try:
        return doctor.render(HERE, plan.old), doctor.render(HERE, plan.new)
    except ValueError as error:
        raise RefusedError(f"the template does not take these answers: {error}") from None


def edits(before: Mapping[str, bytes], here: Mapping[str, bytes]) -> list[str]:
    """List the files that are not as they were rendered."""
    known = sorted(before.keys() & here.keys())
    return [path for path in known if not doctor.same(here[path], before[path])]


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
    conflicts.name_sides(HERE, unmerged(), plan.new.version)


def recorded(commit: str) -> Origin:
    """Return what the project recorded in a commit; OSError and ValueError say why that cannot be read."""
    with TemporaryDirectory(prefix="slipway-") as folder:
        Path(folder, ANSWERS).write_text(git(HERE, "show", f"{commit}:./{ANSWERS}"), "utf-8")
        return Origin.of(Path(folder))


def begun() -> Plan:
    """Find the update that waits to be finished: in the files, or in a commit with marks (--branch)."""
    base = "HEAD"
    try:
        new = Origin.of(HERE)
        if recorded(base) == new:
            last = git(HERE, "log", "-1", "--format=%H", "--", ANSWERS).strip()
            base = f"{last}^"
            git(HERE, "grep", "--quiet", "-E", "^(# )?<{7} (yours|before updating)", last, "--", ".")
            later = git(HERE, "log", "--format=%s", f"{last}..HEAD").splitlines()
            if any(subject.startswith(SETTLED) for subject in later):
                raise ValueError
        old = recorded(base)
    except (OSError, ValueError):
        raise RefusedError(
            "there is no update to finish, neither in the files nor on this branch. If you committed one by "
            "hand: uv lock, make test, make doctor"
        ) from None
    both = old.answers.keys() & new.answers.keys()
    given = {name: str(new.answers[name]) for name in both if new.answers[name] != old.answers[name]}
    plan = Plan(old, new, given, base=base)
    before, after = renderings(plan)
    there = git(HERE, "ls-tree", "-r", "-z", "--name-only", base).split("\0")
    had = {path: git(HERE, "show", f"{base}:./{path}").encode() for path in {*touched(base)} & {*there}}
    return replace(plan, edited=tuple(edits(before, had)), after=after)


def finish(options: argparse.Namespace) -> bool:
    """Lock, test and commit an update whose conflicts are settled; whether nothing is left to do."""
    if options.to or any(options.data):
        raise RefusedError("FINISH goes on with the update that was begun: it takes neither TO nor DATA")
    plan = begun()
    if marks := list(marks_left(plan.base)):
        raise RefusedError("\n".join([f"settle these first, then again {finishing()}", *marks]))
    news = crossed(plan)
    committed = plan.base != "HEAD"
    if options.branch and not committed and git(HERE, "branch", "--list", plan.branch):
        raise RefusedError(f"there is a branch {plan.branch}: merge it, or delete it")
    print(f"{plan.title} …", flush=True)
    done = looked_after(plan, news)
    print(f"\n{done.text}\n")
    if not done.tested:
        print(f"Nothing is committed. Mend what fails, then again: {finishing()}")
        return False
    if options.branch and not committed:
        switch(plan.branch)
    title = SETTLED + plan.title if committed else plan.title
    if touched("HEAD") and not commit(title, done.text):
        sys.exit(f"update: git made no commit, and says why above. Mend that, then again: {finishing()}")
    print(f"All of it is committed on {git(HERE, 'branch', '--show-current').strip() or 'no branch'}.")
    return done.well


def take(options: argparse.Namespace) -> bool:
    """Keep one side of a hunk of a conflict."""
    file = HERE / options.file
    if options.take not in conflicts.SIDES:
        raise RefusedError(f"TAKE={options.take} is no side: it is one of {', '.join(conflicts.SIDES)}")
    if not file.is_file():
        raise RefusedError(
            f"there is no file {options.file}" if options.file else "say which file: FILE=README.md"
        )
    if options.hunk and not options.hunk.isdecimal():
        raise RefusedError(f"HUNK={options.hunk} is no number")
    number = int(options.hunk) if options.hunk else None
    try:
        version, comment = Origin.of(HERE).version, file.name == "Makefile"
        content = conflicts.taken(file.read_bytes(), options.take, number, version, comment)
    except ValueError as error:
        raise RefusedError(f"{options.file}: {error}") from None
    file.write_bytes(content)
    if rest := conflicts.hunks(content):
        there = ", ".join(f"{hunk.number} (line {hunk.start + 1})" for hunk in rest)
        print(f"{options.file}: kept {options.take}; its other hunks: {there}")
    else:
        git(HERE, "add", "--", options.file)
        print(f"{options.file}: kept {options.take}; no conflict is left in it.")
        print(f"When all are settled: {finishing()}")
    return True


def update(options: argparse.Namespace) -> bool:
    """Update; whether nothing is left to do."""
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
    news = crossed(plan)
    print(f"{plan.title} …", flush=True)
    try:
        bring(plan, options.trust)
        text, _, well = looked_after(plan, news)
        if options.branch:
            switch(plan.branch)
            well = commit(plan.title, text, "--no-verify")
    except KeyboardInterrupt:
        sys.exit(f"\nupdate: stopped. To go back: {BACK}")
    print(f"\n{text}\n")
    if options.branch:
        print(f"All of it is committed on {plan.branch}." if well else "Git made no commit.")
        return well
    if unmerged():
        print(f"First settle the conflicts. Then: {finishing()}\nTo go back: {BACK}")
    else:
        first = "" if well else "First settle what is an error, until `make doctor` and `make test` pass.\n"
        print(f"{first}To keep it: git add --all && git commit --message '{plan.title}'\nTo go back: {BACK}")
    return well


def main() -> None:
    parser = argparse.ArgumentParser(prog="make update", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--to", default="", metavar="VERSION", help="the release to go to; else the newest")
    parser.add_argument("--data", action="append", default=[], metavar="NAME=VALUE", help="change an answer")
    parser.add_argument("--trust", action="store_true", help="let code of the template move files")
    parser.add_argument("--branch", action="store_true", help="commit what comes on a branch of its own")
    parser.add_argument(
        "--finish", action="store_true", help="lock, test and commit once conflicts are settled"
    )
    parser.add_argument(
        "--take", default="", metavar="SIDE", help="keep yours, slipway or both of a conflict"
    )
    parser.add_argument("--file", default="", help="the file of --take")
    parser.add_argument(
        "--hunk", default="", metavar="NUMBER", help="the hunk of --take, if the file has several"
    )
    options = parser.parse_args()
    try:
        if (options.file or options.hunk) and not options.take:
            raise RefusedError("say which side to keep: TAKE=yours, TAKE=slipway or TAKE=both")
        well = (take if options.take else finish if options.finish else update)(options)
    except RefusedError as refusal:
        # A list needs no full stop, and would lend it to the command that it ends in.
        stop = "" if "\n" in str(refusal) else "."
        sys.exit(f"update: {refusal}{stop}\nNothing was changed.")
    except KeyboardInterrupt:
        sys.exit("\nupdate: stopped")
    sys.exit(not well)


if __name__ == "__main__":
    main()
