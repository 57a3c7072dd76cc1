"""The sandbox bank as a child process, for every test that needs a bank or the death of one."""

import select
import subprocess
import sys
from pathlib import Path
from typing import Self

import httpx

from banyan.plugins import sandbox

SOURCES = Path(sandbox.__file__).parents[3]
START_SECONDS = 20.0
STOP_SECONDS = 5.0


class SandboxDidNotStart(Exception):
    """The bank ended, or stayed silent, before it was ready."""


class SandboxProcess:
    """A bank on loopback that ends with us; started again, it keeps its port and its memory."""

    def __init__(
        self,
        data: Path,
        *,
        port: int = 0,
        webhook: str | None = None,
        public_url: str | None = None,
        slow_seconds: float = 10.0,
        retry_seconds: float = 1.0,
    ) -> None:
        self.data = data
        self.port = port
        self.webhook = webhook
        self.public_url = public_url
        self.slow_seconds = slow_seconds
        self.retry_seconds = retry_seconds
        self.process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        """Where the bank is reached."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ledger(self) -> Path:
        """The file that holds the bank's memory."""
        return self.data / "bank.sqlite3"

    @property
    def secret_file(self) -> Path:
        """The file that holds what webhooks are signed with; there once the bank is ready."""
        return self.data / "webhook-secret"

    def client(self) -> httpx.Client:
        """Open a client for the bank's API."""
        return httpx.Client(base_url=self.url, timeout=15, trust_env=False)

    def start(self) -> Self:
        """Start the bank and wait until it serves."""
        assert self.process is None, "The bank is open already"
        self.data.mkdir(parents=True, exist_ok=True)
        log = self.data / "bank.log"
        with log.open("a", encoding="utf-8") as errors:
            self.process = subprocess.Popen(
                self._command(),
                cwd=SOURCES,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        port = _port_once_ready(self.process)
        if port is None:
            self.kill()
            raise SandboxDidNotStart(log.read_text(encoding="utf-8")[-2000:])
        self.port = port
        return self

    def stop(self) -> None:
        """Ask the bank to close, and make it if it does not."""
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
            self._forget(self.process)

    def kill(self) -> None:
        """End the bank with `kill -9`."""
        if self.process is not None:
            self.process.kill()
            self._forget(self.process)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _command(self) -> list[str]:
        command = [sys.executable, "-m", "banyan.plugins.sandbox", "--leash"]
        command += ["--data", str(self.data.resolve()), "--port", str(self.port)]
        command += ["--slow-seconds", str(self.slow_seconds)]
        command += ["--retry-seconds", str(self.retry_seconds)]
        command += ["--public-url", self.public_url] if self.public_url else []
        return [*command, "--webhook", self.webhook] if self.webhook else command

    def _forget(self, process: subprocess.Popen[str]) -> None:
        process.wait(STOP_SECONDS)
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()
        self.process = None


def _port_once_ready(process: subprocess.Popen[str]) -> int | None:
    """Wait for the line `ready http://127.0.0.1:PORT`, the only one that a bank writes."""
    assert process.stdout is not None
    heard, _, _ = select.select([process.stdout], [], [], START_SECONDS)
    line = process.stdout.readline() if heard else ""
    return int(line.rpartition(":")[2]) if line.startswith("ready ") else None
