"""The engine, once for the whole session."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from .engine import Engine, missing_parts


def _home() -> Path:
    """Where images and build cache are kept between sessions."""
    cache = os.environ.get("SLIPWAY_CACHE")
    return Path(cache or "~/.cache/slipway-docker").expanduser().resolve()


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """A running Docker Engine, stopped without a trace when the session ends."""
    if absent := missing_parts():
        pytest.skip(absent)
    engine = Engine(_home())
    engine.start()
    try:
        yield engine
    finally:
        engine.stop()
