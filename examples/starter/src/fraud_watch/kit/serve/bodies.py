"""The body of a request: bounded in its length and in the time it takes, and JSON where that is asked."""

import re
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from starlette.types import Message, Receive

from . import Refusal

if TYPE_CHECKING:
    from .part import Call

RATE, SLACK = 5_000, 2.0
"""Bytes per second that a body must come with, once so many seconds are over."""
UTF8_JSON = re.compile(rb'application/json\s*(;\s*charset="?utf-?8"?\s*)?', re.IGNORECASE).fullmatch


def only_json(headers: Mapping[bytes, bytes]) -> None:
    """Refuse a body that does not say to be JSON."""
    kind = headers.get(b"content-type", b"application/json")
    if kind != b"application/json" and not UTF8_JSON(kind):
        raise Refusal(415, "Not JSON", "Send application/json in UTF-8")
    if headers.get(b"content-encoding", b"identity") != b"identity":
        raise Refusal(415, "Encoded body", "Send the body as it is, without Content-Encoding")


async def read(call: "Call", receive: Receive, most: int) -> bytes:
    """The whole body, if it is within bounds; more than that is never held."""
    if int(call.headers.get(b"content-length", b"0")) > most:
        raise too_large(most)
    call.reading = time.perf_counter()
    message = await receive()
    body: bytes = message.get("body", b"")
    call.size = len(body)
    while message.get("more_body") and call.size <= most:
        message = await receive()
        body += message.get("body", b"")
        call.size = len(body)
    if message["type"] == "http.disconnect":
        raise ConnectionError
    if call.size > most:
        raise too_large(most)
    call.read = True
    return body


def too_large(most: int) -> Refusal:
    return Refusal(413, "Body too large", f"At most {most} bytes")


def too_slow(call: "Call", now: float) -> bool:
    """Whether a body comes so slowly that its request holds a turn for nothing."""
    return bool(call.reading) and not call.read and call.size < (now - call.reading - SLACK) * RATE


def replayed(body: bytes, receive: Receive) -> Receive:
    """``receive`` of a body that was read already."""
    left = [body]

    async def again() -> Message:
        if left:
            return {"type": "http.request", "body": left.pop(), "more_body": False}
        return await receive()

    return again
