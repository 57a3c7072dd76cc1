"""Whom the embedded NATS server lets in, and what they may do there."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.errors import Error
from nats.errors import TimeoutError as Silence
from nats.js.api import ConsumerConfig

from banyan.engines.authority import Authority
from banyan.kernel.security import Credentials
from banyan.kernel.subjects import EVENTS, EVERY_EVENT, Permissions, permissions
from tests.engines.brokers import LentNats, connected, greeted, settled, showing, speaking

CATALOG = permissions("catalog", hosts={"catalog"}, asks={"pricing"})
PRICING = permissions("pricing", hosts={"pricing"}, asks=set())


@pytest.fixture
def granted(nats: LentNats) -> LentNats:
    nats.grant({"catalog": CATALOG, "pricing": PRICING})
    return nats


async def refusal(url: str, shown: ssl.SSLContext) -> Exception:
    """Try to get in, and tell why not."""
    client = Client()
    with pytest.raises((Error, OSError)) as refused:
        await client.connect(url, tls=shown, allow_reconnect=False, connect_timeout=5)
    await client.close()
    return refused.value


async def test_nobody_gets_in_without_a_certificate(granted: LentNats) -> None:
    ca = granted.credentials("catalog").ca

    why = await refusal(granted.url, ssl.create_default_context(cafile=ca))

    assert isinstance(why, OSError)  # The handshake failed; nobody read a name.


async def test_a_certificate_of_another_shop_is_refused(granted: LentNats, tmp_path: Path) -> None:
    foreign = Authority(tmp_path / "other").certificate("catalog")
    ours = granted.credentials("catalog").ca
    shown = Credentials(ca=ours, certificate=foreign.certificate, key=foreign.key)

    why = await refusal(granted.url, showing(shown))

    assert isinstance(why, OSError)


def test_only_a_server_of_the_same_shop_is_believed(granted: LentNats, tmp_path: Path) -> None:
    foreign = Authority(tmp_path / "other").certificate("catalog")

    greeted(granted.url, showing(granted.credentials("catalog")))
    with pytest.raises(ssl.SSLCertVerificationError):
        greeted(granted.url, showing(foreign))


async def test_the_certificate_of_a_server_opens_nothing(granted: LentNats) -> None:
    why = await refusal(granted.url, showing(granted.credentials("nats")))

    assert isinstance(why, OSError)


async def test_a_process_of_the_shop_that_was_granted_nothing_is_refused(granted: LentNats) -> None:
    why = await refusal(granted.url, showing(granted.credentials("stranger")))

    assert "Authorization Violation" in str(why)


async def test_a_name_that_is_told_does_not_count(granted: LentNats) -> None:
    errors: list[str] = []
    shown = showing(granted.credentials("catalog"))

    async with connected(
        granted.url, "catalog", shown, errors=errors, user="operator.banyan"
    ) as pretender:
        await pretender.publish("banyan.event.payments.captured.v1", b"{}")
        await settled(pretender)

    assert len(errors) == 1
    assert "permissions violation" in errors[0]


async def test_a_process_may_ask_and_answer_as_it_was_granted(granted: LentNats) -> None:
    errors: list[str] = []
    async with (
        speaking(granted, "pricing", errors=errors) as pricing,
        speaking(granted, "catalog", errors=errors) as catalog,
    ):
        asked = await pricing.subscribe("banyan.call.pricing.*", queue="pricing")
        await settled(pricing)
        question = asyncio.create_task(catalog.request("banyan.call.pricing.quote", b"?", 5))
        received = await asked.next_msg(5)
        await received.respond(b"42")

        answer = await question

    assert (received.data, answer.data, errors) == (b"?", b"42", [])


async def test_who_tends_a_module_may_ask_what_others_may_not(granted: LentNats) -> None:
    errors: list[str] = []
    granted.grant({"office": permissions("office", hosts=(), asks=(), tends={"pricing"})})
    async with (
        speaking(granted, "pricing", errors=errors) as pricing,
        speaking(granted, "office", errors=errors) as office,
    ):
        asked = await pricing.subscribe("banyan.call.pricing.backstage.*", queue="pricing")
        await settled(pricing)

        await office.publish("banyan.call.pricing.backstage.health", b"?")
        received = await asked.next_msg(5)
        assert errors == []
        await office.publish("banyan.call.pricing.quote", b"?")
        await settled(office)

    assert received.data == b"?"
    assert len(errors) == 1


async def test_each_module_of_a_process_may_answer_a_call_to_everybody(granted: LentNats) -> None:
    errors: list[str] = []
    async with (
        speaking(granted, "operator") as operator,
        speaking(granted, "pricing", errors=errors) as pricing,
    ):
        called = await pricing.subscribe("$SRV.PING")
        await settled(pricing)
        answers = await operator.subscribe("_INBOX_operator.1")
        await operator.publish("$SRV.PING", reply="_INBOX_operator.1")
        received = await called.next_msg(5)

        for module in (b"pricing", b"promotions"):
            await received.respond(module)

        assert (await answers.next_msg(5)).data == b"pricing"
        assert (await answers.next_msg(5)).data == b"promotions"
    assert errors == []


@pytest.fixture
async def operator(granted: LentNats) -> AsyncIterator[Client]:
    """Make the stream of events and a consumer of it for each module."""
    async with speaking(granted, "operator") as client:
        streams = client.jetstream()
        await streams.add_stream(name=EVENTS, subjects=[EVERY_EVENT])
        for module in ("catalog", "pricing"):
            await streams.add_consumer(EVENTS, ConsumerConfig(durable_name=module))
        yield client
        await streams.delete_stream(EVENTS)


async def test_a_process_tells_and_hears_by_its_own_consumer(
    granted: LentNats, operator: Client
) -> None:
    errors: list[str] = []
    async with speaking(granted, "catalog", errors=errors) as client:
        stream = client.jetstream()
        mine = await stream.pull_subscribe_bind("catalog", EVENTS)

        told = await stream.publish("banyan.event.catalog.x", b"news")
        (heard,) = await mine.fetch(1, timeout=5)
        await heard.ack_sync(5)

    left = await operator.jetstream().consumer_info(EVENTS, "catalog")
    assert (told.stream, heard.data, left.num_ack_pending, errors) == (EVENTS, b"news", 0, [])


@pytest.mark.parametrize(
    "subject",
    [
        "banyan.call.payments.authorize",
        "banyan.call.catalog.products",
        "banyan.event.payments.captured.v1",
        "banyan.call.pricing.backstage.replay",
        "_INBOX_pricing.1.2",
        "_INBOX.1.2",
        "$SRV.PING",
        "$JS.API.INFO",
        "$JS.API.STREAM.CREATE.mine",
        "$JS.API.STREAM.UPDATE.banyan-events",
        "$JS.API.STREAM.DELETE.banyan-events",
        "$JS.API.STREAM.PURGE.banyan-events",
        "$JS.API.STREAM.MSG.GET.banyan-events",
        "$JS.API.DIRECT.GET.banyan-events",
        "$JS.API.CONSUMER.CREATE.banyan-events",
        "$JS.API.CONSUMER.CREATE.banyan-events.catalog.banyan.event.payments.>",
        "$JS.API.CONSUMER.DURABLE.CREATE.banyan-events.spy",
        "$JS.API.CONSUMER.INFO.banyan-events.pricing",
        "$JS.API.CONSUMER.DELETE.banyan-events.pricing",
        "$JS.API.CONSUMER.MSG.NEXT.banyan-events.pricing",
        "$JS.ACK.banyan-events.pricing.1.1.1.1.0",
        "$SYS.REQ.SERVER.PING",
    ],
)
async def test_a_process_may_not_tell_ask_or_reach_for_what_it_was_not_granted(
    granted: LentNats, operator: Client, subject: str
) -> None:
    errors: list[str] = []
    everything = await operator.subscribe(subject)
    await settled(operator)

    async with speaking(granted, "catalog", errors=errors) as catalog:
        await catalog.publish(subject.replace(">", "x"), b"{}", reply="_INBOX_catalog.1")
        await settled(catalog)

    assert len(errors) == 1
    assert "permissions violation for publish" in errors[0]
    with pytest.raises(Silence):
        await everything.next_msg(0.01)


@pytest.mark.parametrize(
    "subject",
    [
        ">",
        "banyan.>",
        "banyan.event.>",
        "banyan.event.payments.>",
        "banyan.call.payments.*",
        "banyan.call.*.*",
        "banyan.call.pricing.quote",
        "banyan.call.pricing.backstage.*",
        "_INBOX_pricing.>",
        "_INBOX.>",
        "*.>",
        "$SRV.PING.pricing",
        "$JS.>",
        "$SYS.>",
    ],
)
async def test_a_process_may_not_listen_where_it_was_not_granted_to(
    granted: LentNats, subject: str
) -> None:
    errors: list[str] = []

    async with speaking(granted, "catalog", errors=errors) as catalog:
        await catalog.subscribe(subject)
        await settled(catalog)

    assert len(errors) == 1
    assert "permissions violation for subscription" in errors[0]


async def test_who_is_granted_no_telling_may_tell_nothing(granted: LentNats) -> None:
    errors: list[str] = []
    granted.grant({"mute": Permissions(publish=(), subscribe=("_INBOX_mute.>",))})

    async with speaking(granted, "mute", errors=errors) as mute:
        await mute.publish("banyan.event.mute.x", b"{}")
        await settled(mute)

    assert len(errors) == 1


async def test_a_new_grant_takes_effect_and_disturbs_nobody(nats: LentNats) -> None:
    errors: list[str] = []
    nats.grant({"early": permissions("early", hosts={"early"}, asks=())})
    why = await refusal(nats.url, showing(nats.credentials("late")))
    async with speaking(nats, "early", errors=errors) as early:
        number = early.client_id

        nats.grant(
            {
                "early": permissions("early", hosts={"early"}, asks={"late"}),
                "late": permissions("late", hosts={"late"}, asks=()),
            }
        )

        async with speaking(nats, "late", errors=errors) as late:
            asked = await late.subscribe("banyan.call.late.x")
            await settled(late)
            await early.publish("banyan.call.late.x", b"hello")
            received = await asked.next_msg(5)
        assert early.client_id == number
    assert "Authorization Violation" in str(why)
    assert (received.data, errors) == (b"hello", [])
