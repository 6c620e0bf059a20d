"""The whole life through the project's own commands: a real server, load, files scored, the notebook."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from conftest import ROOT, raw_table
from IPython.core.interactiveshell import InteractiveShell
from matplotlib import pyplot
from typer.testing import CliRunner

from fraud_watch import cli
from fraud_watch.kit import UserError, batch, train
from fraud_watch.kit.columns import Column, Columns
from fraud_watch.kit.predictor import Model
from fraud_watch.kit.schema import Schema
from fraud_watch.kit.settings import settings
from fraud_watch.kit.store import Store, open_model
from fraud_watch.kit.table import checked, columns_of
from fraud_watch.kit.task import answers

# The service without its parts: each of those has tests of its own.
BARE = f"""
import sys, types
from {cli.__package__} import cli
sys.modules["{cli.__package__}.kit.serve.parts"] = types.SimpleNamespace(parts=lambda _: [])
cli.serve()
"""


def call(*words: str, status: int = 0) -> str:
    result = CliRunner().invoke(cli.app, list(words))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == status, result.output
    return result.output


def post(url: str, content: object) -> dict[str, object]:
    request = urllib.request.Request(url, json.dumps(content).encode(), cli.headers())
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def champion(trained: train.Result) -> str:
    """The trained version, judged anew and promoted with the project's own commands."""
    call("gate", trained.version)
    call("promote")
    return trained.version


@pytest.fixture(scope="module")
def url(champion: str, project: Path) -> Iterator[str]:
    """A real server process on a free port; in the end it must stop cleanly when told to."""
    env = os.environ | {"PORT": "0"}
    with subprocess.Popen([sys.executable, "-c", BARE], env=env, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        said = []
        for line in server.stderr:
            said.append(json.loads(line)["message"])
            if "running on" in said[-1]:
                break
        assert f"version {champion} serves" in said
        yield said[-1].split()[3]
        server.send_signal(signal.SIGTERM)
        rest = server.communicate(timeout=20)[1]
    assert "Finished server process" in rest
    assert server.returncode in (0, -signal.SIGTERM)


def test_every_verb_explains_itself() -> None:
    listing = call("--help")
    for command in cli.app.registered_commands:
        name = command.name or command.callback.__name__.replace("_", "-")  # type: ignore[union-attr]
        assert name in listing
        assert "Usage" in call(name, "--help")


def test_the_verbs_of_a_first_day(project: Path, champion: str, tmp_path: Path, schema: Schema) -> None:
    assert "is there" in call("fetch")
    assert "rows fit schema.yaml" in call("check")
    assert "champion" in call("models")
    assert shlex.split(call("call"))[-1] == json.dumps(schema.example(), ensure_ascii=False)
    rows = tmp_path / "rows.parquet"
    pd.read_csv(project / "data" / "raw.csv", dtype=str).to_parquet(rows)
    assert f"scored by version {champion}" in call("score", str(rows), str(tmp_path / "out.parquet"))
    assert len(pd.read_parquet(tmp_path / "out.parquet")) == len(pd.read_parquet(rows))


def test_what_the_user_can_mend_is_said_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["", "check"])
    with pytest.raises(SystemExit, match="2"):
        cli.run()
    said = capsys.readouterr().err
    assert "params.yaml is missing" in said
    assert "Traceback" not in said


def test_online_answers_equal_offline_ones(url: str, champion: str, schema: Schema) -> None:
    records = schema.records(schema.sample(20, seed=21, missing=0.3))
    model = open_model(Store(settings().store).folder(champion))
    raw = model.raw(model.validated(records))
    offline = answers(schema, model.manifest.decision, raw, champion)
    for record, expected in zip(records, offline, strict=True):
        answer = post(f"{url}/predict", record)
        assert answer["prediction"] == pytest.approx(expected["prediction"])


