"""A template with real releases, and a project that follows them through git."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, Self

import copier

from tests.manifests import PACKAGE
from tests.rendering import ANSWERS_FILE, ROOT, Tree, tree


def git(folder: Path, *arguments: str) -> str:
    """Run git; its output."""
    done = subprocess.run(
        ["git", *arguments], check=False, cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


ENTRY = """\
_migrations:
  - version: %s
    when: "{{ _stage == 'before' }}"
    command: ["{{ _copier_python }}", "{{ _copier_conf.src_path }}/hooks/migrate.py"]
"""
PARTS = ("copier.yml", "hooks", "template")
"""What Copier reads of this repository."""


SHEETS = "{{ '.' if "


def emitted(source: Path, template: Path) -> str:
    """The path that a template's file makes in a project, whatever the answers."""
    parts = source.relative_to(template / "template").parts
    path = "/".join(part for part in parts if not part.startswith(SHEETS))
    path = path.replace("{{ package_name }}", PACKAGE).removesuffix(".jinja")
    return path.replace("{{ _copier_conf.answers_file }}", ANSWERS_FILE)


class Template:
    """This template in a repository of its own, where every release has a tag."""

    def __init__(self, folder: Path, root: Path = ROOT) -> None:
        self.folder = folder
        folder.mkdir()
        git(folder, "init", "--quiet", "--initial-branch=main")
        self.become(root)

    def become(self, root: Path) -> None:
        """Be another state of the template, uncommitted work included."""
        settings, *folders = PARTS
        for part in folders:
            shutil.rmtree(self.folder / part, ignore_errors=True)
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(root / part, self.folder / part, ignore=ignored)
        shutil.copy(root / settings, self.folder)

    def write(self, path: str, text: str) -> None:
        """Write a file of the template, be it new."""
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_text(text, "utf-8")

    def move(self, old: str, new: str) -> None:
        """Give a file of the template another path."""
        self.write(new, (self.folder / old).read_text("utf-8"))
        (self.folder / old).unlink()

    def keep(self, *paths: str) -> None:
        """Take out the files that make no part of these paths; what every project needs stays."""
        kept = (*paths, ".copier", ".gitignore", "pyproject.toml")
        for file in (self.folder / "template").rglob("*"):
            if file.is_file() and not emitted(file, self.folder).startswith(kept):
                file.unlink()

    @classmethod
    def at(cls, folder: Path) -> Self:
        """One that is there already."""
        template = cls.__new__(cls)
        template.folder = folder
        return template

    def replace(self, path: str, old: str, new: str) -> None:
        """Change a text that must be there."""
        file = self.folder / path
        text = file.read_text("utf-8")
        assert old in text, f"{path} does not hold {old!r}"
        file.write_text(text.replace(old, new), "utf-8")

    def migrate(self, version: str, steps: str) -> None:
        """Add steps to hooks/migrate.py, wired as CONTRIBUTING.md shows."""
        settings = (self.folder / "copier.yml").read_text("utf-8")
        none = "_migrations: []\n"
        first = none if none in settings else "_migrations:\n"
        self.replace("copier.yml", first, ENTRY % version)
        end = "\n\nif __name__"
        self.replace("hooks/migrate.py", end, f"\n{steps.rstrip()}\n{end}")

    def release(self, version: str) -> None:
        """Commit all there is, and tag it."""
        git(self.folder, "add", "--all")
        git(self.folder, "commit", "--quiet", "--allow-empty", "--message", version)
        git(self.folder, "tag", version)


class Repository(Protocol):
    """Where a template is."""

    @property
    def folder(self) -> Path: ...


class Follower:
    """A project in a repository, made from a template's newest release, or from another."""

    def __init__(
        self,
        template: Repository,
        folder: Path,
        ref: str | None = None,
        **answers: str,
    ) -> None:
        self.folder = folder
        copier.run_copy(
            str(template.folder),
            folder,
            # Its default is the name of the folder.
            {"project_name": "Churn model", **answers},
            vcs_ref=ref,
            defaults=True,
            quiet=True,
        )
        git(folder, "init", "--quiet", "--initial-branch=main")
        self.commit("made")

    def commit(self, message: str) -> None:
        git(self.folder, "add", "--all")
        git(self.folder, "commit", "--quiet", "--allow-empty", "--message", message)

    def update(
        self,
        answers: Mapping[str, str] | None = None,
        trust: bool = False,
        ref: str | copier.VcsRef | None = None,
    ) -> None:
        """As `copier update --defaults` does, with --trust only where it is given."""
        copier.run_update(
            self.folder,
            dict(answers or {}),
            vcs_ref=ref,
            defaults=True,
            overwrite=True,
            quiet=True,
            unsafe=trust,
        )

    def changed(self) -> list[str]:
        """The lines of `git status`: conflicts, rejects and new files included."""
        return git(self.folder, "status", "--porcelain").splitlines()

    def files(self) -> Tree:
        """Every file but git's own."""
        files = tree(self.folder).items()
        return {path: content for path, content in files if path[:5] != ".git/"}

    def read(self, path: str) -> str:
        return (self.folder / path).read_text("utf-8")

    def append(self, path: str, text: str) -> None:
        (self.folder / path).write_text(self.read(path) + text, "utf-8")
