"""A child process: how to start it, how it is heard, how it ended."""

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, STDOUT
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

_LINE_BYTES = 1_048_576


@dataclass(frozen=True, kw_only=True)
class Child:
    """A process that should run, leader of a process group of its own.

    Its environment is ours with `env` on top. It inherits `sockets` under the same numbers. It is
    ready once it writes a line that begins with `ready`. One that is not restarted ends the whole.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    sockets: Sequence[int] = ()
    ready: str = "ready"
    restarts: bool = True

    async def run(self, *, started: Callable[[int], None], wrote: Callable[[str], None]) -> str:
        """Run once, telling the process id and then each line; tell how it ended."""
        # The pipe is ours and not asyncio's, whose `wait` would go on until every grandchild that
        # inherited it has ended.
        reading, writing = os.pipe()
        listening = asyncio.create_task(_listen(reading, wrote))
        try:
            process = await asyncio.create_subprocess_exec(
                *self.argv,
                stdin=DEVNULL,
                stdout=writing,
                stderr=STDOUT,
                env={**os.environ, **self.env},  # noqa: TID251 - handed on, not read
                pass_fds=self.sockets,
                start_new_session=True,
            )
        except OSError as error:
            return f"could not be started ({error.strerror})"
        else:
            started(process.pid)
            code = await process.wait()
            # Its helpers must not hold the port that its successor needs.
            kill_group(process.pid)
            return f"ended with exit code {code}" if code >= 0 else f"was killed by signal {-code}"
        finally:
            os.close(writing)
            with suppress(TimeoutError):
                await asyncio.wait_for(listening, timeout=1)


def ask_to_end(leader: int) -> None:
    """Ask the leader of a group to end, and to see to its own helpers."""
    with suppress(ProcessLookupError):
        os.kill(leader, signal.SIGTERM)


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
