"""A template with real releases in git, and a project that follows them."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, Self

import copier

from tests.manifests import PACKAGE
from tests.rendering import ANSWERS_FILE, ROOT, Tree, tree


def git(folder: Path, *arguments: str) -> str:
    """Run git, and return its output."""
    done = subprocess.run(
        ["git", *arguments], check=False, cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


MIGRATION = """\
_migrations:
  - version: %s
    when: "{{ _stage == 'before' }}"
    command: ["{{ _copier_python }}", "{{ _copier_conf.src_path }}/hooks/migrate.py"]
"""
COPIED_PATHS = ("copier.yml", "hooks", "template")
"""The parts of this repository that Copier reads."""
SHEETS = "{{ '.' if "
"""The start of the name of a folder whose files depend on an answer."""


def emitted_path(source: Path, template: Path) -> str:
    """Return the path in a project of a template's file, whatever the answers."""
    parts = source.relative_to(template / "template").parts
    path = "/".join(part for part in parts if not part.startswith(SHEETS))
    path = path.replace("{{ package_name }}", PACKAGE).removesuffix(".jinja")
    return path.replace("{{ _copier_conf.answers_file }}", ANSWERS_FILE)


class Template:
    """A copy of this template in a repository, where every release has a tag."""

    def __init__(self, folder: Path, root: Path = ROOT) -> None:
        self.folder = folder
        folder.mkdir()
        git(folder, "init", "--quiet", "--initial-branch=main")
        self.copy_from(root)

    def copy_from(self, root: Path) -> None:
        """Replace the template by another state of it, including uncommitted work."""
        settings, *folders = COPIED_PATHS
        for part in folders:
            shutil.rmtree(self.folder / part, ignore_errors=True)
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(root / part, self.folder / part, ignore=ignored)
        shutil.copy(root / settings, self.folder)

    def write(self, path: str, text: str) -> None:
        """Write a file of the template, and create its folders."""
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_text(text, "utf-8")

    def move(self, old: str, new: str) -> None:
        """Move a file of the template."""
        self.write(new, (self.folder / old).read_text("utf-8"))
        (self.folder / old).unlink()

    def keep(self, *paths: str) -> None:
        """Delete the files outside these paths, except for those that every project needs."""
        kept = (*paths, ".copier", ".gitignore", "pyproject.toml")
        for file in (self.folder / "template").rglob("*"):
            if file.is_file() and not emitted_path(file, self.folder).startswith(kept):
                file.unlink()

    @classmethod
    def at(cls, folder: Path) -> Self:
        """Return the template that exists in a folder."""
        template = cls.__new__(cls)
        template.folder = folder
        return template

    def replace(self, path: str, old: str, new: str) -> None:
        """Replace a text in a file, which must contain it."""
        file = self.folder / path
        text = file.read_text("utf-8")
        assert old in text, f"{path} does not contain {old!r}"
        file.write_text(text.replace(old, new), "utf-8")

    def migrate(self, version: str, steps: str) -> None:
        """Add a migration: its entry in copier.yml and its steps in hooks/migrate.py, as CONTRIBUTING.md shows."""
        settings = (self.folder / "copier.yml").read_text("utf-8")
        empty = "_migrations: []\n"
        header = empty if empty in settings else "_migrations:\n"
        self.replace("copier.yml", header, MIGRATION % version)
        end = "\n\nif __name__"
        self.replace("hooks/migrate.py", end, f"\n{steps.rstrip()}\n{end}")

    def release(self, version: str) -> None:
        """Commit and tag the current state."""
        git(self.folder, "add", "--all")
        git(self.folder, "commit", "--quiet", "--allow-empty", "--message", version)
        git(self.folder, "tag", version)


class Repository(Protocol):
    """Anything with the folder of a template."""

    @property
    def folder(self) -> Path: ...


class Follower:
    """A project in a repository, created from a template's newest release or from another ref."""

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
            # The default would be the name of the folder.
            {"project_name": "Churn model", **answers},
            vcs_ref=ref,
            defaults=True,
            quiet=True,
        )
        git(folder, "init", "--quiet", "--initial-branch=main")
        self.commit("Start")

    def commit(self, message: str) -> None:
        """Commit all changes."""
        git(self.folder, "add", "--all")
        git(self.folder, "commit", "--quiet", "--allow-empty", "--message", message)

    def update(
        self,
        answers: Mapping[str, str] | None = None,
        trust: bool = False,
        ref: str | copier.VcsRef | None = None,
    ) -> None:
        """Update as `copier update --defaults` does, with --trust only on request."""
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
        """Return the lines of `git status`, including conflicts, rejects and new files."""
        return git(self.folder, "status", "--porcelain").splitlines()

    def files(self) -> Tree:
        """Return every file outside .git."""
        files = tree(self.folder).items()
        return {
            path: content for path, content in files if not path.startswith(".git/")
        }

    def read(self, path: str) -> str:
        return (self.folder / path).read_text("utf-8")

    def append(self, path: str, text: str) -> None:
        (self.folder / path).write_text(self.read(path) + text, "utf-8")
