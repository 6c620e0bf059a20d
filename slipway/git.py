"""Run git without ever waiting for input."""

import os
import subprocess
from pathlib import Path

from slipway.errors import UserError


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder and return its output; raise `UserError` with git's own message if it fails."""
    done = subprocess.run(
        ["git", *arguments],
        check=False,
        cwd=folder,
        env=git_environment(),
        capture_output=True,
        text=True,
        errors="replace",
    )
    if done.returncode:
        reason = _failure_reason(done.stderr.strip() or done.stdout.strip())
        raise UserError(f"git {arguments[0]}: {reason}")
    return done.stdout


def git_environment() -> dict[str, str]:
    """Return an environment in which git fails instead of asking for a password."""
    ssh = {"GIT_SSH_COMMAND": "ssh -o BatchMode=yes"}
    quiet = {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C.UTF-8"}
    return {**ssh, **os.environ, **quiet}


def split_paths(output: str) -> list[str]:
    """Return the paths that git printed with -z."""
    return [path for path in output.split("\0") if path]


def _failure_reason(output: str) -> str:
    """Return the line that explains the failure: the fatal one, else the last."""
    lines = output.splitlines()
    for line in lines:
        if line.startswith("fatal: "):
            return line.removeprefix("fatal: ")
    return lines[-1] if lines else ""
