"""The whole life through the project's own commands: a real server, load, the notebook."""

import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from pathlib import Path

import pytest
from conftest import ROOT
from IPython.core.interactiveshell import InteractiveShell
from matplotlib import pyplot
from mlflow import MlflowException
from typer.main import get_command
from typer.testing import CliRunner

from fraud_watch import cli
from fraud_watch.kit import UserError, train
from fraud_watch.kit.schema import Schema
from fraud_watch.kit.serve import parts
from fraud_watch.kit.settings import Settings
from fraud_watch.kit.signing import SIGNATURE
from fraud_watch.kit.store import Champion, Store, open_model
from fraud_watch.kit.task import answers
from fraud_watch.kit.verbs import service

PATIENCE = 120
"""Seconds until a server must serve; a busy machine imports for long."""
BARE = f"from {cli.__package__}.kit.verbs.service import run_service; run_service(list)"
"""The service without its optional parts: each of those has tests of its own."""


@pytest.fixture(autouse=True)
def without_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in that process, so in this one."""
    monkeypatch.setattr(parts, "part_classes", list)


def call(*words: str, status: int = 0) -> str:
    result = CliRunner().invoke(cli.app, list(words))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == status, result.output
    return result.output


def post(url: str, content: object) -> dict[str, object]:
    request = urllib.request.Request(url, json.dumps(content).encode(), {"Content-Type": "application/json"})
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
    serves = f"version {champion} serves"
    with subprocess.Popen([sys.executable, "-c", BARE], env=env, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        watchdog = threading.Timer(PATIENCE, server.kill)
        watchdog.start()
        try:
            said: list[str] = []
            # On a busy machine, the model is opened after the port.
            while not (serves in said and any("running on" in text for text in said)):
                line = server.stderr.readline()
                assert line, f"the server ended, or did not serve within {PATIENCE} s; it said {said}"
                said.append(json.loads(line)["message"])
            watchdog.cancel()
            yield next(text for text in said if "running on" in text).split()[3]
            server.send_signal(signal.SIGTERM)
            rest = server.communicate(timeout=20)[1]
        finally:
            watchdog.cancel()
            server.kill()  # after a failure, nothing else would end it
    assert "Finished server process" in rest
    assert server.returncode in (0, -signal.SIGTERM)


def test_every_verb_explains_itself() -> None:
    listing = call("--help")
    for name in get_command(cli.app).commands:  # type: ignore[attr-defined]
        assert name in listing
        assert "Usage" in call(name, "--help")


def test_the_verbs_of_a_first_day(champion: str, schema: Schema) -> None:
    assert "is there" in call("fetch")
    assert "rows fit schema.yaml" in call("check")
    assert "champion" in call("models")
    assert shlex.split(call("call"))[-1] == json.dumps(schema.example(), ensure_ascii=False)


def test_sign_shows_what_is_unsigned_and_asks_first(champion: str) -> None:
    signature = Store(Settings().store).folder(champion) / SIGNATURE
    assert "All versions that may serve are signed already." in call("sign")
    signature.unlink()
    assert f"Version {champion} isn't signed" in call("sign", status=1)
    assert not signature.exists(), "nobody said yes"
    done = call("sign", "--yes")
    assert f"Signed version {champion} with signing/private.pem." in done
    assert "already" not in done
    kept = signature.read_bytes()
    signature.unlink()
    more = signature.with_name("more.skops")
    more.write_bytes(b"")
    try:
        with pytest.raises(UserError, match=f"version {champion} isn't signed: it can't be opened here"):
            call("sign", "--yes")
    finally:
        more.unlink()
        signature.write_bytes(kept)


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


def test_a_registry_that_fails_is_named_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    def fails(error: type[Exception]) -> None:
        raise error("the request failed\nand more of it")

    with pytest.raises(SystemExit, match="2"):
        cli.run(partial(fails, MlflowException))
    assert "✗ the registry failed: the request failed. Check MLFLOW_TRACKING_URI" in capsys.readouterr().err
    with pytest.raises(ValueError, match="and more"):
        cli.run(partial(fails, ValueError))


def test_a_verb_says_which_package_is_not_installed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.run(lambda: import_module("no_such_package.part"))
    assert "no_such_package is not installed here; " in capsys.readouterr().err
    with pytest.raises(ModuleNotFoundError):
        cli.run(lambda: import_module("fraud_watch.no_such_module"))


def test_a_port_that_is_taken_is_named_before_anything_is_printed(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("HOST", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        monkeypatch.setenv("PORT", str(port))
        with pytest.raises(SystemExit, match="3"):
            service.serve()
    printed = capsys.readouterr()
    assert printed.out == ""
    assert f"another program listens on 127.0.0.1:{port}. Stop it, or set PORT to a free port" in printed.err


def test_online_answers_equal_offline_ones(url: str, champion: str, schema: Schema) -> None:
    records = schema.records(schema.sample(20, seed=21, missing=0.3))
    model = open_model(Store(Settings().store).folder(champion))
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
    said = call("demo")
    assert f"Version {champion} is the champion" in said
    assert f'"model_version": "{champion}"' in said


def test_the_demo_goes_on_in_a_clone_without_the_private_key(
    project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def trained(*_: object) -> None:
        raise UserError("this is enough")

    for name in ("data", "params.yaml", "schema.yaml"):
        (tmp_path / name).symlink_to(project / name)
    (tmp_path / "signing").mkdir()
    shutil.copyfile(project / "signing" / "public.pem", tmp_path / "signing" / "public.pem")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(train, "train", trained)
    with pytest.raises(UserError, match="this is enough"):
        call("demo")
    text = (tmp_path / ".env").read_text(encoding="utf-8")
    served = Champion(version="1", manifest="0" * 64, since="now")
    monkeypatch.setattr(Store, "champion", lambda store: served)
    (tmp_path / ".env").unlink()
    with pytest.raises(UserError, match=r"the private key .* cannot be read"):
        call("demo")
    assert "SIGNING_PRIVATE_KEY=signing/mine/private.pem" in text


def test_the_service_stands_a_little_load(url: str) -> None:
    command = [sys.executable, "-m", "locust", "-f", str(ROOT / "tests" / "load" / "locustfile.py")]
    command += ["--headless", "--users", "5", "--spawn-rate", "50", "--host", url, "--json"]
    # Two seconds are plenty, but on a machine that is busy with other things.
    for seconds in (2, 10, 30):
        told = subprocess.run(
            [*command, "--run-time", f"{seconds}s"], check=True, timeout=90, stdout=subprocess.PIPE
        )
        requests = json.loads(told.stdout)
        assert sum(request["num_failures"] for request in requests) == 0
        answered = sum(request["num_requests"] for request in requests)
        if answered > 5:
            break
    assert answered > 5


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
