"""How often one client may ask: the bucket of each, and what everybody is told of theirs."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from banyan.kernel import openapi
from banyan.kernel.clock import FixedClock
from banyan.kernel.entrance import Gateway, Limits
from banyan.kernel.limits import Limiter, limiter
from banyan.kernel.serve import serve
from banyan.kernel.topology import Engines, Topology, monolith
from tests.kernel.http.house import Parts, house
from tests.kernel.http.toybox import ToyboxService

FEW = Limits(requests_per_minute=1, burst=3)
ADA, BOB = "192.0.2.1", "192.0.2.2"


class Crowd:
    """People at different addresses who stand in front of the same limiter."""

    def __init__(self, limits: Limits = FEW, *, hops: int = 0, folder: Path | None = None) -> None:
        self.clock = FixedClock()
        self.limiter = Limiter(limits, clock=self.clock, trusted_hops=hops, folder=folder)

    def asks(self, peer: str | None, *seen: str) -> bool:
        """Tell whether somebody is granted a request; `seen` is what proxies say of him."""
        headers = [(b"x-forwarded-for", one.encode()) for one in seen]
        client = (peer, 4711) if peer is not None else None
        granted, _ = self.limiter.grant({"headers": headers, "client": client})
        return granted

    def empties(self, peer: str | None, *seen: str) -> int:
        """Count how often somebody is granted a request before he is refused one."""
        return next(times for times in range(100) if not self.asks(peer, *seen))


Enter = Callable[..., httpx.AsyncClient]


@pytest.fixture
def enter(box: ToyboxService, parts: Parts) -> Enter:
    """Let somebody in at an address, into a house that limits how often he may ask."""
    app: Any = house(box, parts, limiter=Crowd().limiter)

    def entering(address: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app, client=(address, 4711))
        return httpx.AsyncClient(transport=transport, base_url="http://house")

    return entering


async def test_each_client_has_a_limit_and_is_told_how_it_stands(enter: Enter) -> None:
    async with enter(ADA) as ada, enter(BOB) as bob:
        granted = [await ada.get("/api/store/toys") for _ in range(3)]
        refused = await ada.get("/api/store/toys")
        other = await bob.get("/nowhere")

    assert [one.headers["ratelimit"] for one in granted] == [
        f'"client";r={left}' for left in (2, 1, 0)
    ]
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_requests")
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["retry-after"] == "60"
    assert refused.headers["ratelimit"] == '"client";r=0'
    assert refused.headers["ratelimit-policy"] == '"client";q=3;w=180'
    assert (other.status_code, other.headers["ratelimit"]) == (404, '"client";r=2')
    assert "retry-after" not in other.headers


async def test_who_looks_after_the_house_is_not_limited(enter: Enter) -> None:
    async with enter(ADA) as ada:
        for _ in range(4):
            await ada.get("/api/store/toys")
        looks = [await ada.get(path) for path in ("/health/live", "/health/ready", "/metrics")]

    assert [one.status_code for one in looks] == [200, 200, 200]
    assert not [one for one in looks if "ratelimit" in one.headers]


async def test_what_is_refused_for_its_token_counts_as_well(enter: Enter) -> None:
    async with enter(ADA) as ada:
        guesses = [
            await ada.get("/api/store/toys", headers={"authorization": f"Bearer {number}"})
            for number in range(4)
        ]

    assert [one.status_code for one in guesses] == [401, 401, 401, 429]


async def test_nobody_is_told_of_limits_where_there_are_none(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/store/toys")
    document = (await client.get("/openapi.json")).json()

    assert not [name for name in answer.headers if name.startswith("ratelimit")]
    assert "too_many_requests" not in str(document["paths"])


async def test_limits_are_documented_with_every_operation(enter: Enter) -> None:
    async with enter(ADA) as ada:
        document = (await ada.get("/openapi.json")).json()

    told = [one["responses"]["429"] for item in document["paths"].values() for one in item.values()]
    assert len(told) > 5
    assert {tuple(one["x-codes"]) for one in told} == {("too_many_requests",)}


def test_a_gateway_that_limits_is_documented_by_those_behind_it(
    box: ToyboxService, parts: Parts
) -> None:
    document = openapi.document(house(box, parts), title="", version="", limited=True)

    assert "429" in document["paths"]["/api/store/toys"]["get"]["responses"]


def test_a_bucket_fills_steadily_and_never_beyond_its_brim() -> None:
    crowd = Crowd(Limits(requests_per_minute=60, burst=5))

    at_once = crowd.empties(ADA)
    crowd.clock.advance(2.5)
    after_some_seconds = crowd.empties(ADA)
    crowd.clock.advance(3600)

    assert (at_once, after_some_seconds, crowd.empties(ADA)) == (5, 2, 5)


def test_who_goes_on_asking_while_refused_waits_no_longer_for_it() -> None:
    crowd = Crowd(Limits(requests_per_minute=60, burst=1))

    crowd.asks(ADA)
    refused = [crowd.asks(ADA) for _ in range(50)]
    crowd.clock.advance(1)

    assert not any(refused)
    assert crowd.asks(ADA)


@given(
    per_minute=st.integers(1, 100_000),
    burst=st.integers(1, 30),
    pauses=st.lists(st.floats(0, 5), max_size=60),
)
def test_nobody_ever_gets_more_than_the_policy_says(
    per_minute: int, burst: int, pauses: list[float]
) -> None:
    crowd = Crowd(Limits(requests_per_minute=per_minute, burst=burst))

    granted = 0
    for pause in pauses:
        crowd.clock.advance(pause)
        granted += crowd.asks(ADA)

    assert min(burst, len(pauses)) <= granted
    assert granted <= burst + crowd.clock.monotonic() * per_minute / 60 + 1e-3


def test_workers_of_one_folder_count_together(tmp_path: Path) -> None:
    one, other, alone = Crowd(folder=tmp_path), Crowd(folder=tmp_path), Crowd()

    granted = [worker.asks(ADA) for worker in (one, other, one, other, alone)]

    assert granted == [True, True, True, False, True]
    assert (tmp_path / "limits").stat().st_mode & 0o077 == 0


def test_what_an_earlier_count_of_the_machine_left_holds_nobody_up(tmp_path: Path) -> None:
    before, after = Crowd(folder=tmp_path), Crowd(folder=tmp_path)
    before.clock.advance(1_000_000)

    before.empties(ADA)

    assert after.empties(ADA) == 3


def test_nobody_takes_the_word_of_a_proxy_that_is_not_trusted() -> None:
    crowd = Crowd(hops=0)

    granted = [crowd.asks(ADA, f"198.51.100.{number}") for number in range(4)]

    assert granted == [True, True, True, False]


async def test_nor_does_the_server_in_front_of_us(box: ToyboxService, parts: Parts) -> None:
    app, ready = house(box, parts, limiter=Crowd().limiter), asyncio.Event()

    async def leave() -> None: ...

    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        serving = asyncio.create_task(serve(app, listening, ready=ready.set, leave=leave))
        await asyncio.wait_for(ready.wait(), timeout=10)
        async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
            answers = [
                await client.get(
                    "/api/store/toys", headers={"x-forwarded-for": f"192.0.2.{number}"}
                )
                for number in range(4)
            ]
        signal.raise_signal(signal.SIGTERM)
        await asyncio.wait_for(serving, timeout=10)

    assert [one.status_code for one in answers] == [200, 200, 200, 429]


@pytest.mark.parametrize(
    ("hops", "seen", "whose"),
    [
        (1, [BOB], BOB),
        (1, [f"203.0.113.9, {BOB}"], BOB),
        (2, [f"203.0.113.9, {BOB}, 198.51.100.1"], BOB),
        (2, [f"203.0.113.9,{BOB}", "198.51.100.1"], BOB),
        (2, [BOB], ADA),
        (1, [], ADA),
        (1, [" , "], ADA),
    ],
)
def test_a_client_is_whom_the_farthest_trusted_proxy_has_seen(
    hops: int, seen: list[str], whose: str
) -> None:
    crowd = Crowd(hops=hops)

    crowd.empties(ADA, *seen)

    assert not crowd.asks("192.0.2.99", *[whose] * hops)


@pytest.mark.parametrize(
    ("address", "like", "unlike"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::7", "2001:db8:1:3::1"),
        ("::ffff:192.0.2.1", ADA, "::ffff:192.0.2.2"),
        ("fe80::1%eth0", "fe80::2", "fe81::1"),
        (None, "unknown", ADA),
    ],
)
def test_who_has_an_address_of_ipv6_has_its_whole_network(
    address: str | None, like: str, unlike: str
) -> None:
    crowd = Crowd()

    crowd.empties(address)

    assert not crowd.asks(like)
    assert crowd.asks(unlike)


def test_behind_a_gateway_a_process_does_not_count_again() -> None:
    told, clock = monolith(), FixedClock()
    limited = Topology(
        engines=told.engines, processes=told.processes, settings={}, gateway=Gateway(limits=FEW)
    )
    behind = Topology(
        engines=Engines(nats="embedded", gateway="embedded"),
        processes=told.processes,
        settings={},
        gateway=Gateway(limits=FEW),
    )

    assert isinstance(limiter(limited, clock, None), Limiter)
    assert limiter(behind, clock, None) is None
    assert limiter(told, clock, None) is None
