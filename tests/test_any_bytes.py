"""hypothesis on the two readers that strangers feed: `adopt`'s and a request's."""

from pathlib import Path

from tests.checks import suite
from tests.drawn import PROVE, SEED
from tests.rendering import render_tree
from tests.tables.walking import ANSWERS, inside, run
from tests.trees import template

TEST = "tests/test_any_bytes.py"
EXAMPLES = 1_000 if PROVE else 100


def test_any_bytes_are_read_or_refused(tmp_path: Path) -> None:
    files = {
        **render_tree(ANSWERS),
        TEST: inside("any_bytes.py"),
        "tests/drawn.txt": f"{SEED} {EXAMPLES}".encode(),
    }
    with suite.servers(template()) as free:
        problems = run(tmp_path / "run", files, TEST, free, more=["hypothesis"])
    assert not problems, "\n".join(problems)
