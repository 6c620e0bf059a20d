"""Find personal columns whose values the schema lists, here or in the model that serves."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import yaml

HERE = "write type: text and input: false instead of the list, then train and promote"
SERVED = "train and promote; then remove the folders of the versions that no service needs from the store"


def check(project: Path) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield a finding as code, severity, path, message and cure."""
    for column in listed(project / "schema.yaml"):
        what = f"{column} is personal, and its values are listed: train refuses it"
        yield "personal-values", "warning", "schema.yaml", what, HERE
    file = project / ".env"
    lines = file.read_text("utf-8") if file.is_file() else ""
    given = re.findall(r"^\s*(?:export\s+)?STORE\s*=\s*([^\s#]+)", lines, re.MULTILINE)
    store = os.environ.get("STORE") or (given[-1].strip("\"'") if given else "store")
    try:
        version = str(json.loads((project / store / "champion.json").read_text("utf-8"))["version"])
    except (OSError, ValueError, LookupError, TypeError):
        return  # nothing serves, or the file is damaged, which the service says
    path = Path(store, "versions", version, "schema.yaml")
    for column in listed(project / path):
        what = f"version {version}, which serves, holds the values of {column}, which is personal"
        yield "personal-values", "warning", str(path), what, SERVED


def listed(path: Path) -> list[str]:
    """Return the names of personal columns that list categories."""
    try:
        columns = yaml.safe_load(path.read_text("utf-8"))["columns"]
        return [str(c["name"]) for c in columns if c.get("pii") and c.get("categories")]
    except (OSError, ValueError, yaml.YAMLError, LookupError, TypeError, AttributeError):
        return []  # the project's own commands say what is wrong with it
