"""What the same work costs at least: the bare server with the same bytes.

As a program it is that server: `python -m benchmarks.floors PORT FILE` answers everything with the
bytes of a file.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import psutil

from benchmarks import load, meter
from benchmarks.client import Wrong
from benchmarks.load import Visitor

START_SECONDS = 20.0
WARM_SECONDS = 1.0


async def fetch(visitor: Visitor) -> None:
    """Ask the bare server."""
    reply = await visitor.connection.ask("GET", "/")
    if reply.status != 200 or not reply.body:
        raise Wrong(str(reply.status))


def same_bytes(url: str, *, concurrency: int, seconds: float) -> float:
    """Measure the CPU milliseconds of sending the same bytes from a bare server."""
    with urlopen(url) as answer:  # noqa: S310 - our own
        body = answer.read()
    with bare(body) as (address, process):
        load.run(address, fetch, {}, concurrency=concurrency, seconds=WARM_SECONDS)
        before = meter.spent(process, lambda _: "server")
        figures = load.run(address, fetch, {}, concurrency=concurrency, seconds=seconds)
        cost = meter.spent(process, lambda _: "server").since(before)
    return cost.seconds["server"] / max(figures.done, 1) * 1000


@contextmanager
def bare(body: bytes) -> Iterator[tuple[str, psutil.Process]]:
    """Run a server that does nothing but send some bytes, on the same stack as the shop."""
    with tempfile.NamedTemporaryFile() as file, socket.create_server(("127.0.0.1", 0)) as free:
        file.write(body)
        file.flush()
        port = free.getsockname()[1]
        free.close()
        with subprocess.Popen(
            [sys.executable, "-m", "benchmarks.floors", str(port), file.name]
        ) as it:
            url = f"http://127.0.0.1:{port}"
            try:
                _wait(url)
                yield url, psutil.Process(it.pid)
            finally:
                it.terminate()


def _wait(url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            with urlopen(url, timeout=1):  # noqa: S310 - our own
                return
        except OSError:
            time.sleep(0.02)
    raise TimeoutError("the bare server did not start")


def _serve(port: int, body: bytes) -> None:
    from banyan.kernel.serve import run, serve  # noqa: PLC0415 - the program's, not the runner's

    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
    ]

    async def application(scope: Any, _: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    listening = socket.create_server(("127.0.0.1", port))
    run(serve(application, listening, ready=lambda: None))


if __name__ == "__main__":
    _serve(int(sys.argv[1]), Path(sys.argv[2]).read_bytes())
