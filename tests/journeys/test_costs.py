"""What shoppers cost the database: statements and commits, which no busy machine can blur.

Whoever makes an operation cheaper writes the lower number down; whoever makes it dearer has to say
why.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import httpx
import pytest

from banyan.kernel.app import App
from banyan.kernel.http import build
from banyan.kernel.security import TokenGate, fingerprint
from banyan.kernel.tally import statements
from banyan.kernel.testing import Server
from tests.journeys.house import furnish, house, opened, settle
from tests.journeys.running import ADA
from tests.plugins.sandbox_process import SandboxProcess


class Cost(NamedTuple):
    """How many statements an operation ran, and how many commits made what they did last."""

    statements: int
    commits: int


class Till:
    """A shop in this process, and what its modules run."""

    def __init__(self, app: App, shopper: httpx.AsyncClient) -> None:
        self.app = app
        self.shopper = shopper

    async def ask(self, method: str, path: str, body: object = None, **headers: str) -> object:
        """Ask over HTTP for what must be given."""
        told = await self.shopper.request(method, path, json=body, headers=headers)
        return told.raise_for_status().json()

    def spent(self) -> dict[str, Cost]:
        """Tell what each module has run since it was asked before."""
        run, statements.run = statements.run, []
        commits = Counter(module for module, sql in run if sql == "COMMIT")
        every = Counter(module for module, sql in run if sql not in ("BEGIN", "COMMIT"))
        return {module: Cost(every[module], commits[module]) for module in sorted(every)}


@pytest.fixture
async def till(server: Server, bank: SandboxProcess, tmp_path: Path) -> AsyncIterator[Till]:
    """Open a shop whose background works only when it is told to."""
    async with (
        server.fresh(house().modules) as database,
        opened(server, database, bank, tmp_path) as app,
    ):
        await furnish(app)
        face = build(
            app.routes(),
            dependencies=app.dependencies(),
            gate=TokenGate(fingerprint("nobody")),
            ready=app.ready,
        )
        transport = httpx.ASGITransport(face)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as shopper:
            statements.watching, statements.run = True, []
            yield Till(app, shopper)
            statements.watching = False


@pytest.mark.parametrize(
    "path",
    ["/api/store/products?limit=24", "/api/store/products?q=lamp", "/api/store/products/lamp"],
)
async def test_what_is_looked_at_is_read_in_one_statement(till: Till, path: str) -> None:
    await till.ask("GET", path)

    assert till.spent() == {"search": Cost(statements=1, commits=0)}


async def test_an_item_is_added_to_a_new_cart(till: Till) -> None:
    await _filled(till)

    assert till.spent() == {"ordering": Cost(statements=4, commits=2)}


async def test_a_cart_is_made_ready_and_ordered(till: Till) -> None:
    cart = await _filled(till)
    here = f"/api/store/carts/{cart}"
    await till.ask("PATCH", here, {"email": "ada@example.com", "shipping_address": ADA})
    await till.ask("GET", f"{here}/shipping-methods")
    await till.ask("PATCH", here, {"shipping_method": "post"})

    assert till.spent() == {
        "fulfillment": Cost(statements=2, commits=0),
        "ordering": Cost(statements=9, commits=4),
        "pricing": Cost(statements=2, commits=0),
    }

    payment = {"payment": {"method": "sandbox", "token": "tok_ok"}}
    await till.ask("POST", f"{here}/checkout", payment, **{"idempotency-key": str(cart)})

    assert till.spent() == {
        "fulfillment": Cost(statements=1, commits=0),
        "inventory": Cost(statements=6, commits=2),
        "ordering": Cost(statements=7, commits=3),
        "payments": Cost(statements=2, commits=2),
        "pricing": Cost(statements=1, commits=0),
    }

    await settle(till.app)  # Mail, capture and search, each of which has looked until all is done.

    after = till.spent()
    assert sum(one.statements for one in after.values()) <= 44
    assert sum(one.commits for one in after.values()) <= 8


async def _filled(till: Till) -> UUID:
    cart = await till.ask("POST", "/api/store/carts", {"market": "eu"})
    assert isinstance(cart, dict)
    await till.ask("POST", f"/api/store/carts/{cart['id']}/lines", {"sku": "LAMP", "quantity": 1})
    return UUID(cart["id"])
