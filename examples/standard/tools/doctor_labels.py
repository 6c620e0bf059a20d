"""Find the keys that may label predictions of other callers because an earlier release made them."""

import json
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

KEYS = "fraud-watch keys"


def check(project: Path) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield a finding as code, severity, path, message and cure."""
    path = setting(project, "KEYS") or "keys/keys.json"
    try:
        keys = json.loads((project / path).read_text("utf-8"))["keys"]
        # As in kit/access.py: earlier releases wrote UTC in another way.
        # A key for development is refused elsewhere, and this machine's own commands send it.
        early = [k["name"] for k in keys if not (k["since"].endswith("Z") or k.get("development"))]
        each = [f"{KEYS} revoke {name} && {KEYS} add {name}" for name in map(shlex.quote, early)]
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return  # there is none, or it is damaged, which the service says
    if early:
        who = f"{', '.join(early)} may label predictions that other callers asked for"
        cure = f"{'; '.join(each)} (with --labels, it keeps the right), and hand over the new keys"
        yield "early-labels", "warning", path, f"{who}, as all keys of v0.2 and before", cure


def setting(project: Path, name: str) -> str:
    """Return a setting of the environment or of .env; empty if it is not set."""
    file = project / ".env"
    lines = file.read_text("utf-8") if file.is_file() else ""
    found = re.findall(rf"^\s*(?:export\s+)?{name}\s*=\s*([^\s#]+)", lines, re.MULTILINE)
    return os.environ.get(name) or (found[-1].strip("\"'") if found else "")
