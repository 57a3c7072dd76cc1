"""The shop's side of the sandbox bank: what its answers, its silence and its webhooks mean."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from banyan.kernel import fault
from banyan.kernel.clock import SystemClock
from banyan.kernel.ids import Ids
from banyan.kernel.link import Unavailable, calling
from banyan.kernel.security import UnverifiedWebhook
from banyan.kernel.settings import Secret
from banyan.modules.payments.ports import INVALID_TOKEN, Refused, Standing, Subject
from banyan.plugins.sandbox.provider import SandboxProvider
from banyan.plugins.sandbox.settings import SandboxSettings
from banyan.vocabulary import Money, OrderId, PaymentId
from tests.plugins.sandbox_merchant import CONFIRM, Merchant, Shop
from tests.plugins.sandbox_process import SandboxProcess

TEN = Money(amount=1000, currency="EUR")
IDS = Ids()


@pytest.fixture
async def provider(bank: SandboxProcess) -> AsyncIterator[SandboxProvider]:
    settings = SandboxSettings(url=bank.url, webhook_secret_file=str(bank.secret_file))
    provider = SandboxProvider(settings, SystemClock())
    await provider.open()
    yield provider
    await provider.close()


@pytest.fixture
def subject() -> Subject:
    return Subject(payment=PaymentId(IDS.new()), order=OrderId(IDS.new()))


async def authorize(
    provider: SandboxProvider, subject: Subject, token: str = "tok_ok", *, return_url: str = ""
) -> Standing:
    return await provider.authorize(subject, amount=TEN, token=token, return_url=return_url)


async def test_money_is_set_aside_taken_and_given_back(
    provider: SandboxProvider, subject: Subject
) -> None:
    authorized = await authorize(provider, subject)
    await provider.capture(subject, transfer=IDS.new(), amount=TEN)
    given = await provider.refund(subject, transfer=IDS.new(), amount=TEN)

    assert (authorized.state, authorized.authorized) == ("authorized", 1000)
    assert (authorized.card_brand, authorized.card_last4) == ("visa", "4242")
    assert authorized.reference.startswith("pay_")
    assert (given.state, given.captured, given.refunded) == ("authorized", 1000, 1000)
    assert await provider.look(subject) == given


async def test_the_same_ids_move_money_once(
    provider: SandboxProvider, subject: Subject, merchant: Merchant
) -> None:
    capture, refund = IDS.new(), IDS.new()
    part = Money(amount=100, currency="EUR")

    for _ in range(2):
        await authorize(provider, subject)
        await provider.capture(subject, transfer=capture, amount=part)
        await provider.refund(subject, transfer=refund, amount=part)

    assert merchant.kinds(str(subject.payment)) == [
        ("authorize", 1000),
        ("capture", 100),
        ("refund", 100),
    ]


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("tok_declined", "card_declined"),
        ("tok_insufficient", "insufficient_funds"),
        ("tok_nonsense", INVALID_TOKEN),
    ],
)
async def test_what_the_bank_declines_is_declined_with_its_reason(
    provider: SandboxProvider, subject: Subject, token: str, reason: str
) -> None:
    for _ in range(2):
        declined = await authorize(provider, subject, token)

        assert (declined.state, declined.decline_reason) == ("declined", reason)


async def test_a_wish_that_the_bank_cannot_read_is_declined(
    provider: SandboxProvider, subject: Subject
) -> None:
    declined = await authorize(provider, subject, return_url="javascript:alert(1)")

    assert declined == Standing(state="declined", decline_reason="unprocessable_entity")


async def test_another_wish_under_the_same_id_finds_what_there_is(
    provider: SandboxProvider, subject: Subject
) -> None:
    first = await authorize(provider, subject)

    second = await authorize(provider, subject, "tok_declined")

    assert second == first


async def test_a_challenge_tells_where_to_send_the_shopper(
    provider: SandboxProvider, subject: Subject, merchant: Merchant
) -> None:
    asked = await authorize(provider, subject, "tok_challenge", return_url="http://shop.test/back")
    assert asked.redirect_url is not None
    answer = merchant.client.post(asked.redirect_url, data=CONFIRM)

    confirmed = await provider.look(subject)

    assert asked.state == "challenged"
    assert answer.headers["location"].startswith("http://shop.test/back?")
    assert confirmed is not None
    assert (confirmed.state, confirmed.redirect_url) == ("authorized", None)


async def test_what_is_let_go_or_never_began_is_closed_for_ever(
    provider: SandboxProvider, subject: Subject
) -> None:
    nothing = await provider.look(subject)

    voided = await provider.void(subject)
    again = await provider.void(subject)
    late = await authorize(provider, subject)

    assert nothing is None
    assert (voided.state, voided.authorized) == ("voided", 0)
    assert again == voided
    assert (late.state, late.decline_reason) == ("declined", "voided")


async def test_taken_money_stays_taken(provider: SandboxProvider, subject: Subject) -> None:
    await authorize(provider, subject)
    await provider.capture(subject, transfer=IDS.new(), amount=TEN)

    standing = await provider.void(subject)

    assert (standing.state, standing.captured, standing.voided) == ("authorized", 1000, 0)


async def test_of_partly_taken_money_the_rest_is_let_go_once(
    provider: SandboxProvider, subject: Subject, merchant: Merchant
) -> None:
    await authorize(provider, subject)
    part = Money(amount=600, currency="EUR")
    await provider.capture(subject, transfer=IDS.new(), amount=part)

    standing = await provider.void(subject)
    again = await provider.void(subject)
    with pytest.raises(Refused) as more:
        await provider.capture(subject, transfer=IDS.new(), amount=part)
    given = await provider.refund(subject, transfer=IDS.new(), amount=part)

    assert (standing.state, standing.captured, standing.voided) == ("authorized", 600, 400)
    assert again == standing
    assert more.value.reason == "exceeds_authorization"
    assert (given.voided, given.refunded) == (400, 600)
    assert merchant.kinds(str(subject.payment)).count(("void", 400)) == 1


async def test_a_transfer_that_the_bank_refuses_is_refused(
    provider: SandboxProvider, subject: Subject
) -> None:
    await authorize(provider, subject)

    with pytest.raises(Refused) as capture:
        await provider.capture(subject, transfer=IDS.new(), amount=TEN * 2)
    with pytest.raises(Refused) as refund:
        await provider.refund(subject, transfer=IDS.new(), amount=TEN)

    assert capture.value.reason == "exceeds_authorization"
    assert refund.value.reason == "exceeds_captured"


async def test_a_dropped_connection_leaves_the_outcome_unknown_until_asked_again(
    provider: SandboxProvider, subject: Subject, merchant: Merchant
) -> None:
    with pytest.raises(Unavailable) as unknown:
        await authorize(provider, subject, "tok_flaky")

    found = await authorize(provider, subject, "tok_flaky")

    assert unknown.value.what == "sandbox"
    assert found.state == "authorized"
    assert merchant.kinds(str(subject.payment)) == [("authorize", 1000)]


async def test_nobody_is_waited_for_beyond_the_deadline_of_the_call(
    provider: SandboxProvider, subject: Subject
) -> None:
    loop = asyncio.get_running_loop()
    begun = loop.time()

    with calling(seconds=0.1), pytest.raises(Unavailable):
        await authorize(provider, subject, "tok_slow")

    assert loop.time() - begun < 0.45
    with calling(seconds=-1), pytest.raises(Unavailable):
        await provider.look(subject)


async def test_a_bank_that_is_not_there_is_unavailable(subject: Subject) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    provider = SandboxProvider(SandboxSettings(url=f"http://127.0.0.1:{port}"), SystemClock())
    await provider.open()

    with pytest.raises(Unavailable):
        await provider.look(subject)
    with pytest.raises(Unavailable):
        await authorize(provider, subject)

    await provider.close()


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ("502 Bad Gateway", "Bad gateway"),
        ("429 Too Many Requests", '{"code": "too_many_requests"}'),
        ("404 Not Found", "<h1>Not here</h1>"),
        ("201 Created", "<h1>Sign in to the network</h1>"),
        ("302 Found\r\nlocation: /elsewhere", ""),
    ],
)
async def test_only_the_banks_own_words_are_an_answer(
    subject: Subject, head: str, body: str
) -> None:
    async def pretend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {head}\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(pretend, "127.0.0.1", 0) as impostor:
        port = impostor.sockets[0].getsockname()[1]
        provider = SandboxProvider(SandboxSettings(url=f"http://127.0.0.1:{port}"), SystemClock())
        await provider.open()

        with pytest.raises(Unavailable):
            await provider.capture(subject, transfer=IDS.new(), amount=TEN)
        with pytest.raises(Unavailable):
            await provider.look(subject)

        await provider.close()


async def test_a_test_can_end_the_process_before_and_after_each_call(
    provider: SandboxProvider, subject: Subject
) -> None:
    reached: list[str] = []
    fault.watch(reached.append)
    try:
        await authorize(provider, subject)
    finally:
        fault.watch(None)

    assert reached == ["before call sandbox.authorize", "after call sandbox.authorize"]


async def test_a_webhook_is_believed_when_the_bank_signed_it(
    provider: SandboxProvider, subject: Subject, shop: Shop
) -> None:
    await authorize(provider, subject)
    webhook = shop.next(str(subject.payment))

    heard = provider.verify(headers=webhook.headers, body=webhook.body)

    assert (heard.id, heard.kind, heard.payment) == (
        webhook.id,
        "payment.authorized",
        subject.payment,
    )
    with pytest.raises(UnverifiedWebhook):
        provider.verify(headers=webhook.headers, body=webhook.body + b" ")


async def test_the_secret_may_be_given_in_the_settings(
    bank: SandboxProcess, subject: Subject, merchant: Merchant, shop: Shop
) -> None:
    merchant.authorize(str(subject.payment))
    webhook = shop.next(str(subject.payment))
    secret = Secret(bank.secret_file.read_text().strip())

    for settings, believed in (
        (SandboxSettings(webhook_secret=secret), True),
        (SandboxSettings(), False),
    ):
        provider = SandboxProvider(settings, SystemClock())
        if believed:
            assert provider.verify(headers=webhook.headers, body=webhook.body).id == webhook.id
        else:
            with pytest.raises(UnverifiedWebhook):
                provider.verify(headers=webhook.headers, body=webhook.body)


async def test_a_webhook_about_anothers_payment_names_none_of_ours(
    provider: SandboxProvider, merchant: Merchant, shop: Shop, reference: str
) -> None:
    merchant.authorize(reference)
    webhook = shop.next(reference)

    heard = provider.verify(headers=webhook.headers, body=webhook.body)

    assert heard.payment is None


async def test_the_ledger_lists_our_payments_in_order_and_skips_others(tmp_path: Path) -> None:
    with SandboxProcess(tmp_path) as bank, bank.client() as client:
        merchant = Merchant(client)
        payments = sorted(PaymentId(IDS.new()) for _ in range(3))
        for name in (*map(str, payments), "0000-another", "order-1", str(payments[0]).upper()):
            merchant.authorize(name)
        merchant.capture(str(payments[1]), 400, final=True)
        provider = SandboxProvider(SandboxSettings(url=bank.url), SystemClock())
        await provider.open()

        all_of_them = await provider.ledger(after=None)
        rest = await provider.ledger(after=payments[0])
        end = await provider.ledger(after=payments[2])

        await provider.close()
    assert [position.payment for position in all_of_them] == payments
    assert [(p.authorized, p.captured, p.voided, p.refunded) for p in rest] == [
        (1000, 400, 600, 0),
        (1000, 0, 0, 0),
    ]
    assert end == ()
