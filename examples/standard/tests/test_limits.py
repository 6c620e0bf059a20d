"""Rate limits: a bucket for each caller, batches by their records, and what a caller is told."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from fastapi.testclient import TestClient

from fraud_watch.kit.serve import Refusal, limits
from fraud_watch.kit.serve.app import create_app
from fraud_watch.kit.serve.limits import Limits, Rate, too_often
from fraud_watch.kit.serve.part import Call
from fraud_watch.kit.settings import Settings

SLOW = Rate(rate_per_second=0.5, rate_burst=3)


class Clock:
    """A clock that stands until it is told."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(limits, "time", clock)
    return clock


def by(caller: str = "", client: str = "10.0.0.1", path: str = "/predict") -> Call:
    return cast(Call, SimpleNamespace(caller=caller, client=client, path=path))


def admitted(part: Limits, call: Call) -> int:
    """0, or the seconds to wait."""
    try:
        asyncio.run(part.admit(call))
    except Refusal as why:
        return int(why.headers["Retry-After"])
    return 0


def test_a_burst_then_a_steady_rate(clock: Clock) -> None:
    part = Limits(SLOW)
    assert [admitted(part, by("shop")) for _ in range(4)] == [0, 0, 0, 2]
    clock.now += 1
    assert admitted(part, by("shop")) == 1
    clock.now += 1
    assert [admitted(part, by("shop")) for _ in range(2)] == [0, 2]
    clock.now += 1000
    assert [admitted(part, by("shop")) for _ in range(4)] == [0, 0, 0, 2], "no more than a burst is saved up"


@pytest.mark.parametrize(("seconds", "said"), [(0.2, "1"), (1.0, "1"), (1.2, "2")])
def test_a_caller_is_not_sent_back_too_early(seconds: float, said: str) -> None:
    assert too_often(seconds).headers["Retry-After"] == said


def test_one_caller_does_not_take_from_another(clock: Clock) -> None:
    part = Limits(SLOW)
    for call in (by("shop"), by("bank"), by(client="10.0.0.1"), by(client="10.0.0.2")):
        assert [admitted(part, call) for _ in range(4)] == [0, 0, 0, 2]


def test_a_batch_is_charged_for_its_records(clock: Clock) -> None:
    part = Limits(SLOW)
    batch = by("shop", path="/predict/batch")
    assert admitted(part, batch) == 0
    part.answered(batch, b"", b'{"predictions":[' + b'{"model_version":"1"},' * 7 + b"]}")
    assert admitted(part, by("shop")) == 10, "four records more than the burst, and the next one"
    part.answered(by("bank"), b"", b'{"model_version":"1"}')
    assert [admitted(part, by("bank")) for _ in range(4)] == [0, 0, 0, 2]


def test_a_body_that_is_refused_is_charged_for_its_bytes(clock: Clock) -> None:
    part = Limits(SLOW)
    call = by("shop")
    assert admitted(part, call) == 0
    call.status, call.size = 200, 10_000
    part.ended(call)
    call.status, call.size = 422, 1_999
    part.ended(call)
    assert admitted(part, call) == 0
    call.size = 6_000
    part.ended(call)
    assert admitted(part, call) == 6, "one token was left, three are owed"


def test_of_too_many_callers_those_stay_that_asked_last(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MOST", 3)
    part = Limits(SLOW)
    for caller in ("a", "b", "c", "a", "d", "e"):
        admitted(part, by(caller))
    assert list(part.buckets) == ["a", "d", "e"]


def test_a_service_says_when_to_come_back_and_answers_probes(tmp_path: Path) -> None:
    app = create_app(Settings(store=tmp_path / "store"), [Limits(SLOW)])
    with TestClient(app) as service:
        statuses = [service.post("/predict", json={}).status_code for _ in range(5)]
        assert statuses == [503, 503, 503, 429, 429]
        refused = service.get("/model")
        assert refused.status_code == 429
        assert refused.headers["content-type"] == "application/problem+json"
        assert 1 <= int(refused.headers["retry-after"]) <= 2
        assert {service.get(path).status_code for path in ("/healthz", "/metrics")} == {200}


def test_the_documentation_says_so(tmp_path: Path) -> None:
    with TestClient(create_app(Settings(store=tmp_path / "store"), [Limits(SLOW)])) as service:
        paths = service.get("/openapi.json").json()["paths"]
    assert "429" in paths["/predict"]["post"]["responses"]
    assert "429" not in paths["/healthz"]["get"]["responses"]