def test_the_demo_ends_with_an_answer(
    champion: str, trained: train.Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it but the training, which is that of the other tests."""
    monkeypatch.setattr(train, "train", lambda *_: trained)
    bare = SimpleNamespace(parts=lambda _: [])
    monkeypatch.setitem(sys.modules, f"{cli.__package__}.kit.serve.parts", bare)
    said = call("demo")
    assert f"Version {champion} is the champion" in said
    assert f'"model_version": "{champion}"' in said


def test_the_service_stands_a_little_load(url: str) -> None:
    command = [sys.executable, "-m", "locust", "-f", str(ROOT / "tests" / "load" / "locustfile.py")]
    command += ["--headless", "--users", "5", "--spawn-rate", "50", "--run-time", "2s", "--host", url]
    told = subprocess.run([*command, "--json"], check=True, timeout=60, stdout=subprocess.PIPE)
    requests = json.loads(told.stdout)
    assert sum(request["num_requests"] for request in requests) > 5
    assert sum(request["num_failures"] for request in requests) == 0


def test_the_notebook_runs_from_top_to_bottom(project: Path) -> None:
    """In this process, whose imports it shares; a notebook's own would have to read them all again."""
    notebook = json.loads((ROOT / "notebooks" / "explore.ipynb").read_text(encoding="utf-8"))
    pyplot.switch_backend("agg")
    shell = InteractiveShell()  # type: ignore[no-untyped-call]
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            shell.run_cell("".join(cell["source"])).raise_error()  # type: ignore[no-untyped-call]
    assert pyplot.get_fignums()
    pyplot.close("all")


def test_the_demo_makes_its_own_table_where_there_is_one_to_make(
    project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "params.yaml").write_bytes((project / "params.yaml").read_bytes())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="put your table there"):
        call("fetch")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "demo.py").write_text("import sys\nopen(sys.argv[1], 'w').write('a,b')\n")
    assert "Making the demo's table" in call("fetch")
    assert (tmp_path / "data" / "raw.csv").read_text() == "a,b"
    params = (tmp_path / "params.yaml").read_text().replace("data/raw.csv", "SELECT 1")
    (tmp_path / "params.yaml").write_text(params)
    assert "names a query" in call("fetch")


@pytest.fixture
def model(published: Path) -> Model:
    return open_model(published)


@pytest.fixture
def source(schema: Schema, tmp_path: Path) -> Path:
    path = tmp_path / "in.parquet"
    raw_table(schema, 250).drop(columns=schema.target.header).to_parquet(path)
    return path


def score(model: Model, source: Path, output: Path) -> int:
    return batch.score_file(model, "7", source, output, tell=lambda _: None, chunk=100)


