"""Find the keys that may label predictions of other callers because an earlier release made them."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

CURE = "keys revoke NAME, then keys add NAME, with --labels if it is to keep the right"


def check(project: Path) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield a finding as code, severity, path, message and cure."""
    path = setting(project, "KEYS") or "keys/keys.json"
    try:
        keys = json.loads((project / path).read_text("utf-8"))["keys"]
        # As in kit/access.py: earlier releases wrote UTC in another way.
        early = [key["name"] for key in keys if not key["since"].endswith("Z")]
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return  # there is none, or it is damaged, which the service says
    if early:
        who = f"{', '.join(early)} may label predictions that other callers asked for"
        yield "early-labels", "warning", path, f"{who}, as all keys of v0.2 and before", CURE


def setting(project: Path, name: str) -> str:
    """Return a setting of the environment or of .env; empty if it is not set."""
    file = project / ".env"
    lines = file.read_text("utf-8") if file.is_file() else ""
    found = re.findall(rf"^\s*(?:export\s+)?{name}\s*=\s*([^\s#]+)", lines, re.MULTILINE)
    return os.environ.get(name) or (found[-1].strip("\"'") if found else "")
