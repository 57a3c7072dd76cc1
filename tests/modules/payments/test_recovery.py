"""What becomes of money when an answer is lost, a process dies, or two want different things."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from banyan.kernel.clock import Clock
from banyan.kernel.link import Unavailable
from banyan.kernel.module import Plugin
from banyan.kernel.testing import Server
from banyan.modules.payments.contract import (
    NotAuthorized,
    Payment,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentDeclined,
    PaymentFailed,
)
from banyan.modules.payments.ports import PaymentProvider, Standing, Subject
from banyan.plugins.sandbox.provider import SandboxProvider
from banyan.plugins.sandbox.settings import SandboxSettings
from banyan.vocabulary import Money, PaymentId
from tests.modules.payments.counter import (
    IDS,
    TEN,
    Counter,
    counting,
    dying,
    euros,
    open_counter,
    some_payment,
)
from tests.plugins.sandbox_merchant import REFUSE
from tests.plugins.sandbox_process import SandboxProcess

WAITING_SECONDS = 95
"""Enough for what is under way to be due, and for the job to come by."""


@pytest.fixture
async def impatient(server: Server, bank: SandboxProcess, tmp_path: Path) -> AsyncIterator[Counter]:
    """A counter that does not wait as long as the bank takes for `tok_slow`."""
    hurry = {"sandbox": {"timeout_seconds": 0.25}}
    async with open_counter(server, bank, tmp_path, configured=hurry) as counter:
        yield counter


async def test_an_answer_that_is_too_slow_is_unknown_and_found_later(impatient: Counter) -> None:
    payment = some_payment()

    with pytest.raises(Unavailable):
        await impatient.authorize(payment, "tok_slow")
    unknown = await impatient.payments.payment(payment=payment)
    found = await again_until_answered(impatient, payment, "tok_slow")

    assert (unknown.state, found.state) == ("pending", "authorized")
    assert impatient.held(payment) == (1000, 0, 0, 0)
    assert await impatient.story() == [PaymentAuthorized]


async def again_until_answered(counter: Counter, payment: PaymentId, token: str) -> Payment:
    """Ask again as a saga does; the bank answers a key once, and the next one waits for it."""
    for _ in range(10):
        try:
            return await counter.authorize(payment, token)
        except Unavailable:
            await asyncio.sleep(0)
    raise AssertionError("the bank never answers")


async def test_a_connection_that_drops_after_the_charge_charges_once(counter: Counter) -> None:
    payment = some_payment()

    with pytest.raises(Unavailable):
        await counter.authorize(payment, "tok_flaky")
    found = await counter.authorize(payment, "tok_flaky")

    assert found.state == "authorized"
    assert counter.held(payment) == (1000, 0, 0, 0)
    assert await counter.story() == [PaymentAuthorized]


async def test_a_payment_that_nobody_carries_on_learns_its_fate_by_itself(
    counter: Counter,
) -> None:
    payment = some_payment()
    with pytest.raises(Unavailable):
        await counter.authorize(payment, "tok_flaky")

    await counter.house.pass_time(WAITING_SECONDS)

    assert (await counter.payments.payment(payment=payment)).state == "authorized"
    assert await counter.balances(payment) == {
        "provider:sandbox:authorized": 1000,
        "orders:authorized": -1000,
    }


async def test_a_bank_that_is_away_is_unavailable_and_nothing_is_lost(
    server: Server, tmp_path: Path
) -> None:
    bank = SandboxProcess(tmp_path / "bank")
    payment, capture = some_payment(), IDS.new()
    with bank:
        async with open_counter(server, bank, tmp_path) as counter:
            await counter.authorize(payment)
            bank.kill()
            with pytest.raises(Unavailable):
                await counter.payments.capture(payment=payment, capture=capture)
            with pytest.raises(Unavailable):
                await counter.payments.refresh(payment=payment)
            await counter.house.pass_time(WAITING_SECONDS)
            waiting = await counter.payments.payment(payment=payment)

            bank.start()
            await counter.house.pass_time(2 * WAITING_SECONDS)

            assert [transfer.state for transfer in waiting.transfers] == ["pending"]
            assert (await counter.payments.payment(payment=payment)).captured == TEN
            assert counter.held(payment) == (1000, 1000, 0, 0)
            assert await counter.findings() == []


@pytest.mark.parametrize(
    "point",
    [
        "after commit payments",
        "before call sandbox.authorize",
        "after call sandbox.authorize",
    ],
)
async def test_whenever_a_process_dies_in_an_authorization_the_next_finds_the_same_money(
    counter: Counter, point: str
) -> None:
    payment = some_payment()
    with dying(point):
        await counter.authorize(payment)
    pending = await counter.payments.payment(payment=payment)

    found = await counter.authorize(payment)

    assert (pending.state, found.state) == ("pending", "authorized")
    assert counter.held(payment) == (1000, 0, 0, 0)
    assert await counter.story() == [PaymentAuthorized]


@pytest.mark.parametrize("point", ["before call sandbox.capture", "after call sandbox.capture"])
async def test_a_capture_whose_process_died_is_finished_by_the_job(
    counter: Counter, point: str
) -> None:
    payment, capture = some_payment(), IDS.new()
    await counter.authorize(payment)
    with dying(point):
        await counter.payments.capture(payment=payment, capture=capture, amount=euros(600))

    await counter.house.pass_time(WAITING_SECONDS)

    found = await counter.payments.payment(payment=payment)
    assert (found.captured, [t.state for t in found.transfers]) == (euros(600), ["done"])
    assert counter.held(payment) == (1000, 600, 0, 0)
    assert await counter.story() == [PaymentAuthorized, PaymentCaptured]
    assert (await counter.payments.capture(payment=payment, capture=capture)) == found


@pytest.mark.parametrize("point", ["before call sandbox.void", "after call sandbox.void"])
async def test_a_void_whose_process_died_is_finished_by_the_job(
    counter: Counter, point: str
) -> None:
    payment = some_payment()
    await counter.authorize(payment)
    with dying(point):
        await counter.payments.void(payment=payment)

    await counter.house.pass_time(WAITING_SECONDS)

    assert counter.held(payment) == (1000, 0, 1000, 0)
    assert await counter.balances(payment) == {}
    assert await counter.story() == [PaymentAuthorized, PaymentFailed]


@pytest.mark.parametrize(
    "point", ["after commit payments", "before call sandbox.void", "after call sandbox.void"]
)
async def test_a_release_whose_process_died_takes_no_more_and_is_finished_by_the_job(
    counter: Counter, point: str
) -> None:
    payment = await partly_taken(counter)
    with dying(point):
        await counter.payments.void(payment=payment)
    with pytest.raises(NotAuthorized):
        await counter.payments.capture(payment=payment, capture=IDS.new())

    await counter.house.pass_time(WAITING_SECONDS)

    assert counter.held(payment) == (1000, 600, 400, 0)
    assert await counter.balances(payment) == {
        "provider:sandbox:captured": 600,
        "orders:captured": -600,
    }
    assert await counter.story() == [PaymentAuthorized, PaymentCaptured]
    assert await counter.findings(payment) == []


async def test_a_refund_in_the_middle_of_a_release_does_not_make_it_forgotten(
    counter: Counter,
) -> None:
    payment = await partly_taken(counter)
    with dying("before call sandbox.void"):
        await counter.payments.void(payment=payment)

    await counter.payments.refund(payment=payment, refund=IDS.new(), amount=euros(100))
    with dying("before call sandbox.refund"):
        await counter.payments.refund(payment=payment, refund=IDS.new(), amount=euros(50))
    await counter.house.pass_time(WAITING_SECONDS)

    assert counter.held(payment) == (1000, 600, 400, 150)
    assert await counter.findings(payment) == []


async def test_a_capture_that_died_half_way_and_a_release_end_with_nothing_held(
    counter: Counter,
) -> None:
    payment, capture = some_payment(), IDS.new()
    await counter.authorize(payment)
    with dying("after call sandbox.capture"):
        await counter.payments.capture(payment=payment, capture=capture, amount=euros(600))

    await counter.payments.void(payment=payment)

    released = await counter.payments.payment(payment=payment)
    assert (released.state, released.captured) == ("released", euros(600))
    assert counter.held(payment) == (1000, 600, 400, 0)


async def test_many_who_take_parts_and_void_at_once_leave_nothing_held(counter: Counter) -> None:
    payments = [await partly_taken(counter) for _ in range(6)]

    answers = await asyncio.gather(
        *(
            counter.payments.capture(payment=payment, capture=IDS.new(), amount=euros(150))
            for payment in payments
        ),
        *(counter.payments.void(payment=payment) for payment in payments * 2),
        return_exceptions=True,
    )

    assert {type(one) for one in answers} <= {Payment, NotAuthorized, type(None)}
    for payment in payments:
        authorized, captured, voided, _ = counter.held(payment)
        found = await counter.payments.payment(payment=payment)
        assert (found.state, found.captured.amount) == ("released", captured)
        assert captured in (600, 750)
        assert authorized == captured + voided
    await counter.house.pass_time(WAITING_SECONDS)
    assert await counter.findings(*payments) == []


async def partly_taken(counter: Counter) -> PaymentId:
    """Set 1000 aside, and take 600."""
    payment = some_payment()
    await counter.authorize(payment)
    await counter.payments.capture(payment=payment, capture=IDS.new(), amount=euros(600))
    return payment


async def test_a_void_while_the_bank_takes_its_time_leaves_no_money_held(
    counter: Counter,
) -> None:
    payment = some_payment()
    authorizing = asyncio.ensure_future(counter.authorize(payment, "tok_slow"))
    await until_the_bank_knows(counter, payment)

    await counter.payments.void(payment=payment)

    with pytest.raises(PaymentDeclined) as refused:
        await authorizing
    assert refused.value.reason == "voided"
    assert counter.held(payment) == (1000, 0, 1000, 0)
    assert await counter.balances(payment) == {}
    assert await counter.story() == [PaymentFailed]


async def until_the_bank_knows(counter: Counter, payment: PaymentId) -> None:
    for _ in range(500):
        asked = counter.merchant.client.get("/v1/payments", params={"reference": str(payment)})
        if asked.json()["items"]:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the bank was never asked")


class Hesitant(SandboxProvider):
    """Asks the bank for money only once it is let."""

    def __init__(self, settings: SandboxSettings, clock: Clock) -> None:
        super().__init__(settings, clock)
        self.asked, self.let = asyncio.Event(), asyncio.Event()

    async def authorize(
        self, subject: Subject, *, amount: Money, token: str, return_url: str
    ) -> Standing:
        self.asked.set()
        await self.let.wait()
        return await super().authorize(subject, amount=amount, token=token, return_url=return_url)


@pytest.fixture
async def hesitant(server: Server, bank: SandboxProcess, tmp_path: Path) -> AsyncIterator[Counter]:
    plugin = Plugin(name="sandbox", fills={PaymentProvider: Hesitant})
    async with open_counter(server, bank, tmp_path, plugins=[plugin]) as counter:
        yield counter


async def test_a_void_that_overtakes_the_authorization_leaves_no_money_held(
    hesitant: Counter,
) -> None:
    payment, provider = some_payment(), hesitant.service.providers["sandbox"]
    assert isinstance(provider, Hesitant)
    authorizing = asyncio.ensure_future(hesitant.authorize(payment))
    await provider.asked.wait()

    await hesitant.payments.void(payment=payment)
    provider.let.set()

    with pytest.raises(PaymentDeclined):
        await authorizing
    assert hesitant.held(payment) == (0, 0, 0, 0)
    assert hesitant.merchant.payment(str(payment))["status"] == "declined"
    assert await hesitant.payments.ledger(payment=payment) == ()


async def test_many_who_authorize_and_void_at_once_leave_no_money_held(counter: Counter) -> None:
    payments = [some_payment() for _ in range(12)]

    await asyncio.gather(
        *(counter.authorize(payment) for payment in payments),
        *(counter.payments.void(payment=payment) for payment in payments),
        return_exceptions=True,
    )

    for payment in payments:
        asked = counter.merchant.client.get("/v1/payments", params={"reference": str(payment)})
        for found in asked.json()["items"]:
            assert found["authorized"] == found["voided"], found
        assert await counter.balances(payment) == {}
    await counter.house.pass_time(WAITING_SECONDS)
    assert await counter.findings(*payments) == []


async def test_a_shopper_who_says_no_while_no_webhook_comes_is_noticed(counter: Counter) -> None:
    payment = some_payment()
    asked = await counter.authorize(payment, "tok_challenge_never")
    counter.merchant.client.post(str(asked.redirect_url), data=REFUSE)

    await counter.house.pass_time(WAITING_SECONDS)

    assert (await counter.payments.payment(payment=payment)).state == "declined"
    (failed,) = await counter.told(PaymentFailed)
    assert failed.reason == "authentication_failed"


async def test_the_longer_the_bank_has_nothing_to_say_the_less_it_is_asked(
    counter: Counter,
) -> None:
    payment = some_payment()
    await counter.authorize(payment, "tok_challenge")

    with counting("before call sandbox.look") as looks:
        for _ in range(120):
            await counter.house.pass_time(30)

    assert 4 <= len(looks) <= 8
