"""The bank's HTTP API."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from litestar import Litestar, Request, Response, get, post
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException, ValidationException
from litestar.params import Parameter

from banyan.kernel.clock import Clock
from banyan.plugins.sandbox import challenge, field, pages
from banyan.plugins.sandbox.bank import Bank
from banyan.plugins.sandbox.cards import Cards
from banyan.plugins.sandbox.desk import Desk
from banyan.plugins.sandbox.ledger import Ledger
from banyan.plugins.sandbox.outbox import Outbox
from banyan.plugins.sandbox.problems import IdempotencyKeyRequired, Problem, problem_document
from banyan.plugins.sandbox.tokens import Manner
from banyan.plugins.sandbox.values import (
    Balance,
    Entry,
    Items,
    NewCapture,
    NewPayment,
    NewRefund,
    Payment,
    Position,
    Redelivered,
    Redelivery,
    Steering,
    Value,
    Webhook,
)
from banyan.plugins.sandbox.vault import Vault
from banyan.plugins.sandbox.webhooks import Courier

Asking = Request[None, None, State]
Key = Annotated[str | None, Parameter(header="Idempotency-Key")]
Name = Annotated[str, Parameter(pattern=r"\A[A-Za-z0-9._:-]{1,100}\Z")]
Since = Annotated[int, Parameter(ge=0)]
Limit = Annotated[int, Parameter(ge=1, le=1000)]

LONGEST_KEY = 255
LARGEST_BODY = 64 * 1024


class Till:
    """Where requests that change something are answered: each key once, one after the other."""

    def __init__(self, desk: Desk, courier: Courier, *, slow_seconds: float) -> None:
        self.desk = desk
        self.courier = courier
        self.slow_seconds = slow_seconds

    async def answer(
        self,
        request: Asking,
        key: str | None,
        act: Callable[[], Value],
        *,
        asked: Value | None = None,
        status: int = 201,
        manner: Manner = "prompt",
    ) -> Response[bytes]:
        """Act, send the early webhooks, and answer in the manner that the token asks for."""
        if not key or len(key) > LONGEST_KEY:
            raise IdempotencyKeyRequired
        said = b"\n".join((request.url.path.encode(), msgspec.json.encode(asked)))
        async with self.desk.turn(key):
            answer = self.desk.once(key, said, act, status=status)
            await self.courier.dispatch()
            if not answer.replayed and manner == "slow":
                await asyncio.sleep(self.slow_seconds)
            if not answer.replayed and manner == "flaky":
                await _hang_up(request)
        refused = answer.status >= 400  # noqa: PLR2004  where HTTP's errors begin
        return Response(
            answer.body,
            status_code=answer.status,
            media_type="application/problem+json" if refused else "application/json",
            headers={"idempotent-replayed": "true"} if answer.replayed else {},
        )


async def _hang_up(request: Asking) -> None:
    """Cut the connection; uvicorn then drops whatever would still be answered."""
    request.state.hang_up()
    while (await request.receive())["type"] != "http.disconnect":
        pass


@post("/v1/payments")
async def authorize(
    *, bank: Bank, cards: Cards, till: Till, request: Asking, data: NewPayment, key: Key = None
) -> Response[bytes]:
    """Hold money on a card, and take it at once with `capture`."""
    manner = cards.read(data.token).manner
    return await till.answer(request, key, lambda: bank.authorize(data), asked=data, manner=manner)


@post("/v1/payments/{name:str}/captures")
async def capture(
    *, bank: Bank, till: Till, request: Asking, name: Name, data: NewCapture, key: Key = None
) -> Response[bytes]:
    """Take held money, in one part or several."""
    return await till.answer(request, key, lambda: bank.capture(name, data), asked=data)


@post("/v1/payments/{name:str}/refunds")
async def refund(
    *, bank: Bank, till: Till, request: Asking, name: Name, data: NewRefund, key: Key = None
) -> Response[bytes]:
    """Return captured money, in one part or several."""
    return await till.answer(request, key, lambda: bank.refund(name, data), asked=data)


@post("/v1/payments/{name:str}/void")
async def void(
    *, bank: Bank, till: Till, request: Asking, name: Name, key: Key = None
) -> Response[bytes]:
    """Let go of whatever is still held; of a reference never seen, refuse whatever comes later."""
    return await till.answer(request, key, lambda: bank.void(name), status=200)


@get("/v1/payments")
async def payments(ledger: Ledger, reference: Name) -> Items[Payment]:
    """Find out what became of a reference: one payment or none."""
    found = ledger.find(reference)
    return Items(items=[found] if found else [])


@get("/v1/payments/{name:str}")
async def payment(bank: Bank, name: Name) -> Payment:
    """One payment, by the bank's id or by the merchant's reference."""
    return bank.payment(name)


@get("/v1/ledger")
async def ledger_entries(ledger: Ledger, since: Since = 0, limit: Limit = 100) -> Items[Entry]:
    """Every movement of money after the entry `since`, oldest first."""
    found = ledger.entries(since=since, limit=limit + 1)
    more = len(found) > limit
    return Items(items=found[:limit], next=found[limit - 1].id if more else None)


@get("/v1/ledger/by-reference")
async def positions(ledger: Ledger, after: str = "", limit: Limit = 100) -> Items[Position]:
    """What the entries of each reference add up to, for each for which money moved."""
    found = ledger.positions(after=after, limit=limit + 1)
    more = len(found) > limit
    return Items(items=found[:limit], next=found[limit - 1].reference if more else None)


@get("/v1/balance")
async def balance(ledger: Ledger) -> Items[Balance]:
    """What all entries of each currency add up to."""
    return Items(items=ledger.balance())


@get("/v1/test/webhooks")
async def webhooks(outbox: Outbox) -> Items[Webhook]:
    """The latest webhooks and what became of them."""
    return Items(items=outbox.webhooks())


@post("/v1/test/webhooks", status_code=200)
async def steer(outbox: Outbox, data: Steering) -> Steering:
    """Let webhooks travel in another way from now on."""
    return outbox.steer(data)


@post("/v1/test/webhooks/deliver", status_code=200)
async def redeliver(courier: Courier, data: Redelivery | None = None) -> Redelivered:
    """Send stored webhooks again now, one after the other."""
    return await courier.redeliver(data or Redelivery())


def _refuse(_: Request[Any, Any, Any], problem: Problem) -> Response[bytes]:
    return _problem(problem.status, problem.document())


def _misunderstand(_: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    status = 422 if isinstance(error, ValidationException) else error.status_code
    details: dict[str, object] = {"errors": error.extra} if error.extra else {}
    code = HTTPStatus(status).name.lower()
    return _problem(status, problem_document(status, code, error.detail, details))


def _fail(_: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    logging.getLogger("banyan.plugins.sandbox").error("The bank failed", exc_info=error)
    return _problem(500, problem_document(500, "fault", "The bank failed"))


def _problem(status: int, document: bytes) -> Response[bytes]:
    return Response(document, status_code=status, media_type="application/problem+json")


def create_app(
    vault: Vault, courier: Courier, bank: Bank, clock: Clock, *, slow_seconds: float
) -> Litestar:
    """Open the bank's counters."""

    @asynccontextmanager
    async def opening_hours(_: Litestar) -> AsyncIterator[None]:
        async with courier:
            yield
        vault.close()

    till = Till(Desk(vault), courier, slow_seconds=slow_seconds)
    staff = {
        "bank": bank,
        "cards": bank.cards,
        "ledger": bank.ledger,
        "outbox": bank.outbox,
        "courier": courier,
        "till": till,
    }
    return Litestar(
        route_handlers=[
            authorize,
            capture,
            refund,
            void,
            payments,
            payment,
            ledger_entries,
            positions,
            balance,
            webhooks,
            steer,
            redeliver,
            challenge.ask,
            challenge.hear,
            field.show,
            field.save,
            pages.asset,
        ],
        dependencies={
            **{name: _on_duty(one) for name, one in staff.items()},
            "today": Provide(lambda: clock.now().date(), sync_to_thread=False),
            "frame": Provide(field.frame, sync_to_thread=False),
        },
        exception_handlers={Problem: _refuse, HTTPException: _misunderstand, Exception: _fail},
        lifespan=[opening_hours],
        openapi_config=None,
        logging_config=None,
        request_max_body_size=LARGEST_BODY,
    )


def _on_duty(one: object) -> Provide:
    return Provide(lambda: one, sync_to_thread=False)
