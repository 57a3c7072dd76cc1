"""The door of a running shop for those who look after it: who is there, more, fewer, anew."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import stat
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec

from banyan.engines.processes import Standing
from banyan.engines.trouble import EngineError, disk_trouble_explained
from banyan.kernel.contract import Value

_NAME = "control"
# What fits into a socket address on macOS; Linux has room for four more.
_SOCKET_PATH_BYTES = 103
# No step of a change takes longer without a word.
_PATIENCE_SECONDS = 120


class Status(Value, tag="status"):
    """Tell how everybody stands."""


class Scale(Value, tag="scale"):
    """Have so many replicas of each of these processes."""

    wanted: Mapping[str, int]


class Restart(Value, tag="restart"):
    """Replace the replicas of one process, or of all, one after another."""

    process: str | None = None


class Progress(Value, tag="progress"):
    """What has just been done."""

    line: str


class Standings(Value, tag="standings"):
    """How everybody stands."""

    processes: tuple[Standing, ...]


class Done(Value, tag="done"):
    """Everything that was asked has been done."""


class Refused(Value, tag="refused"):
    """Something was not done, and why."""

    why: str


Request = Status | Scale | Restart
Answer = Progress | Standings | Done | Refused
Attend = Callable[[Request, Callable[[Answer], None]], Awaitable[None]]
"""Do what is asked, telling of it meanwhile; raise `EngineError` to refuse."""


@asynccontextmanager
async def open_door(folder: Path, attend: Attend) -> AsyncIterator[None]:
    """Let the owner of a shop's folder ask, one JSON document a line; the answers stream back.

    Who holds the folder's lock may call this: a socket that lies there is nobody's.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def tell(answer: Answer) -> None:
            if not writer.is_closing():  # Who has gone away does not stop what he asked for.
                writer.write(msgspec.json.encode(answer) + b"\n")

        task = asyncio.current_task()
        assert task
        visits.add(task)
        try:
            while line := await reader.readline():
                await _answer(line, attend, tell)
        except (ConnectionError, asyncio.CancelledError):
            tell(Refused(why="the shop is stopping."))
        finally:
            visits.discard(task)
            writer.close()

    visits: set[asyncio.Task[None]] = set()
    place = _place(folder)
    with disk_trouble_explained(folder):
        place.unlink(missing_ok=True)
        _make_private(place.parent, folder)
        bound = socket.socket(socket.AF_UNIX)
        bound.bind(str(place))
        place.chmod(0o600)  # Before anybody is listened to.
    server = await asyncio.start_unix_server(serve, sock=bound)
    try:
        yield
    finally:
        server.close()
        for visit in tuple(visits):
            visit.cancel()
        await asyncio.gather(*visits, return_exceptions=True)
        with suppress(OSError):
            place.unlink()


async def _answer(line: bytes, attend: Attend, tell: Callable[[Answer], None]) -> None:
    try:
        await attend(msgspec.json.decode(line, type=Request), tell)
    except (EngineError, msgspec.DecodeError) as refusal:
        tell(Refused(why=str(refusal)))
    else:
        tell(Done())


def ask(folder: Path, request: Request) -> Iterator[Progress | Standings]:
    """Ask the shop that runs in a folder, and hear its answers as they come."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_PATIENCE_SECONDS)
        try:
            connection.connect(str(_place(folder)))
        except (FileNotFoundError, ConnectionRefusedError):
            raise EngineError(
                f"no shop runs in {folder}: start it with `banyan up`, or name the folder of "
                "another with --data."
            ) from None
        except PermissionError:
            raise EngineError(f"the shop in {folder} is another user's.") from None
        try:
            connection.sendall(msgspec.json.encode(request) + b"\n")
            with connection.makefile("rb") as answers:
                yield from _heard(answers)
        except (ConnectionError, TimeoutError):
            raise EngineError(f"the shop in {folder} does not answer any more.") from None


def numbers(told: Sequence[str]) -> Mapping[str, int]:
    """Read `catalog=3 ordering=1`."""
    wanted = {}
    for one in told:
        process, _, number = one.partition("=")
        if not (process and number.isascii() and number.isdecimal()):
            raise EngineError(f"{one!r} tells no number of a process: write catalog=3.")
        wanted[process] = int(number)
    if not wanted:
        raise EngineError("nothing is to be changed: write a process and a number, catalog=3.")
    return wanted


def _heard(answers: Iterator[bytes]) -> Iterator[Progress | Standings]:
    for line in answers:
        answer = msgspec.json.decode(line, type=Answer)
        if isinstance(answer, Done):
            return
        if isinstance(answer, Refused):
            raise EngineError(answer.why)
        yield answer
    raise ConnectionResetError


def _place(folder: Path) -> Path:
    """The socket: in the folder or, where its path is too long, in the temp folder."""
    near = folder.resolve() / _NAME
    if len(os.fsencode(near)) <= _SOCKET_PATH_BYTES:
        return near
    name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:12]
    far = Path(tempfile.gettempdir()) / f"banyan-{_NAME}-{name}" / _NAME
    if len(os.fsencode(far)) <= _SOCKET_PATH_BYTES:
        return far
    raise EngineError(f"The path {far} is too long for a socket: set a shorter TMPDIR.")


def _make_private(parent: Path, folder: Path) -> None:
    """Make a folder in the temp folder that is ours alone."""
    if parent == folder.resolve():
        return
    parent.mkdir(mode=0o700, exist_ok=True)
    status = parent.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise EngineError(f"{parent} belongs to somebody else: remove it and start again.")
