"""Notifications on a real database."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
from msgspec.structs import replace

from banyan.kernel import telemetry
from banyan.kernel.ids import derived
from banyan.kernel.link import Link, Unavailable
from banyan.kernel.telemetry import TelemetrySettings
from banyan.kernel.testing import Bench, Server, bench
from banyan.modules.notifications.contract import (
    AddressErased,
    Message,
    Notifications,
    UnknownMessage,
)
from banyan.modules.notifications.module import module
from banyan.modules.notifications.ports import Undeliverable
from banyan.modules.notifications.sagas import SendMessage
from banyan.modules.ordering.contract import Order, OrderConfirmed
from banyan.vocabulary import OrderId
from tests.modules.notifications.examples import ORDER, Mailbox

A_DAY = 24 * 3600
CONFIRMATION = derived(ORDER.id, "order_confirmed")


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
async def shop(
    server: Server, link: Link, tmp_path: Path, mailbox: Mailbox
) -> AsyncIterator[Bench]:
    settings = {"notifications": {"shop": "Lamps", "keep_address_days": 30}}
    async with bench(
        server,
        [module],
        folder=tmp_path,
        plugins=[mailbox.plugin()],
        configured=settings,
        link=link,
    ) as made:
        yield made


@pytest.fixture
def notifications(shop: Bench) -> Notifications:
    return shop.ask(Notifications)


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Listen to what is logged."""
    stream = io.StringIO()
    telemetry.configure("shop", "one", TelemetrySettings(level="debug"), stream=stream)
    yield stream
    telemetry.close()


async def message_about(notifications: Notifications, order: Order = ORDER) -> Message:
    (message,) = await notifications.messages(about=str(order.id))
    return message


async def wait_until_given_up(shop: Bench) -> None:
    for _ in range(SendMessage.tries):
        await shop.pass_time(300)


async def test_a_confirmed_order_is_told_to_the_shopper(
    shop: Bench, notifications: Notifications, mailbox: Mailbox
) -> None:
    await shop.hear(OrderConfirmed(order=ORDER))

    (mail,) = mailbox.taken
    message = await message_about(notifications)
    assert (mail.id, mail.recipient, mail.language) == (CONFIRMATION, ORDER.email, "en")
    assert mail.subject == "Your order 1042 at Lamps"
    assert (message.id, message.state) == (CONFIRMATION, "sent")
    assert message.sent_at == shop.clock.now()


async def test_an_order_heard_of_again_and_again_is_told_once(
    shop: Bench, notifications: Notifications, mailbox: Mailbox
) -> None:
    shop.deliveries = 3

    await shop.hear(OrderConfirmed(order=ORDER))
    await shop.hear(OrderConfirmed(order=ORDER))
    await shop.pass_time(A_DAY)

    assert mailbox.asked == len(mailbox.taken) == 1
    assert len(await notifications.messages()) == 1


async def test_an_order_heard_of_when_its_saga_is_long_forgotten_is_not_told_again(
    shop: Bench, mailbox: Mailbox
) -> None:
    await shop.hear(OrderConfirmed(order=ORDER))
    await shop.app.rooms["notifications"].database.value("DELETE FROM sagas")

    await shop.hear(OrderConfirmed(order=ORDER))

    assert mailbox.asked == 1


async def test_mail_that_is_not_taken_now_is_sent_later(
    shop: Bench, notifications: Notifications, mailbox: Mailbox
) -> None:
    mailbox.trouble = lambda: Unavailable(what="mail server")
    await shop.hear(OrderConfirmed(order=ORDER))
    waiting = await message_about(notifications)

    mailbox.trouble = None
    await shop.pass_time(3600)

    assert waiting.state == "pending"
    assert mailbox.asked > 1
    assert [mail.id for mail in mailbox.taken] == [CONFIRMATION]
    assert (await message_about(notifications)).state == "sent"


async def test_a_mailer_that_breaks_is_not_the_end(
    shop: Bench, notifications: Notifications, mailbox: Mailbox
) -> None:
    mailbox.trouble = lambda: ZeroDivisionError("a defect of the plugin")
    await shop.hear(OrderConfirmed(order=ORDER))

    mailbox.trouble = None
    await shop.pass_time(3600)

    assert (await message_about(notifications)).state == "sent"


async def test_mail_that_nobody_takes_for_a_day_is_given_up(
    shop: Bench, notifications: Notifications, mailbox: Mailbox
) -> None:
    mailbox.trouble = lambda: Unavailable(what="mail server")
    await shop.hear(OrderConfirmed(order=ORDER))

    begun = shop.clock.now()
    await wait_until_given_up(shop)

    message = await message_about(notifications)
    assert (message.state, message.error) == ("failed", "The mail could not be handed over.")
    assert mailbox.asked == SendMessage.tries
    assert (shop.clock.now() - begun).total_seconds() >= A_DAY


