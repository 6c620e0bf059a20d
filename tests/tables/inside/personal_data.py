"""Canaries in every personal column: nothing that the project writes, serves, prints or logs may hold one.

Put among the tests of a project, whose command line it uses as an owner does.
"""

import io
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

ROOT = Path(__file__).parents[1]
PACKAGE = next(path.parent.name for path in ROOT.glob("src/*/kit"))
RUN = f"from {PACKAGE}.cli import run; run()"
SOURCES = {"table.csv", "raw.csv"}
ROWS = 240
PERSONAL: dict[str, list[str]] = {
    "email": [f"canary{n}@example.org" for n in range(12)],
    "lastname": [f"Canary-{n}" for n in range(8)],
    "customer": [f"Canary, Mrs. Ada {n}" for n in range(ROWS)],
    "phone": [f"+41 44 555 {n:02} 10" for n in range(60)],
    "account": [
        "DE89370400440532013000",
        "CH9300762011623852957",
        "GB29NWBK60161331926819",
    ],
    "home": [f"{n} Canary Road" for n in range(40)],
    "insured": [f"756.1234.5678.{n:02}" for n in range(50)],
    "birthday": [f"19{n:02}-02-03" for n in range(11, 90)],
}
"""Several values for each way of knowing a personal column: by its header, by the shape of its cells."""


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(ROOT)
    for name in ("STORE", "MLFLOW_TRACKING_URI", "DATA_URL", "API_KEY", "KEYS"):
        monkeypatch.delenv(name, raising=False)
    rng = np.random.default_rng(2)
    table = pd.DataFrame({"x": rng.normal(size=ROWS).round(3)})
    table["kind"] = rng.choice(["a", "b", "c"], ROWS)
    for name, values in PERSONAL.items():
        table[name] = [values[n % len(values)] for n in range(ROWS)]
    table["worth"] = np.where(
        table["x"] + (table["email"] < "canary5") > 0.3, "yes", "no"
    )
    table.to_csv("table.csv", index=False)
    return ROOT


def command(*arguments: str, code: int = 0) -> str:
    """All that a command of the project prints."""
    script = arguments[0].endswith(".py")
    done = subprocess.run(
        [sys.executable, *(() if script else ("-c", RUN)), *arguments],
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == code, done.stdout
    return done.stdout


@contextmanager
def service(log: Path) -> Iterator[str]:
    """The project's service as a process, which logs to a file."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", RUN, "serve"],
            env={**os.environ, "PORT": port},
            stdout=out,
            stderr=out,
        )
    try:
        address = f"http://127.0.0.1:{port}"
        for _ in range(200):
            if '"ready"' in asked(f"{address}/readyz"):
                break
            time.sleep(0.1)
        else:
            raise AssertionError(log.read_text())
        yield address
    finally:
        process.terminate()
        process.wait(20)


def asked(url: str, body: Any = None) -> str:
    """The answer to a request, whatever its status; empty while nothing listens."""
    key = [
        line.partition("=")[2]
        for line in Path(".env").read_text("utf-8").splitlines()
        if line.startswith("API_KEY")
    ]
    headers = {"Content-Type": "application/json", "X-API-Key": "".join(key)}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return f"{answer.status} {answer.read().decode()}"
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.read().decode()}"
    except OSError:
        return ""


def contents(root: Path) -> Iterator[tuple[str, str]]:
    """All that lies in the project, but for the table itself and for code; archives opened."""
    for path in sorted(root.rglob("*")):
        inside = path.relative_to(root).parts
        if not path.is_file() or path.name in SOURCES or inside[0] in ("tests", ".git"):
            continue
        content = path.read_bytes()
        if path.suffix == ".parquet":
            content = pd.read_parquet(path).to_csv().encode()
        yield str(path), content.decode("utf-8", "replace")
        if zipfile.is_zipfile(io.BytesIO(content)):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                for name in archive.namelist():
                    yield f"{path}/{name}", archive.read(name).decode(errors="replace")


def nothing_personal(where: str, text: str) -> None:
    found = [value for values in PERSONAL.values() for value in values if value in text]
    assert not found, f"{where} holds {found[:3]}"
    assert "canary" not in text.casefold(), where


def walk(said: list[str]) -> None:
    """Train, judge, promote, serve, log, export, with canaries in good and in bad requests."""
    said.append(command("train"))
    said.append(command("gate", "1"))
    said.append(command("promote", "1"))
    schema = yaml.safe_load(Path("schema.yaml").read_text("utf-8"))
    record: dict[str, Any] = {}
    for column in schema["columns"]:
        if column.get("input", True):
            record[column["name"]] = {"x": 1.0, "kind": "a"}.get(
                column["name"], PERSONAL.get(column["name"], [""])[0]
            )
    with service(Path("service.log")) as address:
        good = asked(f"{address}/predict", record)
        assert good.startswith("200"), good
        said.append(good)
        said.append(asked(f"{address}/predict/batch", {"records": [record, record]}))
        wrong = {**record, "kind": "z"}
        for name in record.keys() - {"kind"}:
            said.append(asked(f"{address}/predict", {**wrong, name: "canary"}))
            said.append(asked(f"{address}/predict", {**wrong, name: ["canary"]}))
        said.append(asked(f"{address}/predict", {**record, "other": "canary"}))
        said.append(asked(f"{address}/feedback", {"request_id": "1", "label": "yes"}))
        for path in ("openapi.json", "metrics", "model", "readyz", "docs"):
            said.append(asked(f"{address}/{path}"))
        time.sleep(1)
    command("export-log", "log.parquet")


def test_no_canary_is_written_served_printed_or_logged(here: Path) -> None:
    Path(".env").write_text(f"PII_KEY={'ab' * 32}\n", "utf-8")
    said = [command("tools/adopt.py", "table.csv", "--target", "worth")]
    text = Path("schema.yaml").read_text("utf-8")
    schema = yaml.safe_load(text)
    personal = {c["name"] for c in schema["columns"] if c.get("pii")}
    assert personal == PERSONAL.keys()
    params = yaml.safe_load(Path("params.yaml").read_text("utf-8"))
    params["split"]["folds"] = 2
    params["gate"] |= dict.fromkeys(("gain_over_dummy", "slice_gain"), -1e9)
    Path("params.yaml").write_text(yaml.safe_dump(params), "utf-8")
    walk(said)
    for where, content in [*contents(here), *(("an output", text) for text in said)]:
        nothing_personal(where, content)

    # Who somebody is decides now, and a text becomes a number.
    for column in schema["columns"]:
        if column["name"] == "email":
            column |= {"type": "category", "input": True, "allow_pii_input": True}
    Path("schema.yaml").write_text(yaml.safe_dump(schema), "utf-8")
    for path in ("store", "mlruns"):
        shutil.rmtree(path)
    Path("mlflow.db").unlink()
    walk(said)
    for where, content in [*contents(here), *(("an output", text) for text in said)]:
        nothing_personal(where, content)
