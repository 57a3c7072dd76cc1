"""The doctor finds where our ledger and the bank's differ, and mends what can be mended."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from banyan.kernel.link import Unavailable
from banyan.kernel.testing import Server
from tests.modules.payments.counter import (
    IDS,
    TEN,
    Counter,
    dying,
    euros,
    open_counter,
    some_payment,
)
from tests.plugins.sandbox_process import SandboxProcess

A_WHILE_SECONDS = 16 * 60
A_DAY_SECONDS = 25 * 3600


@pytest.fixture
async def counter(server: Server, tmp_path: Path) -> AsyncIterator[Counter]:
    """A counter whose bank nobody else uses."""
    with SandboxProcess(tmp_path / "bank") as bank:
        async with open_counter(server, bank, tmp_path) as counter:
            yield counter


async def test_a_healthy_shop_has_no_findings(counter: Counter) -> None:
    payment = await counter.captured()
    await counter.payments.refund(payment=payment, refund=IDS.new(), amount=euros(10))
    voided, released, waiting = some_payment(), some_payment(), some_payment()
    for one in (voided, released):
        await counter.authorize(one)
    await counter.payments.capture(payment=released, capture=IDS.new(), amount=euros(600))
    for one in (voided, released):
        await counter.payments.void(payment=one)
    await counter.authorize(waiting, "tok_challenge")

    assert await counter.findings() == []


async def test_what_happened_at_the_bank_alone_is_found_and_recorded(counter: Counter) -> None:
    taken, given_back = some_payment(), await counter.captured()
    voided, released = some_payment(), some_payment()
    for payment in (taken, voided, released):
        await counter.authorize(payment)
    counter.merchant.capture(str(taken), 700)
    counter.merchant.refund(str(given_back), 1000)
    counter.merchant.void(str(voided))
    counter.merchant.capture(str(released), 600)
    counter.merchant.void(str(released))
    before = await counter.findings()

    done = await counter.service.mend_providers()

    assert len(before) == len(done) == 4
    assert (
        f"payment {taken}: sandbox says EUR authorized 1000, captured 700, voided 0, refunded 0; "
        "the ledger says EUR authorized 1000, captured 0, voided 0, refunded 0"
    ) in before
    assert await counter.findings() == []
    assert (await counter.payments.payment(payment=taken)).captured == euros(700)
    assert (await counter.payments.payment(payment=given_back)).refunded == TEN
    assert (await counter.payments.payment(payment=voided)).state == "voided"
    assert (await counter.payments.payment(payment=released)).state == "released"


async def test_money_that_is_held_for_nobody_is_found_and_let_go(counter: Counter) -> None:
    stray = IDS.new()
    counter.merchant.authorize(str(stray))
    counter.merchant.authorize("order-of-another-shop")
    (finding,) = await counter.findings()

    (done,) = await counter.service.mend_providers()

    assert finding.startswith(f"payment {stray}: sandbox says EUR authorized 1000")
    assert finding.endswith("the ledger says nothing")
    assert done == f"payment {stray}: let go at sandbox, it is unknown here"
    assert counter.merchant.payment(str(stray))["status"] == "voided"
    assert counter.merchant.payment("order-of-another-shop")["status"] == "authorized"


async def test_a_rest_that_is_held_for_nobody_is_let_go_and_what_was_taken_stays(
    counter: Counter,
) -> None:
    stray = IDS.new()
    counter.merchant.authorize(str(stray))
    counter.merchant.capture(str(stray), 600)

    (done,) = await counter.service.mend_providers()

    assert done == f"payment {stray}: let go at sandbox, it is unknown here"
    assert counter.merchant.payment(str(stray))["voided"]["amount"] == 400


async def test_a_release_that_waits_too_long_is_found_and_finished(counter: Counter) -> None:
    payment = some_payment()
    await counter.authorize(payment)
    await counter.payments.capture(payment=payment, capture=IDS.new(), amount=euros(600))
    with dying("before call sandbox.void"):
        await counter.payments.void(payment=payment)
    counter.house.clock.advance(A_WHILE_SECONDS)
    before = await counter.service.audit_waiting()

    done = await counter.service.mend_waiting()

    assert before == [
        f"payment {payment}: released, waiting for sandbox since 2026-01-01 00:00 UTC"
    ]
    assert done == [f"payment {payment}: released"]
    assert await counter.findings() == []


async def test_more_pages_than_one_are_compared(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("banyan.plugins.sandbox.provider.PAGE", 2)
    payments = sorted([(await counter.authorize(some_payment())).id for _ in range(5)])
    good = await counter.findings()

    for payment in payments:
        counter.merchant.void(str(payment))

    assert good == []
    assert [found.split(":")[0] for found in await counter.findings()] == [
        f"payment {payment}" for payment in payments
    ]


async def test_a_payment_that_waits_too_long_is_found_and_voided(counter: Counter) -> None:
    unasked = some_payment()
    with dying("before call sandbox.authorize"):
        await counter.authorize(unasked)
    abandoned = (await counter.authorize(some_payment(), "tok_challenge")).id
    early = await counter.findings()

    await counter.house.pass_time(A_WHILE_SECONDS)
    later = await counter.findings()
    await counter.house.pass_time(A_DAY_SECONDS)
    much_later = await counter.findings()
    done = await counter.service.mend_waiting()

    assert early == []
    assert later == [f"payment {unasked}: pending, waiting for sandbox since 2026-01-01 00:00 UTC"]
    assert {finding.split(",")[0] for finding in much_later} == {
        f"payment {unasked}: pending",
        f"payment {abandoned}: challenged",
    }
    assert set(done) == {f"payment {unasked}: voided", f"payment {abandoned}: voided"}
    assert await counter.findings() == []
    assert counter.merchant.payment(str(unasked))["status"] == "voided"
    assert counter.merchant.payment(str(abandoned))["status"] == "voided"


async def test_an_answer_that_comes_at_last_needs_no_void(counter: Counter) -> None:
    payment = some_payment()
    with pytest.raises(Unavailable):
        await counter.authorize(payment, "tok_flaky")
    counter.house.clock.advance(A_WHILE_SECONDS)
    before = await counter.service.audit_waiting()

    done = await counter.service.mend_waiting()

    assert (len(before), done) == (1, [f"payment {payment}: authorized"])
    assert await counter.findings() == []
