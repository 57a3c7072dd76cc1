"""The door of a running shop: private, patient, and plain about what it will not do."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from banyan.engines.control import (
    Answer,
    Progress,
    Request,
    Restart,
    Scale,
    Standings,
    Status,
    ask,
    numbers,
    open_door,
)
from banyan.engines.trouble import EngineError


async def porter(request: Request, tell: Callable[[Answer], None]) -> None:
    """Do as if."""
    match request:
        case Status():
            tell(Standings(processes=()))
        case Scale(wanted=wanted):
            tell(Progress(line=f"{wanted}"))
        case Restart(process="hanging"):
            tell(Progress(line="begun"))
            await asyncio.sleep(60)
        case Restart():
            raise EngineError("not today.")


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[Path]:
    async with open_door(tmp_path, porter):
        yield tmp_path


async def asked(folder: Path, request: Request) -> list[object]:
    return await asyncio.to_thread(lambda: list(ask(folder, request)))


async def test_what_is_asked_is_answered_as_it_is_done(folder: Path) -> None:
    status = await asked(folder, Status())
    scaled = await asked(folder, Scale(wanted={"catalog": 3}))

    assert status == [Standings(processes=())]
    assert scaled == [Progress(line="{'catalog': 3}")]


async def test_a_refusal_says_why(folder: Path) -> None:
    with pytest.raises(EngineError, match=r"^not today\.$"):
        await asked(folder, Restart())


async def test_only_the_owner_may_come_in(folder: Path) -> None:
    mode = (folder / "control").stat().st_mode & 0o777

    assert mode == 0o600


async def test_what_is_no_request_is_refused_and_the_next_is_heard(folder: Path) -> None:
    reader, writer = await asyncio.open_unix_connection(folder / "control")

    writer.write(b'nonsense\n{"type":"explode"}\n{"type":"status"}\n')
    answers = [await asyncio.wait_for(reader.readline(), 5) for _ in range(4)]
    writer.close()

    assert [line.split(b'"')[3] for line in answers] == [
        b"refused",
        b"refused",
        b"standings",
        b"done",
    ]


async def test_who_asks_is_told_when_the_shop_stops_meanwhile(tmp_path: Path) -> None:
    async with open_door(tmp_path, porter):
        reader, writer = await asyncio.open_unix_connection(tmp_path / "control")
        writer.write(b'{"type":"restart","process":"hanging"}\n')
        begun = await asyncio.wait_for(reader.readline(), 5)

    told = await asyncio.wait_for(reader.readline(), 5)
    writer.close()

    assert b"begun" in begun
    assert b"the shop is stopping" in told


def test_where_no_shop_runs_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"no shop runs in .*banyan up"):
        list(ask(tmp_path, Status()))


async def test_a_socket_that_a_killed_shop_left_is_taken_over(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "control"))

    with pytest.raises(EngineError, match="no shop runs"):
        await asked(tmp_path, Status())
    async with open_door(tmp_path, porter):
        status = await asked(tmp_path, Status())

    assert status == [Standings(processes=())]
    assert not (tmp_path / "control").exists()


async def test_a_path_too_long_for_a_socket_moves_it_to_the_temp_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("long" * 30)
    deep.mkdir()

    with TemporaryDirectory() as short:
        monkeypatch.setattr("tempfile.tempdir", short)
        async with open_door(deep, porter):
            status = await asked(deep, Status())
            (place,) = Path(short).glob("banyan-control-*")
            mode = place.stat().st_mode & 0o777

    assert status == [Standings(processes=())]
    assert mode == 0o700
    assert not (deep / "control").exists()


def test_numbers_are_read_as_people_write_them() -> None:
    assert numbers(["catalog=3", "ordering=1"]) == {"catalog": 3, "ordering": 1}


@pytest.mark.parametrize("told", ["catalog", "catalog=", "=3", "catalog=-1", "catalog=many"])
def test_what_is_no_number_of_a_process_is_refused(told: str) -> None:
    with pytest.raises(EngineError, match="write catalog=3"):
        numbers([told])
