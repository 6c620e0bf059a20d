"""A template with real releases, and a project that follows them through git."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import copier

from tests.rendering import ROOT, Tree, tree


def git(folder: Path, *arguments: str) -> str:
    """Run git; its output."""
    done = subprocess.run(
        ["git", *arguments], check=False, cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


class Template:
    """This template in a repository of its own, where every release has a tag."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for part in ("hooks", "template"):
            shutil.copytree(ROOT / part, folder / part)
        shutil.copy(ROOT / "copier.yml", folder)
        git(folder, "init", "--quiet", "--initial-branch=main")

    def replace(self, path: str, old: str, new: str) -> None:
        """Change a text that must be there."""
        file = self.folder / path
        text = file.read_text("utf-8")
        assert old in text, f"{path} does not hold {old!r}"
        file.write_text(text.replace(old, new), "utf-8")

    def release(self, version: str) -> None:
        """Commit all there is, and tag it."""
        git(self.folder, "add", "--all")
        git(self.folder, "commit", "--quiet", "--allow-empty", "--message", version)
        git(self.folder, "tag", version)


class Follower:
    """A project in a repository, made from a template's newest release."""

    def __init__(self, template: Template, folder: Path, **answers: str) -> None:
        self.folder = folder
        copier.run_copy(
            str(template.folder), folder, answers, defaults=True, quiet=True
        )
        git(folder, "init", "--quiet", "--initial-branch=main")
        self.commit("made")

    def commit(self, message: str) -> None:
        git(self.folder, "add", "--all")
        git(self.folder, "commit", "--quiet", "--message", message)

    def update(
        self, answers: Mapping[str, str] | None = None, trust: bool = False
    ) -> None:
        """As `copier update --defaults` does, with --trust only where it is given."""
        copier.run_update(
            self.folder,
            dict(answers or {}),
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
