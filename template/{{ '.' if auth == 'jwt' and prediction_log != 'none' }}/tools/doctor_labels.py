"""Find out whether tokens may label predictions of other callers because no role is asked for."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

CURE = "give the tokens that need it a role such as label, then set LABEL_ROLE=label where the service runs"


def check(project: Path) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield a finding as code, severity, path, message and cure."""
    file = project / ".env"
    lines = file.read_text("utf-8") if file.is_file() else ""
    names = {*os.environ, *re.findall(r"^\s*(?:export\s+)?(\w+)\s*=\s*[^\s#]", lines, re.MULTILINE)}
    if names & {"JWT_SECRET", "JWT_KEYS_URL"} and "LABEL_ROLE" not in names:
        what = "LABEL_ROLE is not set, so tokens of v0.2 and before and of other issuers may label"
        yield "early-labels", "warning", ".env", f"{what} predictions that other callers asked for", CURE
