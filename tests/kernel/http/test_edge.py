"""What passes the edge of the house: who asks, how often, how much, and what is told of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from banyan.kernel import telemetry
from banyan.kernel.contract import Value
from banyan.kernel.edge import MOST_BYTES
from banyan.kernel.http import Controller, JSONBody, Request, build, get, post
from banyan.kernel.telemetry import TelemetrySettings
from banyan.kernel.testing import Bench
from tests.kernel.http.house import BEAR, CAR, JSON, KEEPER, Parts, Porter, flaws
from tests.kernel.http.toybox import ToyboxService, ToyId
from tests.kernel.pond.contract import Pond


class Frog(Value, frozen=True, kw_only=True):
    """The frog that is to leap."""

    name: str


class Frogs(Controller):
    """Frogs that leap when they are asked over HTTP."""

    path = "/frogs"
    pond: Pond

    @post()
    async def leap(self, data: JSONBody[Frog]) -> int:
        """Let a frog leap."""
        return await self.pond.leap(name=data.name)


class Way(Controller):
    """The way by which somebody came."""

    path = "/way"

    @get()
    async def look(self, request: Request) -> str:
        """Tell the scheme of the address that was asked for."""
        return request.url.scheme


@pytest.mark.parametrize(
    ("proxies", "told", "scheme"),
    [
        (0, "https", "http"),
        (1, "https", "https"),
        (1, "HTTPS", "https"),
        (1, "", "http"),
        (1, "ftp", "http"),
        (1, "https, http", "http"),
        (2, "https, http", "https"),
        (2, "https", "https"),
    ],
)
async def test_a_proxy_is_believed_how_a_client_came_to_it_if_it_is_trusted(
    proxies: int, told: str, scheme: str
) -> None:
    app: Any = build([Way], dependencies={}, gate=Porter(), ready=Parts().look, proxies=proxies)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://house") as client:
        answer = await client.get("/way", headers={"x-forwarded-proto": told})

    assert answer.text == scheme


async def test_options_lists_every_method_of_an_address(client: httpx.AsyncClient) -> None:
    answer = await client.options(f"/api/admin/toys/{CAR}", headers=KEEPER)

    assert (answer.status_code, answer.headers["allow"]) == (204, "DELETE, OPTIONS, PATCH")


async def test_head_says_what_get_says_without_the_body(client: httpx.AsyncClient) -> None:
    whole = await client.get(f"/api/store/toys/{CAR}")
    head = await client.head(f"/api/store/toys/{CAR}")

    assert head.content == b""
    assert head.headers["etag"] == whole.headers["etag"]
    assert head.headers["content-length"] == str(len(whole.content))


@pytest.mark.parametrize("headers", [{}, {"idempotency-key": "a"}])
async def test_a_body_that_is_too_large_is_refused(
    client: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b" " * (MOST_BYTES // 2)

    sent = {**KEEPER, **JSON, **headers}

    whole = await client.post("/api/admin/toys", content=b" " * (MOST_BYTES + 1), headers=sent)
    pieces = await client.post("/api/admin/toys", content=chunks(), headers=sent)

    assert (whole.status_code, whole.json()["limit_bytes"]) == (413, MOST_BYTES)
    assert (pieces.status_code, pieces.json()["code"]) == (413, "body_too_large")


async def test_a_stranger_is_asked_for_a_token(client: httpx.AsyncClient) -> None:
    answer = await client.delete(f"/api/admin/toys/{CAR}")

    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("said", ["Bearer stolen", "Bearer", "Basic keeper", "keeper"])
async def test_a_bad_token_opens_not_even_what_is_open(
    client: httpx.AsyncClient, said: str
) -> None:
    answer = await client.get("/api/store/toys", headers={"authorization": said})

    assert answer.status_code == 401


async def test_who_was_not_granted_something_is_told_what(client: httpx.AsyncClient) -> None:
    headers = {"authorization": "Bearer guest"}

    answer = await client.delete(f"/api/admin/toys/{CAR}", headers=headers)

    assert (answer.status_code, answer.json()["permission"]) == (403, "toybox:write")


async def test_a_key_is_demanded_where_a_repeat_would_hurt(client: httpx.AsyncClient) -> None:
    missing = await client.post(f"/api/store/toys/{CAR}/loans", json={"to": "Ann"})
    malformed = await client.post(
        f"/api/store/toys/{CAR}/loans", json={"to": "Ann"}, headers={"idempotency-key": "a b"}
    )

    assert (missing.status_code, missing.json()["code"]) == (400, "idempotency_key_missing")
    assert set(flaws(malformed)) == {"Idempotency-Key"}


async def test_a_key_stands_for_one_request_of_one_caller(
    client: httpx.AsyncClient, box: ToyboxService
) -> None:
    async def lend(toy: ToyId, to: str, key: str, **headers: str) -> None:
        sent = {"idempotency-key": key, **headers}
        await client.post(f"/api/store/toys/{toy}/loans", json={"to": to}, headers=sent)

    await lend(CAR, "Ann", '"k-1"')
    await lend(CAR, "Ann", "k-1")
    await lend(CAR, "Bob", "k-1")
    await lend(BEAR, "Ann", "k-1")
    await lend(BEAR, "Ann", "k-1", **KEEPER)

    first, again, other, elsewhere, known = (key for key in box.keys if key)
    assert first == again
    assert first.fingerprint != other.fingerprint
    assert first.scope == other.scope != elsewhere.scope
    assert known.scope == "keeper"


async def test_a_repeat_with_a_key_has_no_second_effect_and_says_so(
    water: Bench, pond: Pond
) -> None:
    app: Any = build([Frogs], dependencies={"pond": pond}, gate=Porter(), ready=Parts().look)

    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://house",
        headers={"idempotency-key": "k-1"},
    ) as client:
        first = await client.post("/frogs", json={"name": "frog"})
        again = await client.post("/frogs", json={"name": "frog"})
        other = await client.post("/frogs", json={"name": "echo"})

    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json() == await pond.leaps(name="frog") == 1
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (422, "key_reused")


async def test_no_answer_is_kept_or_taken_for_something_else_unless_it_says_so(
    client: httpx.AsyncClient,
) -> None:
    plain = await client.get("/api/store/toys")
    one = await client.get(f"/api/store/toys/{CAR}")
    lost = await client.get("/nowhere")

    for answer in (plain, one, lost):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert plain.headers["cache-control"] == lost.headers["cache-control"] == "no-store"
    assert one.headers["cache-control"] == "private, no-cache"


async def test_a_trace_that_began_elsewhere_goes_on_here(client: httpx.AsyncClient) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    headers = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}

    answer = await client.get("/nowhere", headers=headers)

    assert answer.headers["trace-id"] == answer.json()["trace_id"] == trace


async def test_every_request_is_measured_by_its_route(client: httpx.AsyncClient) -> None:
    telemetry.configure("toys", "one", TelemetrySettings(level="error"))
    try:
        await client.get(f"/api/store/toys/{CAR}")
        await client.get("/nowhere")
        metrics = (await client.get("/metrics")).text
    finally:
        telemetry.close()

    counts = [line for line in metrics.splitlines() if "request_duration_seconds_count" in line]
    assert any('http_route="/api/store/toys/{toy}"' in line for line in counts)
    assert any('http_route="unmatched"' in line and 'code="404"' in line for line in counts)
