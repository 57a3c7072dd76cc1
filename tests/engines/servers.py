"""Real servers for the tests: asked, copied, and owned by processes that can be killed."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from banyan.engines.postgres import EmbeddedPostgres, installed_programs
from tests.engines.life import alive

# Whoever was started in the background of a shell would be deaf to SIGINT.
OWNER = """
import signal, sys
from pathlib import Path
from banyan.engines.postgres import EmbeddedPostgres
signal.signal(signal.SIGINT, signal.default_int_handler)
with EmbeddedPostgres(Path(sys.argv[1]), lambda line: print(line, flush=True)):
    print("ready", flush=True)
    sys.stdin.read()
"""


def copied(folder: Path, place: Path) -> Path:
    """Copy the folder of a stopped server with its owners."""
    subprocess.run(["cp", "-a", folder, place], check=True)
    return place


def run_owner(folder: Path, *, prefix: list[str] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*(prefix or []), sys.executable, "-c", OWNER, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def line_of(process: subprocess.Popen[str], start: str) -> str:
    """Read what a process writes until a line begins so."""
    assert process.stdout
    return next((line for line in process.stdout if line.startswith(start)), "")


def query(server: EmbeddedPostgres, sql: str) -> str:
    return ask(server.dsn(), sql).stdout.strip()


def ask(dsn: str, sql: str) -> subprocess.CompletedProcess[str]:
    psql = installed_programs() / "psql"
    return subprocess.run(
        [psql, dsn, "--no-psqlrc", "--tuples-only", "--no-align", "--command", sql],
        capture_output=True,
        text=True,
        check=False,
        timeout=10,
    )


def postmaster(folder: Path) -> int:
    return int((folder / "cluster" / "postmaster.pid").read_text().split()[0])


def living_postmaster(folder: Path) -> bool:
    try:
        return alive(postmaster(folder))
    except FileNotFoundError:
        return False


def eventually(truth: Callable[[], bool], *, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not truth():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)
