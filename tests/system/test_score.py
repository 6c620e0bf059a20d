"""Files are scored where only the groups serve and score are installed."""

import subprocess
from pathlib import Path

from tests.checkout import bare_environment

from .project import Project, with_store

ONLY = ("--no-default-groups", "--group", "serve", "--group", "score")
# In the project's own environment: the demo's rows, with the types of schema.yaml and as text.
ROWS = """
from {package}.kit import table
from {package}.kit.schema import Schema
from {package}.kit.settings import PARAMS, SCHEMA, Params
schema = Schema.load(SCHEMA)
rows = table.load(schema, Params.load(PARAMS).data.source)[[c.name for c in schema.inputs]]
rows.to_parquet("typed.parquet")
rows.astype("string").to_parquet("text.parquet")
print(len(rows))
"""


def run(
    project: Project, environment: Path, *words: str
) -> subprocess.CompletedProcess[str]:
    command = [str(environment / "bin" / words[0]), *words[1:]]
    return subprocess.run(
        command,
        check=False,
        cwd=project.folder,
        env=bare_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_what_only_training_needs_is_not_needed(
    trained: Project, tmp_path: Path
) -> None:
    project = with_store(tmp_path / "project", {"bulk": "parquet"}, trained)
    small = tmp_path / "environment"
    project.uv(
        *("sync", "--locked", "--quiet", *ONLY), UV_PROJECT_ENVIRONMENT=str(small)
    )
    assert run(project, small, "python", "-c", "import pandas").returncode
    project.cli("fetch")
    script = ROWS.format(package=project.package.name)
    made = run(project, project.folder / ".venv", "python", "-c", script)
    rows = int(made.stdout.splitlines()[-1])
    done = run(project, small, project.slug, "score", "typed.parquet", "out.parquet")
    assert f"{rows} rows scored by version 1 into out.parquet" in done.stdout

    for verb, said in (
        (
            ("score", "text.parquet", "out.parquet"),
            "has values or a type that schema.yaml does not allow",
        ),
        (("check",), "pandas is not installed here"),
    ):
        refused = run(project, small, project.slug, *verb)
        assert refused.returncode == 2
        assert said in refused.stdout
        assert "Traceback" not in refused.stdout
