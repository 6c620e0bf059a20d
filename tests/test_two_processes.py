"""Commands that change what several processes share, in two processes at once, on draws that differ each run."""

from pathlib import Path

from tests.checks import suite
from tests.drawn import PROVE, SEED
from tests.rendering import render_tree
from tests.tables.walking import ANSWERS, inside, run
from tests.trees import template

TEST = "tests/test_two_processes.py"
ROUNDS = 20 if PROVE else 4


def test_commands_at_once_lose_nothing(tmp_path: Path) -> None:
    answers = {**ANSWERS, "problem": "classification", "auth": "api_key"}
    files = {
        **render_tree(answers),
        TEST: inside("two_processes.py"),
        "tests/drawn.txt": f"{SEED} {ROUNDS}".encode(),
    }
    with suite.servers(template()) as free:
        problems = run(tmp_path / "run", files, TEST, free)
    assert not problems, "\n".join(problems)
