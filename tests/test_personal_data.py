"""Personal data stay out of what a project writes, serves, prints and logs; its own tests hold with some as inputs."""

from pathlib import Path

from tests.checks import suite
from tests.rendering import render_tree
from tests.tables.walking import ANSWERS, emitted, inside, run
from tests.trees import template

TEST = "tests/test_canaries.py"
PARTS = {
    "problem": "classification",
    "auth": "api_key",
    "limits": "memory",
    "prediction_log": "sqlite",
}


def test_no_value_of_a_personal_column_gets_out(tmp_path: Path) -> None:
    files = render_tree({**ANSWERS, **PARTS})
    mine = {**files, TEST: inside("personal_data.py")}
    with suite.servers(template()) as free:
        problems = [*run(tmp_path / "run", mine, TEST, free)]
        problems = problems or [
            *emitted(free, tmp_path / "run" / "project", files, tmp_path)
        ]
    assert not problems, "\n".join(problems)
