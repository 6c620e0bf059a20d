"""A skip is named, and where every real part must be there, it is a failure."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rendering import ROOT

IN_A_TEST = """
import pytest

def test_a_part():
    pytest.skip("no such part")
"""
IN_A_FILE = """
import pytest

pytest.skip("no such part", allow_module_level=True)
"""


@pytest.mark.parametrize("text", [IN_A_TEST, IN_A_FILE])
@pytest.mark.parametrize(("require_all", "status"), [("", 0), ("0", 0), ("1", 1)])
def test_a_skip_counts(
    tmp_path: Path, text: str, require_all: str, status: int
) -> None:
    (tmp_path / "test_part.py").write_text(text)
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", str(tmp_path)]
    done = subprocess.run(
        [*command, "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(tmp_path)],
        check=False,
        cwd=ROOT,
        env={**os.environ, "REQUIRE_ALL": require_all},
        stdout=subprocess.PIPE,
        text=True,
    )
    # Pytest's own status for a run without a test is 5.
    assert done.returncode in ({0, 5} if status == 0 else {1, 2}), done.stdout
    assert "no such part" in done.stdout
    assert ("REQUIRE_ALL is set" in done.stdout) == bool(status)
