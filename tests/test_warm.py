"""The Python that starts warm does what one that starts cold does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import quick
from tests.releases import Template, git
from tests.rendering import Tree, tree

light, python, tmp_path = quick.light, quick.python, quick.tmp_path
SCRIPT = """
import os, sys
import beside
print("out", sys.argv[1:], os.getcwd(), os.environ.get("SAID"), sys.stdin.read())
print("Größe", file=sys.stderr)
sys.exit({end})
"""


def both(
    folder: Path, *arguments: str, **environment: str
) -> list[tuple[int, str, str]]:
    """The exit code and all that is said, by either Python."""
    done = []
    for program in (quick.COLD, sys.executable):
        found = subprocess.run(
            [program, *arguments],
            check=False,
            cwd=folder,
            env={**os.environ, **environment},
            input="asked",
            capture_output=True,
            text=True,
        )
        done.append((found.returncode, found.stdout, found.stderr))
    return done


@pytest.mark.parametrize("end", ["", "0", "3", "'a reason'", "None", "not_there"])
def test_a_script_says_and_ends_the_same(tmp_path: Path, end: str) -> None:
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "beside.py").touch()
    (tmp_path / "tools" / "script.py").write_text(SCRIPT.format(end=end), "utf-8")
    cold, warm = both(tmp_path, "tools/script.py", "a", "b c", SAID="yes")
    assert cold[:2] == warm[:2]
    assert f"out ['a', 'b c'] {tmp_path} yes asked" in str(warm[1])
    # A traceback that nothing catches has other lines above the script's own.
    assert str(cold[2]).splitlines()[-1] == str(warm[2]).splitlines()[-1]


@pytest.mark.parametrize(
    "arguments", [(), ("--data", "licence=none"), ("--vcs-ref", "7.0.0")]
)
def test_copier_does_the_same(
    tmp_path: Path, arguments: tuple[str, ...], default_gitconfig: object
) -> None:
    template = Template(tmp_path / "template")
    template.release("1.0.0")
    command = ["-W", "ignore", "-m", "copier", "copy", "--defaults", "--quiet"]
    command += ["--data", "project_name=Churn", *arguments, str(template.folder)]
    made: list[tuple[int, list[str], Tree]] = []
    for program in (quick.COLD, sys.executable):
        project = tmp_path / f"project-{len(made)}"
        done = subprocess.run(
            [program, *command, str(project)],
            check=False,
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        last = done.stderr.strip().splitlines()[-1:]
        made.append((done.returncode, last, tree(project)))
    assert made[0] == made[1]
    assert (made[1][0] == 0) == (
        "7.0.0" not in arguments and "licence=none" not in arguments
    )


def test_copier_updates_the_same(tmp_path: Path, default_gitconfig: object) -> None:
    template = Template(tmp_path / "template")
    template.keep("README.md")
    template.release("1.0.0")
    template.replace("template/README.md.jinja", "\n\n", "\n\nA new line.\n\n")
    copy = ["-m", "copier", "copy", "--defaults", "--quiet"]
    copy += ["--data", "project_name=Churn", str(template.folder)]
    update = ["-W", "ignore", "-m", "copier", "update", "--defaults", "--quiet"]
    projects = [tmp_path / name for name in ("cold", "warm")]
    for project in projects:
        subprocess.run([sys.executable, *copy, str(project)], check=True)
        git(project, "init", "--quiet")
        git(project, "add", "--all")
        git(project, "commit", "--quiet", "--message", "made")
    template.release("1.1.0")
    made = []
    for program, project in zip((quick.COLD, sys.executable), projects, strict=True):
        subprocess.run([program, *update], check=True, cwd=project)
        files = {p: t for p, t in tree(project).items() if not p.startswith(".git/")}
        made.append((files, git(project, "status", "--porcelain")))
    assert made[0] == made[1]
    assert b"A new line." in made[1][0]["README.md"]
