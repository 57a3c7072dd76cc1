"""Opens the bank: `python -m banyan.plugins.sandbox --data FOLDER --port 8010`."""

import argparse
import asyncio
import fcntl
import os
import socket
import sys
import threading
from pathlib import Path
from typing import Any, TextIO

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from banyan.kernel.clock import SystemClock
from banyan.plugins.sandbox.bank import Bank
from banyan.plugins.sandbox.cards import Cards
from banyan.plugins.sandbox.ledger import Ledger
from banyan.plugins.sandbox.outbox import Outbox
from banyan.plugins.sandbox.server import create_app
from banyan.plugins.sandbox.vault import Vault
from banyan.plugins.sandbox.webhooks import Courier, new_secret, secret_key

HOST = "127.0.0.1"


class Line(HttpToolsProtocol):
    """A connection that its request may cut, as `tok_flaky` does."""

    app_state: dict[str, Any]

    def connection_made(  # type: ignore[override]
        self, transport: asyncio.Transport
    ) -> None:
        """Hand the means to hang up to every request of this connection."""
        self.app_state = {**self.app_state, "hang_up": transport.abort}
        super().connection_made(transport)


class Server(uvicorn.Server):
    """A server that says when it is ready."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to serve and tell whoever started us."""
        await super().startup(sockets)
        assert sockets is not None
        sys.stdout.write(f"ready {address(sockets[0])}\n")
        sys.stdout.flush()


def address(sock: socket.socket) -> str:
    """The URL at which a socket is reached."""
    return f"http://{HOST}:{sock.getsockname()[1]}"


def main() -> None:
    """Serve until told to stop."""
    options = arguments().parse_args()
    options.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = only_one(options.data)
    sock = listening(options.port, options.fd)
    key = secret(options.webhook_secret_file or options.data / "webhook-secret")
    clock = SystemClock()
    vault = Vault(options.data / "bank.sqlite3")
    outbox = Outbox(vault, clock)
    cards = Cards(vault)
    home = (options.public_url or address(sock)).rstrip("/")
    bank = Bank(vault, cards, Ledger(vault, cards, home=home), outbox)
    pauses = (options.retry_seconds, options.retry_seconds * 5)
    courier = Courier(outbox, clock, url=options.webhook, key=key, pauses=pauses)
    server = Server(
        uvicorn.Config(
            create_app(vault, courier, bank, clock, slow_seconds=options.slow_seconds),
            http=Line,
            ws="none",
            lifespan="on",
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=2,
        )
    )
    if options.leash:
        threading.Thread(target=leash, args=(server,), daemon=True).start()
    with lock:
        server.run(sockets=[sock])


def arguments() -> argparse.ArgumentParser:
    """What may be said on the command line."""
    parser = argparse.ArgumentParser("python -m banyan.plugins.sandbox", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the ledger")
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--port", type=int, default=0, help="port to serve on; 0 picks a free one")
    place.add_argument("--fd", type=int, help="an inherited, bound socket to serve on instead")
    parser.add_argument(
        "--public-url", metavar="URL", help="where shoppers find the bank, if not where it serves"
    )
    parser.add_argument("--webhook", metavar="URL", help="where to send webhooks")
    parser.add_argument(
        "--webhook-secret-file",
        type=Path,
        help="file with the whsec_… secret, written if missing (default: webhook-secret in --data)",
    )
    parser.add_argument(
        "--slow-seconds", type=float, default=10.0, help="how long tok_slow takes (default: 10)"
    )
    parser.add_argument(
        "--retry-seconds", type=float, default=1.0, help="pause before a webhook is tried again"
    )
    parser.add_argument(
        "--leash", action="store_true", help="stop when standard input ends, as its owner does"
    )
    return parser


def only_one(data: Path) -> TextIO:
    """Lock the folder for as long as we live, or say who already serves it."""
    lock = (data / "lock").open("a+", encoding="ascii")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        sys.exit(f"Process {lock.read().strip()} already serves the bank in {data}.")
    lock.truncate(0)
    print(os.getpid(), file=lock, flush=True)
    return lock


def listening(port: int, fd: int | None) -> socket.socket:
    """Take the inherited socket, or bind one of our own."""
    if fd is not None:
        return socket.socket(fileno=fd)
    try:
        return socket.create_server((HOST, port), backlog=512)
    except OSError as error:
        sys.exit(f"Port {port} cannot be used: {error.strerror}. Choose another with --port.")


def secret(file: Path) -> bytes:
    """Read the key that bank and shop share; the first to come draws it."""
    if not file.exists():
        draft = file.with_name(f"{file.name}.draft")
        draft.touch(mode=0o600)
        draft.write_text(new_secret() + "\n", encoding="ascii")
        draft.replace(file)
    try:
        return secret_key(file.read_text(encoding="ascii").strip())
    except ValueError as error:
        sys.exit(f"The webhook secret in {file} cannot be used: {error}.")


def leash(server: uvicorn.Server) -> None:
    """Wait for the end of standard input, which comes when our owner ends in whatever way."""
    sys.stdin.buffer.read()
    server.should_exit = True


if __name__ == "__main__":
    main()
