"""Git, as the commands here call it."""

import os
import subprocess
from pathlib import Path

from slipway.refusal import Refusal


def git(folder: Path, *arguments: str) -> str:
    """What git says; its own words are the refusal where it fails."""
    done = subprocess.run(
        ["git", *arguments],
        check=False,
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        errors="replace",
    )
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        told = next((line for line in said if line.startswith("fatal: ")), said[-1:])
        sentence = told if isinstance(told, str) else "".join(told)
        raise Refusal(f"git {arguments[0]}: {sentence.removeprefix('fatal: ')}")
    return done.stdout


def environment() -> dict[str, str]:
    """Git must fail where it would wait for a password that nobody types."""
    quiet = {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C.UTF-8"}
    return {"GIT_SSH_COMMAND": "ssh -o BatchMode=yes"} | os.environ | quiet


def listed(output: str) -> list[str]:
    """The paths in what git prints with -z."""
    return [path for path in output.split("\0") if path]
