"""Who has written over HTTP is told how much it has seen, and brings that along."""

from __future__ import annotations

from collections.abc import AsyncIterator
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import httpx
import pytest

from banyan.kernel.app import App
from banyan.kernel.http import Controller, FromPath, build, get, post
from banyan.kernel.testing import Bench
from tests.kernel.http.house import Parts, Porter
from tests.kernel.pond.contract import Pond
from tests.kernel.pond.module import module
from tests.kernel.replicated import Pair, eventually, replicated


class Frogs(Controller):
    """Frogs that leap, and are looked at, over HTTP."""

    path = "/frogs"
    pond: Pond

    @get("/{name:str}")
    async def look(self, name: FromPath[str]) -> int:
        """Tell how often a frog has leapt."""
        return await self.pond.leaps(name=name)

    @post("/{name:str}")
    async def leap(self, name: FromPath[str]) -> int:
        """Let a frog leap, and look at it."""
        await self.pond.leap(name=name)
        return await self.pond.leaps(name=name)

    @post("/{name:str}/look")
    async def look_before_writing(self, name: FromPath[str]) -> int:
        """Look at a frog in order to decide something."""
        return await self.pond.leaps(name=name)

    @post("/{name:str}/travel")
    async def travel(self, name: FromPath[str]) -> int | None:
        """Let a frog go too far."""
        return await self.pond.travel(name=name, times=6)


def visitor(pond: Pond, scheme: str = "http", *, proxies: int = 0) -> httpx.AsyncClient:
    """Stand before the house, as a browser does: cookies are kept."""
    app: Any = build(
        [Frogs], dependencies={"pond": pond}, gate=Porter(), ready=Parts().look, proxies=proxies
    )
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=f"{scheme}://house")


@pytest.fixture
async def apart(both: Pair, tmp_path: Path) -> AsyncIterator[App]:
    """Open a pond whose replica is read; a frog lives in it."""
    async with replicated(both, module, tmp_path) as app:
        pond = app.ask(Pond)
        await pond.put(name="frog")
        await pond.put(name="probe")

        async def is_read() -> bool:
            async with both.paused(), visitor(pond) as stranger:
                await pond.leap(name="probe")
                seen = (await stranger.get("/frogs/probe")).json()
                return bool(seen < await pond.leaps(name="probe"))

        await eventually(is_read)
        yield app


async def test_a_browser_sees_what_it_wrote_and_a_stranger_what_was_before(
    both: Pair, apart: App
) -> None:
    async with (
        both.paused(),
        visitor(apart.ask(Pond)) as browser,
        visitor(apart.ask(Pond)) as stranger,
    ):
        posted = await browser.post("/frogs/frog")
        seen = [(await one.get("/frogs/frog")).json() for one in (browser, stranger)]

    assert posted.json() == 1
    assert seen == [1, 0]


async def test_a_client_may_send_back_the_header_and_keep_no_cookie(both: Pair, apart: App) -> None:
    async with both.paused(), visitor(apart.ask(Pond)) as client:
        told = (await client.post("/frogs/frog")).headers["banyan-seen"]
        client.cookies.clear()
        with_it = await client.get("/frogs/frog", headers={"banyan-seen": told})
        client.cookies.clear()
        without = await client.get("/frogs/frog")

    assert (with_it.json(), without.json()) == (1, 0)


async def test_whoever_means_to_write_is_not_shown_what_is_late(both: Pair, apart: App) -> None:
    async with both.paused(), visitor(apart.ask(Pond)) as client:
        await apart.ask(Pond).leap(name="frog")
        looked = [await client.post("/frogs/frog/look"), await client.get("/frogs/frog")]

    assert [one.json() for one in looked] == [1, 0]


async def test_the_cookie_is_for_us_only_and_soon_forgotten(apart: App) -> None:
    pond, https = apart.ask(Pond), {"x-forwarded-proto": "https"}
    async with (
        visitor(pond) as plain,
        visitor(pond, "https") as safe,
        visitor(pond, proxies=1) as behind_tls,
    ):
        everybody = (plain, safe, behind_tls)
        answers = [await one.post("/frogs/frog", headers=https) for one in everybody]

    cookies = [SimpleCookie(one.headers["set-cookie"])["banyan-seen"] for one in answers]
    for one, answer in zip(cookies, answers, strict=True):
        assert one.value == answer.headers["banyan-seen"]
        assert (one["path"], one["max-age"], one["samesite"]) == ("/", "600", "Lax")
        assert one["httponly"]
    assert [bool(one["secure"]) for one in cookies] == [False, True, True]


async def test_a_refusal_tells_what_was_written_before_it(apart: App) -> None:
    async with visitor(apart.ask(Pond)) as client:
        refused = await client.post("/frogs/frog/travel")

    assert refused.status_code == 409
    assert ".pond:" in refused.headers["banyan-seen"]


async def test_who_only_reads_is_told_nothing(apart: App) -> None:
    async with visitor(apart.ask(Pond)) as client:
        answer = await client.get("/frogs/frog", headers={"banyan-seen": "1.pond:7.sea:9"})

    assert "banyan-seen" not in answer.headers
    assert "set-cookie" not in answer.headers


async def test_what_was_brought_along_of_others_is_kept(apart: App) -> None:
    async with visitor(apart.ask(Pond)) as client:
        answer = await client.post("/frogs/frog", headers={"cookie": "a=b; banyan-seen=1.sea:9"})

    assert answer.headers["banyan-seen"].startswith("1.sea:9.pond:")


async def test_without_a_replica_there_is_neither_header_nor_cookie(
    water: Bench, pond: Pond
) -> None:
    async with visitor(pond) as client:
        answer = await client.post("/frogs/frog")

    assert answer.status_code == 201
    assert "banyan-seen" not in answer.headers
    assert "set-cookie" not in answer.headers
