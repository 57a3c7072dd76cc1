"""The orders of the shop: a list to search, and one with all that has happened to it."""

from __future__ import annotations

from datetime import date
from typing import Annotated
from uuid import UUID

from msgspec import Meta, structs

from banyan.channels.backoffice.desk import HOME, Office, address
from banyan.kernel import form
from banyan.kernel.contract import Value
from banyan.kernel.http import Answer, FromPath, Request, get
from banyan.kernel.ids import Ids
from banyan.kernel.paging import after, page
from banyan.modules.notifications.contract import Notifications
from banyan.modules.ordering.contract import Order, Ordering, OrderState
from banyan.modules.pricing.contract import Pricing
from banyan.vocabulary import MarketCode, OrderId

ORDERS = f"{HOME}/orders"
LIMIT = 25
FLAWS = {
    "since": "From: a day such as 2026-11-30.",
    "until": "Until: a day such as 2026-11-30.",
    "state": "State: one of the list.",
}


class Filters(Value, frozen=True, kw_only=True):
    """Which orders are listed, and from where on; `q` is an address or how a number begins."""

    q: Annotated[str, Meta(max_length=254)] = ""
    state: OrderState | None = None
    market: Annotated[str, Meta(max_length=32)] = ""
    since: date | None = None
    until: date | None = None
    cursor: Annotated[str, Meta(max_length=1024)] = ""


class Orders(Office):
    """The list of orders."""

    path = ORDERS
    ordering: Ordering
    pricing: Pricing

    @get(media_type="text/html")
    async def browse(self, request: Request) -> Answer[bytes]:
        """List orders, newest first."""
        told = form.read(request.url.query, Filters)
        sought = told.value or Filters()
        found = await self._found(sought) if told.value else ()
        listed = page(found, limit=LIMIT, place=lambda order: order.id)
        filters = structs.asdict(sought) | {"cursor": ""}
        return self.page(
            request,
            "orders.html",
            status=200 if told.value else 422,
            told=told,
            flaws={name: FLAWS.get(name, "This is too long.") for name in told.flaws},
            orders=listed.items,
            markets=[(one.code, one.title) for one in await self.pricing.markets()],
            filtered=any(filters.values()),
            next=address(ORDERS, **filters | {"cursor": listed.next}) if listed.next else "",
            first=address(ORDERS, **filters) if sought.cursor else "",
        )

    async def _found(self, sought: Filters) -> tuple[Order, ...]:
        q = sought.q.removeprefix("#")
        return await self.ordering.orders(
            state=sought.state,
            number=q if q and "@" not in q else None,
            email=q if "@" in q else None,
            market=MarketCode(sought.market) if sought.market else None,
            since=self.backoffice.begin(sought.since) if sought.since else None,
            until=self.backoffice.end(sought.until) if sought.until else None,
            before=after(sought.cursor or None, OrderId),
            limit=LIMIT + 1,
        )


class Mails(Office):
    """The mails about an order, as they were or will be read."""

    path = f"{ORDERS}/{{order:str}}/mails/{{message:str}}"
    ordering: Ordering
    notifications: Notifications
    ids: Ids

    @get(media_type="text/html")
    async def preview(
        self, request: Request, order: FromPath[OrderId], message: FromPath[UUID]
    ) -> Answer[bytes]:
        """Show a mail, and a button that sends it once more."""
        return self.page(
            request,
            "order_mail.html",
            order=await self.ordering.order(order=order),
            message=message,
            once=self.ids.new(),
            mail=await self.notifications.preview(message=message),
            frames=("'self'",),
        )

    @get("/body", media_type="text/html")
    async def body(self, order: FromPath[OrderId], message: FromPath[UUID]) -> Answer[bytes]:  # noqa: ARG002 - the route has it
        """Return what the mail looks like, for a frame: nothing in it runs or leads away."""
        mail = await self.notifications.preview(message=message)
        rules = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
        return Answer(
            mail.html.encode(),
            media_type="text/html",
            headers={
                "cache-control": "private, no-store",
                "content-security-policy": f"{rules}; frame-ancestors 'self'; sandbox",
            },
        )


routes = [Orders, Mails]
