"""The embedded NATS server: what it keeps, what it survives, and how it is configured."""

import asyncio
import os
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import psutil
import pytest

from banyan.engines.nats import EmbeddedNats, configuration
from banyan.engines.processes import Supervisor
from banyan.engines.trouble import EngineError
from banyan.kernel.security import Credentials
from banyan.kernel.subjects import EVENTS, EVERY_EVENT, Permissions, permissions
from tests.engines.brokers import speaking
from tests.engines.life import alive

CATALOG = permissions("catalog", hosts={"catalog"}, asks={"pricing"})


async def come_true(truth: Callable[[], bool], *, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not truth():
        assert time.monotonic() < deadline, "it did not come true in time"
        await asyncio.sleep(0.02)


@asynccontextmanager
async def running(
    folder: Path, heard: list[str], *, grants: dict[str, Permissions] | None = None
) -> AsyncIterator[EmbeddedNats]:
    """Run the server of a folder, as `banyan up` does."""
    with EmbeddedNats(folder, heard.append) as nats:
        nats.grant(grants or {})
        async with Supervisor([nats.child()], say=heard.append):
            yield nats


def server_of(folder: Path) -> int:
    """Find the process of a folder's server."""
    (found,) = [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if str(folder / "server.conf") in (process.info["cmdline"] or [])
    ]
    return found


async def test_who_is_granted_nothing_any_more_is_shown_out(tmp_path: Path) -> None:
    async with (
        running(tmp_path, [], grants={"catalog": CATALOG}) as nats,
        speaking(nats, "catalog") as catalog,
    ):
        assert catalog.is_connected

        nats.grant({})

        await come_true(lambda: not catalog.is_connected)


async def test_a_killed_server_comes_back_with_its_data_at_its_place(tmp_path: Path) -> None:
    heard: list[str] = []
    async with running(tmp_path, heard) as nats, speaking(nats, "operator") as client:
        stream = client.jetstream()
        await stream.add_stream(name=EVENTS, subjects=[EVERY_EVENT])
        await stream.publish("banyan.event.catalog.x", b"kept")

        os.kill(server_of(tmp_path), signal.SIGKILL)
        await come_true(lambda: heard.count("nats | ready") == 2)
        await come_true(lambda: client.is_connected)

        message = await stream.get_msg(EVENTS, 1)
    assert message.data == b"kept"
    assert "nats was killed by signal 9; starting it again in 0.2 s" in heard


async def test_the_next_start_has_the_same_data_and_place(tmp_path: Path) -> None:
    async with running(tmp_path, []) as nats, speaking(nats, "operator") as client:
        first = nats.url
        await client.jetstream().add_stream(name=EVENTS, subjects=[EVERY_EVENT])
        await client.jetstream().publish("banyan.event.catalog.x", b"kept")

    async with running(tmp_path, []) as nats, speaking(nats, "operator") as client:
        message = await client.jetstream().get_msg(EVENTS, 1)

        assert (message.data, nats.url) == (b"kept", first)


async def test_only_what_matters_is_heard_of_a_server(tmp_path: Path) -> None:
    heard: list[str] = []

    async with running(tmp_path, heard):
        pass

    assert heard == ["nats | ready"]


async def test_shops_on_one_machine_have_servers_of_their_own(tmp_path: Path) -> None:
    async with (
        running(tmp_path / "one", []) as one,
        running(tmp_path / "two", []) as two,
        speaking(one, "operator") as here,
        speaking(two, "operator") as there,
    ):
        await here.jetstream().add_stream(name=EVENTS, subjects=[EVERY_EVENT])

        assert len(await here.jetstream().streams_info()) == 1
        assert not await there.jetstream().streams_info()


async def test_a_port_that_was_taken_meanwhile_is_left_to_its_taker(tmp_path: Path) -> None:
    with EmbeddedNats(tmp_path, print) as before:
        port = int(before.url.rpartition(":")[2])
    heard: list[str] = []

    with socket.create_server(("127.0.0.1", port)):
        async with running(tmp_path, heard) as nats, speaking(nats, "operator") as client:
            found = int(nats.url.rpartition(":")[2])

            assert client.is_connected

    assert found != port
    assert heard[0] == f"port {port} was taken meanwhile; NATS moves to {found}"


async def test_a_server_that_outlived_its_owner_is_replaced(tmp_path: Path) -> None:
    heard: list[str] = []
    with EmbeddedNats(tmp_path, print) as before:
        orphan = subprocess.Popen(before.child().argv, stderr=subprocess.PIPE)
    with orphan:
        assert orphan.stderr
        assert any(line.endswith(b"Server is ready\n") for line in orphan.stderr)

        async with running(tmp_path, heard) as nats:
            assert server_of(tmp_path) != orphan.pid
            assert not alive(orphan.pid)
            assert nats.url == before.url
    assert heard == [
        "stopping the NATS server that a killed predecessor left running",
        "nats | ready",
    ]


async def test_a_server_that_found_the_disk_full_is_started_anew_when_there_is_room(
    tmp_path: Path,
) -> None:
    heard: list[str] = []
    full = "[1] [ERR] JetStream failed to store a msg: no space left on device"
    with EmbeddedNats(tmp_path, print) as nats:
        argv = ["/bin/sh", "-c", f"echo ready; echo '{full}'; exec sleep 60"]
        mute = replace(nats.child(), argv=argv)

        async with Supervisor([mute], say=heard.append):
            await come_true(lambda: heard.count("nats | ready") == 2)

    assert heard[:5] == [
        "nats | ready",
        f"nats | {full}",
        "nats | is started anew, for the disk has room again",
        "nats was killed by signal 15; starting it again in 0.2 s",
        "nats | ready",
    ]


def test_a_folder_in_use_names_its_holder(tmp_path: Path) -> None:
    with (
        EmbeddedNats(tmp_path, print),
        pytest.raises(EngineError, match=rf"in use by another process \(pid {os.getpid()}\)"),
        EmbeddedNats(tmp_path, print),
    ):
        pass


@pytest.mark.parametrize("name", ["operator", "nats"])
def test_no_process_gets_a_name_that_means_more(tmp_path: Path, name: str) -> None:
    shown = Credentials(ca=tmp_path, certificate=tmp_path, key=tmp_path)

    with pytest.raises(EngineError, match=f"No process can be called {name}"):
        configuration(listen="0.0.0.0:4222", store=tmp_path, shown=shown, processes={name: CATALOG})


def test_a_configuration_for_production_names_given_files() -> None:
    shown = Credentials(
        ca=Path("/tls/ca.crt"), certificate=Path("/tls/tls.crt"), key=Path("/tls/tls.key")
    )

    text = configuration(
        listen="0.0.0.0:4222",
        store=Path("/data"),
        shown=shown,
        processes={"catalog": CATALOG},
        store_bytes=10**10,
        monitoring="0.0.0.0:8222",
    )

    told = msgspec.json.decode(text)
    assert (told["listen"], told["http"]) == ("0.0.0.0:4222", "0.0.0.0:8222")
    assert told["jetstream"]["max_file_store"] == 10**10
    assert told["tls"]["cert_file"] == "/tls/tls.crt"
    assert [user["user"] for user in told["authorization"]["users"]] == [
        "operator.banyan",
        "catalog.banyan",
    ]
