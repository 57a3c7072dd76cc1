"""Live with the shop as its first user does: start it, buy, press Ctrl-C, and start it again.

Usage: python -m tests.smoke.life
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.smoke.purchase import Shop, buy

ROOT = Path(__file__).parents[2]
READY_SECONDS = 180
STOP_SECONDS = 30


class Home:
    """A folder and a port for a shop, and the means to find every process that it starts."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.log = folder / "log"
        self.mark = f"BANYAN_SMOKE={secrets.token_hex(8)}"
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]

    @contextmanager
    def started(self) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
        """Run `make run` until it is ready, and leave nothing of it behind, whatever happens."""
        options = f"ARGS=--port {self.port} --data {self.data}"
        with self.log.open("wb") as log:
            make = subprocess.Popen(
                ["env", self.mark, "make", "run", options],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield make, self.ready(make)
        except BaseException:
            print(self.log.read_text(errors="replace")[-5000:], file=sys.stderr)
            raise
        finally:
            for process in {make.pid, *self.processes()}:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            make.wait()

    def ready(self, make: subprocess.Popen[bytes]) -> str:
        """Wait for the line that says where the shop is open."""
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            for line in self.log.read_text(errors="replace").splitlines():
                if line.startswith("ready http"):
                    return line.removeprefix("ready ")
            assert make.poll() is None, f"make run ended with {make.returncode}"
            time.sleep(0.05)
        raise TimeoutError(f"the shop was not ready after {READY_SECONDS} s")

    def processes(self) -> dict[int, str]:
        """Find what runs with our mark or, since engines start without it, for our folder."""
        found = {}
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                folder = str(self.data)
                if (
                    self.mark.encode() in (process / "environ").read_bytes().split(b"\0")
                    or folder in command
                    or str((process / "cwd").readlink()).startswith(folder)
                ):
                    found[int(process.name)] = command
        return found


def stop_and_look_for_survivors(home: Home, make: subprocess.Popen[bytes]) -> None:
    """Wait for the end that a signal has asked for, and see that it is complete and quiet."""
    make.wait(STOP_SECONDS)
    assert not (left := home.processes()), f"left behind: {left}"
    said = home.log.read_text(errors="replace")
    assert "***" not in said, "make complained"
    assert "Traceback" not in said, "the shop did not stop in peace"


def live(home: Home) -> None:
    """Go through two days of a shop."""
    with home.started() as (make, url):
        order = buy(url)
        os.killpg(make.pid, signal.SIGINT)  # as Ctrl-C does in a terminal
        stop_and_look_for_survivors(home, make)
    print("stopped by Ctrl-C, nothing left behind")

    morning = time.monotonic()
    with home.started() as (make, url):
        print(f"started again, ready after {time.monotonic() - morning:.1f} s")
        assert Shop(url).get(f"/orders/{order}")["id"] == order
        for banyan in Path(f"/proc/{make.pid}/task/{make.pid}/children").read_text().split():
            os.kill(int(banyan), signal.SIGINT)
        stop_and_look_for_survivors(home, make)
        assert make.returncode == 0, f"make run ended with {make.returncode}"
    print("kept the order, stopped with 0")


if __name__ == "__main__":
    folder = Path(tempfile.mkdtemp(prefix="banyan-smoke-"))
    try:
        live(Home(folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
