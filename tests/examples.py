"""Remake examples/, the projects that people can browse: `make examples`."""

import re
import shutil
import tempfile
from pathlib import Path

from tests.rendering import ANSWERS_FILE, ROOT, Tree, organisation, render, tree

FOLDER = ROOT / "examples"
ANSWERS = {
    preset: {
        "preset": preset,
        "project_name": "Fraud watch",
        "user_name": "Ada Example",
        "user_email": "ada@example.com",
        "github_user": "ada-example",
    }
    for preset in ("starter", "standard")
}
# Where it was rendered from says nothing about the template.
ORIGIN = re.compile(rb"^_(?:commit|src_path): .*\n", re.MULTILINE)


def remake(folder: Path) -> None:
    """Render every example below `folder`, in place of what is there."""
    for name, answers in ANSWERS.items():
        example = folder / name
        if example.exists():
            shutil.rmtree(example)
        recorded = render(example, answers, organisation()) / ANSWERS_FILE
        recorded.write_bytes(ORIGIN.sub(b"", recorded.read_bytes()))


def fresh() -> Tree:
    """What examples/ should hold."""
    with tempfile.TemporaryDirectory(prefix="slipway-examples-") as folder:
        remake(Path(folder))
        return tree(Path(folder))


if __name__ == "__main__":
    remake(FOLDER)
