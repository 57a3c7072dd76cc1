"""A mail server in the process of the test: real SMTP over a real socket, at times difficult."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

CERTIFICATE = Path(__file__).with_name("localhost.pem")


@dataclass
class Delivery:
    """A mail as the server has received it."""

    sender: str
    recipients: list[str]
    message: EmailMessage
    login: str
    encrypted: bool


@dataclass
class MailServer:
    """What the server does, and what it has taken; `replies` are told instead of the usual."""

    starttls: bool = False
    tls: bool = False
    silent: bool = False
    replies: dict[str, str] = field(default_factory=dict)
    taken: list[Delivery] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    port: int = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[MailServer]:
        """Listen on a free port of this machine, and let every client finish in the end."""
        talks: set[asyncio.Task[None]] = set()

        def welcome(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            talks.add(asyncio.create_task(self._talk(reader, writer)))

        context = _context() if self.tls else None
        server = await asyncio.start_server(welcome, "127.0.0.1", 0, ssl=context)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self
            if talks:
                await asyncio.wait(talks, timeout=5)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            if self.silent:
                await reader.read()
            else:
                await _Conversation(self, reader, writer).hold()
            writer.close()
            await writer.wait_closed()


class _Conversation:
    """One connection of a client."""

    def __init__(
        self, server: MailServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.server, self.reader, self.writer = server, reader, writer
        self.encrypted = server.tls
        self.login = self.sender = ""
        self.recipients: list[str] = []

    async def hold(self) -> None:
        self._say("220 localhost ESMTP")
        while line := await self.reader.readline():
            said = line.decode().strip()
            self.server.heard.append(said)
            verb = said.partition(" ")[0].upper()
            if reply := self.server.replies.get(verb):
                self._say(reply)
            elif verb == "QUIT":
                self._say("221 bye")
                return
            else:
                await self._obey(verb, said)

    async def _obey(self, verb: str, said: str) -> None:
        match verb:
            case "EHLO":
                offers = ["STARTTLS"] * (self.server.starttls and not self.encrypted)
                for offer in ("localhost", *offers, "AUTH PLAIN"):
                    self._say(f"250-{offer}")
                self._say("250 8BITMIME")
            case "STARTTLS":
                self._say("220 go ahead")
                await self.writer.drain()
                await self.writer.start_tls(_context())
                self.encrypted = True
            case "AUTH":
                proof = base64.b64decode(said.removeprefix("AUTH PLAIN ")).decode()
                self.login = proof.removeprefix("\0").replace("\0", ":")
                self._say("235 welcome")
            case "MAIL":
                self.sender = said.partition("<")[2].partition(">")[0]
                self._say("250 ok")
            case "RCPT":
                self.recipients.append(said.partition("<")[2].partition(">")[0])
                self._say("250 ok")
            case "DATA":
                self._say("354 go on")
                await self._take(await self.reader.readuntil(b"\r\n.\r\n"))
                self._say("250 taken")
            case _:
                self._say("502 what?")

    async def _take(self, data: bytes) -> None:
        content = data.removesuffix(b".\r\n").replace(b"\r\n..", b"\r\n.")
        message = message_from_bytes(content, EmailMessage, policy=policy.SMTP)
        self.server.taken.append(
            Delivery(self.sender, self.recipients, message, self.login, self.encrypted)
        )

    def _say(self, reply: str) -> None:
        self.writer.write(f"{reply}\r\n".encode())


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context