def test_every_row_gets_the_answer_that_the_service_gives(model: Model, source: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.parquet"
    assert score(model, source, output) == 250
    scored, rows = pd.read_parquet(output), pd.read_parquet(source)
    pd.testing.assert_frame_equal(scored[rows.columns], rows)
    assert set(scored["model_version"]) == {"7"}
    columns = columns_of(model.schema, checked(model.schema, rows, "in", target=False))
    records = model.schema.records(columns)
    online = model.answers([model.record.validate_json(json.dumps(record)) for record in records], "7")
    assert scored["prediction"].tolist() == pytest.approx([answer["prediction"] for answer in online])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.parquet", "out.parquet"]


def test_what_the_model_does_not_read_goes_through_as_it_is(
    model: Model, source: Path, tmp_path: Path
) -> None:
    """A whole number that a float cannot hold, with gaps in one chunk only, and a named index."""
    ids = pd.array([2**53 + n if n != 150 else pd.NA for n in range(250)], dtype="Int64")
    rows = pd.read_parquet(source).assign(id=ids).rename_axis("place")
    rows.to_parquet(source)
    assert score(model, source, tmp_path / "out.parquet") == 250
    scored = pd.read_parquet(tmp_path / "out.parquet")
    pd.testing.assert_frame_equal(scored[rows.columns], rows)


def test_a_chunk_that_is_written_otherwise_says_the_same(
    model: Model, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Text for numbers, dates and flags takes the long way; what fits as it is does not."""
    plain, rows = tmp_path / "plain.parquet", pd.read_parquet(source)
    columns = columns_of(model.schema, checked(model.schema, rows, "in", target=False))
    frame = pd.DataFrame(columns).rename(columns={c.name: c.header for c in model.schema.inputs})
    frame.to_parquet(plain)
    rows.astype("string").to_parquet(source)
    score(model, source, tmp_path / "long.parquet")
    monkeypatch.setattr(batch, "checked", None)
    score(model, plain, tmp_path / "short.parquet")
    said = [pd.read_parquet(tmp_path / f"{way}.parquet") for way in ("long", "short")]
    added = [name for name in said[0].columns if name not in rows.columns]
    pd.testing.assert_frame_equal(said[0][added], said[1][added])


def test_what_the_schema_forbids_is_refused_in_bulk_too(model: Model, schema: Schema) -> None:
    """Whatever can be wrong with a column is seen before the long way names it."""
    drawn = schema.sample(30, seed=4)
    for column in schema.inputs:
        good = drawn[column.name]
        wrong: list[list[object]] = [[None] * 30] if not column.nullable else []
        wrong += [np.full(30, limit + sign).tolist() for limit, sign in _beyond(column)]
        wrong += [["no such word"] * 30] if column.type == "category" else []
        assert batch._cells(column, pa.chunked_array([good])) is not None, column.name
        for cells in wrong:
            odd = pa.chunked_array([pa.array(cells, pa.array(good).type)])
            assert batch._cells(column, odd) is None, (column.name, cells[0])


def _beyond(column: Column) -> list[tuple[float, float]]:
    if column.type not in ("number", "integer", "boolean"):
        return []
    limits = ((column.min, -1.0), (column.max, 1.0))
    found = [(limit, sign) for limit, sign in limits if isinstance(limit, float)]
    found += [(0.0, 0.5)] if column.type != "number" else []
    return [*found, (np.inf, 0.0)]


def test_a_run_that_was_stopped_goes_on_where_it_was(
    model: Model, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, whole = tmp_path / "out.parquet", tmp_path / "whole.parquet"
    score(model, source, whole)
    scored: list[int] = []
    honest = Model.raw

    def stops_in_the_second_chunk(self: Model, columns: Columns) -> object:
        scored.append(1)
        if len(scored) == 2:
            raise KeyboardInterrupt
        return honest(self, columns)

    monkeypatch.setattr(Model, "raw", stops_in_the_second_chunk)
    with pytest.raises(KeyboardInterrupt):
        score(model, source, output)
    assert not output.exists()
    assert score(model, source, output) == 250
    assert len(scored) == 4, "the first of the three chunks is not scored twice"
    pd.testing.assert_frame_equal(pd.read_parquet(output), pd.read_parquet(whole))


def test_another_input_does_not_inherit_finished_chunks(
    model: Model, source: Path, schema: Schema, tmp_path: Path
) -> None:
    parts = tmp_path / ".out.parquet.parts"
    score(model, source, tmp_path / "old.parquet")
    batch._claim(parts, {"input": "another", "version": "7", "chunk": "100"})
    shutil.copyfile(tmp_path / "old.parquet", parts / "000000.parquet")
    assert score(model, source, tmp_path / "out.parquet") == 250
    assert len(pd.read_parquet(tmp_path / "out.parquet")) == 250


def test_a_row_that_does_not_fit_is_named_and_the_old_output_stays(
    model: Model, source: Path, schema: Schema, tmp_path: Path
) -> None:
    output = tmp_path / "out.parquet"
    score(model, source, output)
    before = output.read_bytes()
    rows = pd.read_parquet(source)
    column = next(c for c in schema.inputs if c.type in ("number", "category", "boolean", "integer"))
    rows[column.header] = rows[column.header].astype(object)
    rows.loc[180, column.header] = "nonsense"
    rows[column.header] = rows[column.header].astype(str)
    rows.to_parquet(source)
    with pytest.raises(UserError, match=rf"after row 100: column {column.name}, row 81: 'nonsense'"):
        score(model, source, output)
    assert output.read_bytes() == before


def test_what_is_no_parquet_file_is_refused(model: Model, tmp_path: Path) -> None:
    for source, output in (("in.csv", "out.parquet"), ("in.parquet", "in.parquet")):
        with pytest.raises(UserError, match=r"reads a \.parquet file and writes another"):
            score(model, tmp_path / source, tmp_path / output)
    with pytest.raises(UserError, match="is not there"):
        score(model, tmp_path / "in.parquet", tmp_path / "out.parquet")
    (tmp_path / "in.parquet").write_text("a,b")
    with pytest.raises(UserError, match="is not a Parquet file"):
        score(model, tmp_path / "in.parquet", tmp_path / "out.parquet")
