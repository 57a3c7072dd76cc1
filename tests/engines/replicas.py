"""Replicas for the gateway's tests: small servers, well, sick or dead."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

from banyan.engines.endpoints import Endpoint

Mood = Literal["well", "hung", "deaf", "sick"]


@dataclass
class Heard:
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    size: int


@dataclass
class Replica:
    """A server that tells its name, and remembers what it was asked, health apart.

    One that is `deaf` hears a request and hangs up; one that is `hung` never answers anything; one
    that is `sick` answers 500.
    """

    name: str
    mood: Mood = "well"
    heard: list[Heard] = field(default_factory=list)
    port: int = 0
    released: threading.Event = field(default_factory=threading.Event)

    def endpoint(self, version: str = "") -> Endpoint:
        return Endpoint(port=self.port, version=version)


@contextmanager
def serving(*names: str) -> Iterator[list[Replica]]:
    """Serve as some replicas."""
    replicas = [Replica(name) for name in names]
    servers = [_server(replica) for replica in replicas]
    threads = [
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        for server in servers
    ]
    for thread in threads:
        thread.start()
    try:
        yield replicas
    finally:
        for replica, server in zip(replicas, servers, strict=True):
            replica.released.set()
            server.shutdown()
            server.server_close()
        for thread in threads:
            thread.join()


def _server(replica: Replica) -> ThreadingHTTPServer:
    class Answering(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        timeout = 30

        def answer(self) -> None:
            size = self._drain()
            if self.path != "/health/ready":
                headers = {name.lower(): value for name, value in self.headers.items()}
                replica.heard.append(Heard(self.command, self.path, headers, size))
            if replica.mood == "hung":
                replica.released.wait(20)
            if replica.mood in {"hung", "deaf"} and self.path != "/health/ready":
                self.close_connection = True
                return
            body = json.dumps({"name": replica.name}).encode()
            self.send_response_only(500 if replica.mood == "sick" else 200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _drain(self) -> int:
            if self.headers.get("transfer-encoding") == "chunked":
                size = 0
                while length := int(self.rfile.readline(), 16):
                    size += len(self.rfile.read(length))
                    self.rfile.readline()
                self.rfile.readline()
                return size
            return len(self.rfile.read(int(self.headers.get("content-length", 0))))

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 - its own names

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = _Quiet(("127.0.0.1", 0), Answering)
    replica.port = server.server_address[1]
    return server


class _Quiet(ThreadingHTTPServer):
    """A server that does not wait for connections, nor complain of those that end early."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing."""
