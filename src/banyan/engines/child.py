"""A child process: how to start it, how it is heard, how it ended."""

import asyncio
import itertools
import os
import signal
import sys
import threading
import traceback
from asyncio.subprocess import DEVNULL, STDOUT
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NoReturn

_LINE_BYTES = 1_048_576


@dataclass(frozen=True, kw_only=True)
class Child:
    """A process that should run, leader of a process group of its own.

    Its environment is ours with `env` on top. It inherits `sockets` under the same numbers. It is
    ready once it writes a line that begins with `ready`; the rest of that line is its `place`, if
    that is not known before. One that is not restarted ends the whole. One that is not awaited gets
    ready in its own time: its socket keeps whoever asks waiting.

    `warm` does the same as `argv` in a fork of this process, which has everything loaded already:
    the first start is quick by it. A restart begins from nothing.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    sockets: Sequence[int] = ()
    ready: str = "ready"
    place: str = ""
    restarts: bool = True
    awaited: bool = True
    warm: Callable[[], int] | None = None

    async def run(
        self, *, first: bool, started: Callable[[int], None], wrote: Callable[[str], None]
    ) -> str:
        """Run once, telling the process id and then each line; tell how it ended."""
        # The pipe is ours and not asyncio's, whose `wait` would go on until every grandchild that
        # inherited it has ended.
        reading, writing = os.pipe()
        listening = asyncio.create_task(_listen(reading, wrote))
        try:
            begin = self._fork if first and self.warm else self._execute
            pid, end = await begin(writing)
        except OSError as error:
            return f"could not be started ({error.strerror})"
        else:
            started(pid)
            code = await end
            # Its helpers must not hold the port that its successor needs.
            kill_group(pid)
            return f"ended with exit code {code}" if code >= 0 else f"was killed by signal {-code}"
        finally:
            os.close(writing)
            with suppress(TimeoutError):
                await asyncio.wait_for(listening, timeout=1)

    async def _execute(self, writing: int) -> tuple[int, Awaitable[int]]:
        process = await asyncio.create_subprocess_exec(
            *self.argv,
            stdin=DEVNULL,
            stdout=writing,
            stderr=STDOUT,
            env={**os.environ, **self.env},  # noqa: TID251 - handed on, not read
            pass_fds=self.sockets,
            start_new_session=True,
        )
        return process.pid, process.wait()

    async def _fork(self, writing: int) -> tuple[int, Awaitable[int]]:
        pid = os.fork()
        if pid == 0:
            self._live(writing)
        return pid, _end_of(pid)

    def _live(self, writing: int) -> NoReturn:
        """Be the child from here on; nothing of the parent's loop is ever touched again."""
        code = 1
        try:
            assert self.warm
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            os.setsid()
            nowhere = os.open(os.devnull, os.O_RDONLY)
            for ours, theirs in ((nowhere, 0), (writing, 1), (writing, 2)):
                os.dup2(ours, theirs)
            _close_all_but(self.sockets)
            code = self.warm()
        except BaseException:  # noqa: BLE001 - a fork must never return into its parent's code
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)


def _close_all_but(kept: Sequence[int]) -> None:
    """Let go of what a fork inherits: the locks, and the pipe whose end tells of our owner's."""
    edges = [2, *sorted(kept), os.sysconf("SC_OPEN_MAX")]
    for below, above in itertools.pairwise(edges):
        os.closerange(below + 1, above)


def _end_of(pid: int) -> asyncio.Future[int]:
    """Wait for a fork in a thread of its own: asyncio's few threads may all be waiting already."""
    loop = asyncio.get_running_loop()
    ended = loop.create_future()

    def tell(code: int) -> None:
        if not ended.done():
            ended.set_result(code)

    def wait() -> None:
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        with suppress(RuntimeError):  # The loop may be closed, and nobody interested any more.
            loop.call_soon_threadsafe(tell, code)

    threading.Thread(target=wait, name=f"waiting for {pid}", daemon=True).start()
    return ended


def ask_to_end(leader: int, by: signal.Signals = signal.SIGTERM) -> None:
    """Ask the leader of a group to end, and to see to its own helpers."""
    with suppress(ProcessLookupError):
        os.kill(leader, by)


def kill_group(leader: int) -> None:
    """End the leader of a group and all its helpers at once; some may already be gone."""
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


async def _listen(pipe: int, wrote: Callable[[str], None]) -> None:
    """Pass on what comes out of a pipe, line by line."""
    reader = asyncio.StreamReader(limit=_LINE_BYTES)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(pipe, "rb", buffering=0)
    )
    try:
        while line := await _next_line(reader):
            wrote(line.rstrip())
    finally:
        transport.close()


async def _next_line(reader: asyncio.StreamReader) -> str:
    """Read a line with its end, or nothing when there is no more."""
    try:
        return (await reader.readline()).decode(errors="replace")
    except ValueError:
        return "(a line of more than a mebibyte is left out)\n"
