"""Commands in two processes at once: nothing is lost, and the second one sees what the first one did.

Put among the tests of a project. Processes come from a server that has imported the libraries once, so that
they begin together.
"""

import json
import multiprocessing
import random
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

ROOT = Path(__file__).parents[1]
PACKAGE = next(path.parent.name for path in ROOT.glob("src/*/kit"))
SEED, ROUNDS = (
    int(part) for part in (ROOT / "tests" / "drawn.txt").read_text("utf-8").split()
)
PROCESSES = multiprocessing.get_context("forkserver")
LIBRARIES = [
    *("matplotlib.figure", "mlflow", "optuna", "pandera.pandas", "pyarrow.parquet"),
    *("sklearn.compose", "sklearn.ensemble", "sklearn.linear_model", "skops.io"),
]
SLOW = 0.05
"""Seconds between a decision and what follows from it: time enough for another process."""
VERSIONS = ("1", "2", "3")
ROWS = 600


def kit(module: str) -> Any:
    return import_module(f"{PACKAGE}.kit.{module}")


def at_once(*works: Callable[[], None]) -> None:
    """Run each in a process of its own; a traceback in any of them fails."""
    start = PROCESSES.Barrier(len(works))
    processes = [PROCESSES.Process(target=begin, args=(start, work)) for work in works]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * len(works)


def begin(start: Any, work: Callable[[], None]) -> None:
    start.wait(60)
    work()


def settled(work: Callable[[], object]) -> bool:
    """Whether a command did its work. One that refuses says so; anything else is a fault."""
    try:
        work()
    except import_module(f"{PACKAGE}.kit").UserError:
        return False
    return True


@pytest.fixture(autouse=True, scope="module")
def here() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        for name in ("STORE", "MLFLOW_TRACKING_URI", "DATA_URL", "KEYS", "API_KEY"):
            patch.delenv(name, raising=False)
        # Not the project itself: adopt changes its modules.
        PROCESSES.set_forkserver_preload(LIBRARIES)
        yield


def table(path: str, column: str) -> None:
    rng = np.random.default_rng(1)
    rows = pd.DataFrame({column: rng.normal(size=ROWS), "y": rng.normal(size=ROWS)})
    rows["worth"] = np.where(rows[column] > rows["y"] / 9, "yes", "no")
    rows.to_csv(path, index=False)


def adopted(path: str) -> None:
    move = shutil.move

    def slowly(*arguments: Any) -> Any:
        time.sleep(SLOW)
        return move(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shutil, "move", slowly)
        settled(lambda: import_module("adopt").adopt(ROOT, Path(path), "worth"))


def test_two_tables_are_not_mixed() -> None:
    for name in ("one", "other"):
        table(f"{name}.csv", name)
    for _ in range(3):
        at_once(partial(adopted, "one.csv"), partial(adopted, "other.csv"))
        schema = kit("schema").Schema.load(Path("schema.yaml"))
        kit("table").load(schema, "data/raw.csv")
        assert not list(ROOT.glob(".adopt-*"))


def keys_of(who: str) -> None:
    access, path = kit("access"), Path("keys", "keys.json")
    for number in range(10):
        access.add(path, f"{who}-{number}")
        if number % 3 == 0:
            access.revoke_key(f"{who}-{number}")


def test_no_key_is_lost_and_none_comes_back() -> None:
    at_once(partial(keys_of, "ann"), partial(keys_of, "ben"))
    names = {key.name for key in kit("access").load(Path("keys", "keys.json")).keys}
    assert names == {f"{who}-{n}" for who in ("ann", "ben") for n in range(10) if n % 3}


@pytest.fixture(scope="module")
def trained() -> None:
    """Three versions of a small model."""
    table("one.csv", "one")
    adopted("one.csv")
    for name in [n for n in sys.modules if n.split(".")[0] == PACKAGE]:
        del sys.modules[name]
    params = yaml.safe_load(Path("params.yaml").read_text("utf-8"))
    params["split"]["folds"] = 2
    params["model"] = {"name": "linear", "options": {}}
    params["gate"] |= dict.fromkeys(("gain_over_dummy", "slice_gain"), -1e9)
    Path("params.yaml").write_text(yaml.safe_dump(params), "utf-8")
    kit("evaluate").RESAMPLES = 3
    settings = kit("settings").Settings()
    for _ in VERSIONS:
        kit("train").train(
            kit("settings").Params.load(Path("params.yaml")),
            settings,
            lambda _: nullcontext(),
        )
    kit("registry").promote(settings, "1")


def changes(choices: Sequence[str]) -> None:
    """Promote a version, as somebody does who judged it just now, or roll back; note what the pointer became."""
    registry, store, settings = (
        kit("registry"),
        kit("store"),
        kit("settings").Settings(),
    )
    point = store.Store.point

    def noted(self: Any, version: str, before: tuple[str, ...]) -> Any:
        time.sleep(SLOW)
        champion = point(self, version, before)
        with Path("events.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps([version, list(before)]) + "\n")
        return champion

    store.Store.point = noted
    client = registry.connect(settings)
    for choice in choices:
        if choice == "back":
            settled(lambda: registry.roll_back(settings))
            continue
        champion = store.Store(settings.store).champion()
        registry.note_gate(client, choice, [], champion.version)
        settled(partial(registry.promote, settings, choice))


def test_promotions_and_rollbacks_follow_one_another(trained: None) -> None:
    chance = random.Random(SEED)
    store, seen = kit("store").Store(kit("settings").Settings().store), 0
    for _ in range(ROUNDS):
        before = store.champion()
        Path("events.jsonl").write_text("")
        works = [
            partial(changes, [chance.choice([*VERSIONS, "back"]) for _ in range(3)])
            for _ in range(2)
        ]
        at_once(*works)
        state = (before.version, [*before.before])
        for line in Path("events.jsonl").read_text("utf-8").splitlines():
            version, earlier = json.loads(line)
            promoted = earlier == [*state[1], state[0]] and version != state[0]
            rolled_back = [*earlier, version] == state[1]
            assert promoted or rolled_back, f"{state} became {(version, earlier)}"
            state = (version, earlier)
            seen += 1
        last = store.champion()
        assert (last.version, [*last.before]) == state
        store.open(last)
    assert seen > ROUNDS


def scored(version: str) -> None:
    store = kit("store").Store(kit("settings").Settings().store)
    model = store.open(store.champion())
    settled(
        lambda: kit("batch").score_file(
            model, version, Path("in.parquet"), Path("out.parquet"), lambda _: None, 50
        )
    )


def test_two_runs_to_one_output_leave_one_whole_output(trained: None) -> None:
    rows = pd.read_csv("data/raw.csv").drop(columns="worth")
    rows.to_parquet("in.parquet")
    for _ in range(3):
        at_once(partial(scored, "1"), partial(scored, "2"))
        found = pd.read_parquet("out.parquet")
        assert len(found) == ROWS
        assert found["model_version"].nunique() == 1
        assert not list(ROOT.glob(".out.parquet.parts*"))
