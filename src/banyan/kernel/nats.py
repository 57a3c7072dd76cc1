"""A process's connection to NATS: requests and their answers. NATS's home with the two below it."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error
from nats.js.api import Header
from nats.js.client import JetStreamContext

from banyan.kernel import subjects, telemetry
from banyan.kernel.link import Unavailable
from banyan.kernel.security import Credentials
from banyan.kernel.settings import Misconfigured, Settings

CONNECT_SECONDS = 5
RECONNECT_PAUSE_SECONDS = 0.25
ERROR_CODE = "Nats-Service-Error-Code"
_NOBODY = "503"


class NatsSettings(Settings):
    """The files, in PEM, that a process shows to NATS where it is not ours; without them, none."""

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def credentials(self) -> Credentials | None:
        """Put the files together: all of them, or none."""
        match (self.ca, self.certificate, self.key):
            case (None, None, None):
                return None
            case (Path() as ca, Path() as certificate, Path() as key):
                return Credentials(ca=ca, certificate=certificate, key=key)
        raise Misconfigured("[settings.nats] needs all of ca, certificate and key, or none.")


class Ear(asyncio.Future[Msg]):
    """Hears each message of a subscription at once: no queue and no task stand before it.

    The library hands messages to a future, and asks no more of it than whether it still listens.
    What hears must be quick and must not fail; or it hands over to a task.
    """

    def __init__(self, hear: Callable[[Msg], object]) -> None:
        super().__init__()
        self._hear = hear

    def set_result(self, message: Msg) -> None:
        """Hear a message; there may be more of them."""
        self._hear(message)


class Broker:
    """The connection of one process. While it is away, whoever asks is told so at once."""

    def __init__(self, url: str, process: str, shown: Credentials | None = None) -> None:
        self.process = process
        self._url = url
        self._shown = shown
        self._client = Client()
        self._answers = f"{subjects.of_answers(process)}.{token_hex(8)}"
        self._asked: dict[str, asyncio.Future[Msg]] = {}
        self._number = 0

    @property
    def connected(self) -> bool:
        """Tell whether NATS can be reached now."""
        return self._client.is_connected

    @property
    def client(self) -> Client:
        """Hand the connection to those who serve and listen."""
        return self._client

    def streams(self) -> JetStreamContext:
        """Return what keeps messages until they were heard."""
        return self._client.jetstream(timeout=CONNECT_SECONDS)

    async def open(self) -> None:
        """Connect; from then on, a lost connection is looked for until it is there again."""
        try:
            await self._client.connect(
                self._url,
                name=self.process,
                tls=_trust(self._shown) if self._shown else None,
                connect_timeout=CONNECT_SECONDS,
                max_reconnect_attempts=-1,
                reconnect_time_wait=RECONNECT_PAUSE_SECONDS,  # type: ignore[arg-type]
                inbox_prefix=subjects.of_answers(self.process),
                error_cb=self._troubled,
                disconnected_cb=self._let_go,
                allow_reconnect=True,
            )
        except (OSError, Error, TimeoutError) as trouble:
            raise Unavailable(what="nats") from trouble
        await self._client.subscribe(f"{self._answers}.*", future=Ear(self._answered))

    async def close(self) -> None:
        """Let what was published leave, and disconnect."""
        if self._client.is_connected:
            with suppress(Error, TimeoutError):
                await self._client.flush(timeout=1)
        await self._client.close()
        await self._let_go()

    async def ask(self, subject: str, payload: bytes, headers: Mapping[str, str]) -> Msg:
        """Send a request to one of those who answer it, and wait for the answer.

        It is told at once that nobody answers, or that the connection is gone.
        """
        if not self._client.is_connected:
            raise Unavailable(what="nats")
        self._number += 1
        token = str(self._number)
        future = asyncio.get_running_loop().create_future()
        self._asked[token] = future
        try:
            await self._client.publish(
                subject, payload, reply=f"{self._answers}.{token}", headers=dict(headers)
            )
            answer: Msg = await future
        finally:
            del self._asked[token]
        if answer.headers and answer.headers.get(Header.STATUS) == _NOBODY:
            raise Unavailable(what=subject)
        return answer

    def _answered(self, message: Msg) -> None:
        asked = self._asked.get(message.subject.rpartition(".")[2])
        if asked and not asked.done():
            asked.set_result(message)

    async def _let_go(self) -> None:
        """Whoever waits for an answer learns that it will not come."""
        for asked in self._asked.values():
            if not asked.done():
                asked.set_exception(Unavailable(what="nats"))

    async def _troubled(self, trouble: Exception) -> None:
        telemetry.log(__name__).warning("broker", error=type(trouble).__name__, told=str(trouble))


def _is_news(record: logging.LogRecord) -> bool:
    """Keep quiet about how asyncio's streams end on connections that began without TLS."""
    return "eof_received() has no effect" not in record.getMessage()


logging.getLogger("asyncio").addFilter(_is_news)


def _trust(shown: Credentials) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=shown.ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(shown.certificate, shown.key)
    return context