async def test_mail_that_is_refused_for_good_is_not_sent_again(
    shop: Bench, notifications: Notifications, mailbox: Mailbox
) -> None:
    mailbox.trouble = lambda: Undeliverable(reason="The mail server refuses it: 550.")
    await shop.hear(OrderConfirmed(order=ORDER))
    await shop.pass_time(3600)

    message = await message_about(notifications)
    assert (message.state, message.error) == ("failed", "The mail server refuses it: 550.")
    assert mailbox.asked == 1


async def test_a_message_is_sent_once_more_as_another_mail(
    shop: Bench, notifications: Notifications, mailbox: Mailbox
) -> None:
    await shop.hear(OrderConfirmed(order=ORDER))
    mailbox.open.clear()

    resent = await notifications.resend(message=CONFIRMATION)
    again = await notifications.resend(message=CONFIRMATION)
    mailbox.open.set()
    await shop.settle()

    first, second = mailbox.taken
    assert (resent.state, again) == ("pending", resent)
    assert first.id == CONFIRMATION != second.id
    assert replace(second, id=first.id) == first
    assert (await message_about(notifications)).state == "sent"


async def test_a_message_that_failed_can_be_sent_again(
    shop: Bench, notifications: Notifications, mailbox: Mailbox
) -> None:
    mailbox.trouble = lambda: Undeliverable(reason="Nobody lives there.")
    await shop.hear(OrderConfirmed(order=ORDER))

    mailbox.trouble = None
    resent = await notifications.resend(message=CONFIRMATION)
    await shop.settle()

    assert resent.error is None
    assert (await message_about(notifications)).state == "sent"


async def test_addresses_are_forgotten_after_a_while(
    shop: Bench, notifications: Notifications, mailbox: Mailbox
) -> None:
    later = replace(ORDER, id=OrderId(UUID(int=5)))
    await shop.hear(OrderConfirmed(order=ORDER))
    await shop.pass_time(20 * A_DAY)
    await shop.hear(OrderConfirmed(order=later))

    await shop.pass_time(11 * A_DAY)

    with pytest.raises(AddressErased):
        await notifications.resend(message=CONFIRMATION)
    said = await notifications.preview(message=CONFIRMATION)
    assert ("1042" in said.text, "Jo Doe" in said.text + said.html) == (True, False)
    newer = await notifications.preview(message=derived(later.id, "order_confirmed"))
    assert "Jo Doe" in newer.text
    kept = await shop.app.rooms["notifications"].database.value(
        "SELECT messages::text FROM messages WHERE id = $1", CONFIRMATION
    )
    assert "doe" not in kept.lower()


async def test_neither_the_log_nor_the_saga_knows_whom_a_message_is_for(
    shop: Bench, mailbox: Mailbox, log: io.StringIO
) -> None:
    mailbox.trouble = lambda: Unavailable(what="mail server")

    await shop.hear(OrderConfirmed(order=ORDER))
    database = shop.app.rooms["notifications"].database
    saga = await database.value("SELECT sagas::text FROM sagas WHERE kind = 'send_message@1'")

    assert str(CONFIRMATION) in saga
    assert "saga step failed" in log.getvalue()
    for private in (ORDER.email, "Jo Doe", "Main Street"):
        assert private not in log.getvalue() + saga


async def test_messages_are_listed_newest_first(shop: Bench, notifications: Notifications) -> None:
    orders = [replace(ORDER, id=OrderId(UUID(int=n))) for n in range(1, 6)]
    for order in orders:
        await shop.hear(OrderConfirmed(order=order))

    first = await notifications.messages(limit=3)
    rest = await notifications.messages(before=first[-1].id, limit=3)

    listed = [message.about for message in (*first, *rest)]
    assert listed == [str(order.id) for order in reversed(orders)]
    assert (await message_about(notifications, orders[2])).about == str(orders[2].id)


async def test_an_unknown_message_is_named(notifications: Notifications) -> None:
    nobody = UUID(int=404)

    for asked in (notifications.preview, notifications.resend):
        with pytest.raises(UnknownMessage) as refused:
            await asked(message=nobody)
        assert refused.value.message == nobody


async def test_the_database_refuses_what_the_rules_would_refuse(shop: Bench) -> None:
    await shop.hear(OrderConfirmed(order=ORDER))
    database = shop.app.rooms["notifications"].database

    for statement in (
        "UPDATE messages SET state = 'lost'",
        "UPDATE messages SET sent_at = NULL",
        "UPDATE messages SET state = 'failed'",
        "UPDATE messages SET error = 'why?'",
    ):
        with pytest.raises(asyncpg.CheckViolationError):
            await database.value(statement)
