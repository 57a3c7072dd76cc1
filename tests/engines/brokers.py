"""A real NATS server for the tests: run beside their loops, and spoken to as somebody."""

import asyncio
import queue
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import nats
from nats.aio.client import Client
from nats.errors import Error

from banyan.engines.nats import EmbeddedNats
from banyan.engines.processes import Supervisor
from banyan.kernel.security import Credentials
from banyan.kernel.subjects import Permissions, of_answers

PATIENCE_SECONDS = 30


class LentNats:
    """A running server, and the names under which it can be spoken to."""

    def __init__(self, engine: EmbeddedNats, heard: "queue.Queue[str]") -> None:
        self._engine = engine
        self._heard = heard
        self._granted: dict[str, Permissions] = {}

    @property
    def url(self) -> str:
        return self._engine.url

    def credentials(self, name: str) -> Credentials:
        """Return the files that somebody shows; the `operator` may do everything."""
        return self._engine.credentials(name)

    def grant(self, processes: Mapping[str, Permissions]) -> None:
        """Let these do this, too, from now on."""
        self._granted |= processes
        self._engine.grant(self._granted)
        while "took over" not in (line := self._heard.get(timeout=PATIENCE_SECONDS)):
            assert "[ERR] Failed to reload" not in line, line


@contextmanager
def lent(folder: Path) -> Iterator[LentNats]:
    """Run a server whose data nobody will miss, in a loop of its own beside those of the tests."""
    heard: queue.Queue[str] = queue.Queue()
    loop = asyncio.new_event_loop()
    beside = threading.Thread(target=loop.run_forever, daemon=True)
    beside.start()
    with EmbeddedNats(folder, print, durable=False) as engine:
        supervisor = Supervisor([engine.child()], say=heard.put)
        asyncio.run_coroutine_threadsafe(supervisor.start(), loop).result(PATIENCE_SECONDS)
        try:
            yield LentNats(engine, heard)
        finally:
            asyncio.run_coroutine_threadsafe(supervisor.stop(), loop).result(PATIENCE_SECONDS)
            loop.call_soon_threadsafe(loop.stop)
            beside.join(PATIENCE_SECONDS)
            loop.close()


def showing(credentials: Credentials) -> ssl.SSLContext:
    """Show credentials to a server that our own authority knows."""
    context = ssl.create_default_context(cafile=credentials.ca)
    context.load_cert_chain(credentials.certificate, credentials.key)
    return context


@asynccontextmanager
async def connected(
    url: str,
    name: str,
    shown: ssl.SSLContext,
    *,
    errors: list[str] | None = None,
    user: str | None = None,
) -> AsyncIterator[Client]:
    """Speak to a server as somebody, and hear what it forbids."""

    async def complain(error: Exception) -> None:
        if errors is not None and isinstance(error, Error):
            errors.append(str(error))

    client = await nats.connect(
        url,
        tls=shown,
        user=user,
        inbox_prefix=of_answers(name),
        error_cb=complain,
        reconnect_time_wait=0.05,
        connect_timeout=5,
    )
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def speaking(
    nats: LentNats | EmbeddedNats, name: str, *, errors: list[str] | None = None
) -> AsyncIterator[Client]:
    """Speak to a server as a process that it knows."""
    shown = showing(nats.credentials(name))
    async with connected(nats.url, name, shown, errors=errors) as client:
        yield client


async def settled(client: Client) -> None:
    """Wait until a server has seen, and judged, all that a client has sent.

    The ping of the first `flush` may overtake what still waits to be sent; that of the second
    comes after it.
    """
    await client.flush()
    await client.flush()


def greeted(url: str, shown: ssl.SSLContext) -> None:
    """Look whether a server is to be believed, and go."""
    port = int(url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=5) as plain:
        plain.recv(4096)
        with shown.wrap_socket(plain, server_hostname="127.0.0.1"):
            pass
