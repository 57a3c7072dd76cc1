"""What a server is told has an end: the head of a request, over a real connection."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator

import msgspec
import pytest

from banyan.kernel.serve import MOST_HEAD_BYTES, serve
from tests.kernel.http.house import Parts, house
from tests.kernel.http.toybox import ToyboxService

PATIENCE_SECONDS = 10
HEAD = b"GET /api/store/toys%s HTTP/1.1\r\nhost: house\r\n%s"
TOO_LONG = b"x" * (MOST_HEAD_BYTES + 8 * 1024)
LONG = b"x" * (MOST_HEAD_BYTES - 8 * 1024)


@pytest.fixture
async def port(box: ToyboxService, parts: Parts) -> AsyncIterator[int]:
    """Serve a house at a port."""
    ready = asyncio.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.create_task(serve(house(box, parts), listening, ready=ready.set))
        await asyncio.wait_for(ready.wait(), PATIENCE_SECONDS)
        yield listening.getsockname()[1]
        signal.raise_signal(signal.SIGTERM)
        await asyncio.wait_for(serving, PATIENCE_SECONDS)


async def answers(port: int, told: bytes) -> bytes:
    """Say something, and listen until the connection is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(told)
    heard = await asyncio.wait_for(reader.read(), PATIENCE_SECONDS)
    writer.close()
    return heard


@pytest.mark.parametrize(
    "told",
    [
        HEAD % (b"?" + TOO_LONG, b"\r\n"),
        HEAD % (b"", b"cookie: " + TOO_LONG + b"\r\n\r\n"),
        HEAD % (b"", b"a: b\r\n" * (len(TOO_LONG) // 6)),
        HEAD % (b"", b"cookie: " + TOO_LONG),
    ],
    ids=["address", "header", "many headers", "no end"],
)
async def test_a_head_without_end_is_refused(port: int, told: bytes) -> None:
    head, _, body = (await answers(port, told)).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
    assert b"connection: close" in head
    assert msgspec.json.decode(body)["code"] == "headers_too_large"


async def test_a_long_head_is_answered_and_so_is_what_follows_it(port: int) -> None:
    long = HEAD % (b"", b"cookie: " + LONG + b"\r\n")

    heard = await answers(port, long + b"\r\n" + long + b"connection: close\r\n\r\n")

    assert heard.count(b"HTTP/1.1 200 OK") == 2


async def test_a_body_may_be_longer_than_a_head(port: int) -> None:
    told = b"POST /api/admin/toys HTTP/1.1\r\nhost: house\r\ncontent-length: %d\r\n\r\n"

    heard = await answers(
        port, told % len(TOO_LONG) + TOO_LONG + HEAD % (b"", b"connection: close\r\n\r\n")
    )

    assert heard.startswith(b"HTTP/1.1 401")
    assert b"HTTP/1.1 200 OK" in heard
