"""The HTTP face of notifications."""

from __future__ import annotations

from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from msgspec.structs import replace

from banyan.kernel.http import build
from banyan.kernel.ids import derived
from banyan.kernel.security import TokenGate, fingerprint
from banyan.kernel.testing import Bench, Server, bench
from banyan.modules.notifications.module import module
from banyan.modules.ordering.contract import OrderConfirmed
from banyan.vocabulary import OrderId
from tests.modules.notifications.examples import ORDER, Mailbox

MESSAGES = "/api/admin/messages"
CONFIRMATION = f"{MESSAGES}/{derived(ORDER.id, 'order_confirmed')}"


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
async def shop(server: Server, tmp_path: Path, mailbox: Mailbox) -> AsyncIterator[Bench]:
    async with bench(server, [module], folder=tmp_path, plugins=[mailbox.plugin()]) as made:
        yield made


@pytest.fixture
async def http(shop: Bench) -> AsyncIterator[httpx.AsyncClient]:
    app: Any = build(
        shop.app.routes(),
        dependencies=shop.app.dependencies(),
        gate=TokenGate(fingerprint("open sesame")),
        ready=shop.app.ready,
    )
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://shop",
        headers={"authorization": "Bearer open sesame"},
    ) as client:
        yield client


async def test_messages_are_listed_page_by_page_without_addresses(
    shop: Bench, http: httpx.AsyncClient
) -> None:
    for number in range(1, 4):
        await shop.hear(OrderConfirmed(order=replace(ORDER, id=OrderId(UUID(int=number)))))

    first = await http.get(MESSAGES, params={"limit": 2})
    second = await http.get(MESSAGES, params={"limit": 2, "cursor": first.json()["next"]})
    about = await http.get(MESSAGES, params={"about": str(ORDER.id)})

    listed = [*first.json()["items"], *second.json()["items"]]
    assert [one["about"][-1] for one in listed] == ["3", "2", "1"]
    assert second.json()["next"] is None
    assert about.json()["items"] == listed[-1:]
    assert ORDER.email not in first.text


async def test_a_message_is_shown_as_a_page_that_can_do_nothing(
    shop: Bench, http: httpx.AsyncClient
) -> None:
    await shop.hear(OrderConfirmed(order=ORDER))

    preview = await http.get(CONFIRMATION)
    shown = await http.get(f"{CONFIRMATION}/html", headers={"accept": "text/html"})

    policy = shown.headers["content-security-policy"].split("; ")
    assert preview.json()["subject"] == "Your order 1042 at Banyan"
    assert shown.text == preview.json()["html"]
    assert shown.headers["content-type"] == "text/html; charset=utf-8"
    assert {"sandbox", "default-src 'none'"} <= {*policy}
    assert shown.headers["cache-control"] == "no-store"


async def test_a_message_is_sent_once_more(
    shop: Bench, http: httpx.AsyncClient, mailbox: Mailbox
) -> None:
    await shop.hear(OrderConfirmed(order=ORDER))

    resent = await http.post(f"{CONFIRMATION}/resend")
    await shop.settle()

    assert (resent.status_code, resent.json()["state"]) == (HTTPStatus.ACCEPTED, "pending")
    assert len(mailbox.taken) == 2


async def test_an_unknown_message_is_not_found(http: httpx.AsyncClient) -> None:
    answers = [
        await http.get(f"{MESSAGES}/{ORDER.id}"),
        await http.get(f"{MESSAGES}/{ORDER.id}/html"),
        await http.post(f"{MESSAGES}/{ORDER.id}/resend"),
    ]

    assert {answer.json()["code"] for answer in answers} == {"unknown_message"}


@pytest.mark.parametrize("path", [MESSAGES, CONFIRMATION, f"{CONFIRMATION}/html"])
async def test_strangers_are_not_told_anything(http: httpx.AsyncClient, path: str) -> None:
    refused = await http.get(path, headers={"authorization": ""})

    assert refused.status_code == HTTPStatus.UNAUTHORIZED
