"""Mail leaves the house: by SMTP to a real server, or into a folder."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from banyan.kernel.app import DataFolder
from banyan.kernel.link import Unavailable
from banyan.kernel.settings import Misconfigured, Secret, load
from banyan.kernel.testing import Server, bench
from banyan.modules.notifications.module import module
from banyan.modules.notifications.ports import Mail, Undeliverable
from banyan.modules.ordering.contract import OrderConfirmed
from banyan.plugins.mail.carrier import MailCarrier
from banyan.plugins.mail.letter import address_of, compose
from banyan.plugins.mail.plugin import plugin
from banyan.plugins.mail.settings import MailSettings
from tests.modules.notifications.examples import ORDER
from tests.plugins.smtp_server import CERTIFICATE, MailServer

MAIL = Mail(
    id=UUID(int=7),
    recipient="jo@example.com",
    subject="Ihre Bestellung Nr. 42 für 19,99 €",
    text="Vielen Dank für Ihre Bestellung!\n.\nGrüße\n",
    html="<p>Vielen Dank für Ihre <b>Bestellung</b>!</p>" * 40,
    language="de",
    written_at=datetime(2026, 1, 1, 12, tzinfo=UTC),
)
LONGEST_LINE = 78
HEADERS = {
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "Auto-Submitted",
    "MIME-Version",
    "Content-Type",
    "Content-Language",
}


@pytest.fixture
async def post_office() -> AsyncIterator[MailServer]:
    async with MailServer().running() as office:
        yield office


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust the certificate of the test's own server."""
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))


def carrier(folder: Path, settings: MailSettings) -> MailCarrier:
    return MailCarrier(settings, DataFolder(folder))


def to(post_office: MailServer) -> MailSettings:
    """Write to a server that is on the same machine."""
    return MailSettings(
        host="127.0.0.1",
        port=post_office.port,
        security="none",
        sender="shop@example.com",
        sender_name="Müller & Söhne",
        timeout_seconds=0.5,
    )


def part(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    assert body
    content: str = body.get_content()
    return content.replace("\r\n", "\n")


async def test_a_mail_arrives_as_it_was_written(post_office: MailServer, tmp_path: Path) -> None:
    await carrier(tmp_path, to(post_office)).send(MAIL)

    (taken,) = post_office.taken
    message = taken.message
    assert (taken.sender, taken.recipients) == ("shop@example.com", ["jo@example.com"])
    assert (message["to"], message["subject"]) == (MAIL.recipient, MAIL.subject)
    assert message["from"].addresses[0].display_name == "Müller & Söhne"
    assert message["date"].datetime == MAIL.written_at
    assert message["content-language"] == "de"
    assert part(message, "plain") == MAIL.text
    assert part(message, "html").strip() == MAIL.html


async def test_a_repeat_is_recognized_by_its_message_id(
    post_office: MailServer, tmp_path: Path
) -> None:
    mailer = carrier(tmp_path, to(post_office))

    await mailer.send(MAIL)
    await mailer.send(MAIL)
    await mailer.send(replace(MAIL, id=UUID(int=8)))

    first, again, other = (taken.message["message-id"] for taken in post_office.taken)
    assert first == again == f"<{MAIL.id.hex}@example.com>"
    assert other != first


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("security", ["tls", "starttls"])
async def test_a_login_goes_over_an_encrypted_connection(tmp_path: Path, security: str) -> None:
    async with MailServer(
        tls=security == "tls", starttls=security == "starttls"
    ).running() as post_office:
        settings = MailSettings(
            host="localhost",
            port=post_office.port,
            security="tls" if security == "tls" else "starttls",
            user="shop",
            password=Secret("open sesame"),
        )

        await carrier(tmp_path, settings).send(MAIL)

    (taken,) = post_office.taken
    assert (taken.login, taken.encrypted) == ("shop:open sesame", True)


@pytest.mark.parametrize("starttls", [False, True])
async def test_nothing_is_told_to_a_server_that_cannot_prove_itself(
    tmp_path: Path, *, starttls: bool
) -> None:
    async with MailServer(starttls=starttls).running() as post_office:
        settings = replace(
            to(post_office), security="starttls", user="shop", password=Secret("sesame")
        )

        with pytest.raises(Unavailable):
            await carrier(tmp_path, settings).send(MAIL)

    assert post_office.taken == []
    assert not any(line.startswith(("AUTH", "MAIL")) for line in post_office.heard)


@pytest.mark.parametrize(
    ("replies", "reason"),
    [
        ({"RCPT": "550 5.1.1 <jo@example.com>: no such user"}, "refuses it: 550 5.1.1."),
        ({"RCPT": "553 jo@example.com is not here"}, "refuses it: 553."),
        ({"DATA": "554 5.7.1 jo@example.com wants no mail"}, "refuses it: 554 5.7.1."),
    ],
)
async def test_what_is_refused_for_good_is_undeliverable(
    post_office: MailServer, tmp_path: Path, replies: dict[str, str], reason: str
) -> None:
    post_office.replies = replies

    with pytest.raises(Undeliverable) as refused:
        await carrier(tmp_path, to(post_office)).send(MAIL)

    assert refused.value.reason.endswith(reason)
    assert "jo@" not in str(refused.value)


@pytest.mark.parametrize(
    "replies",
    [
        {"RCPT": "451 4.7.1 <jo@example.com> come back later"},
        {"MAIL": "530 5.7.0 who are you, jo@example.com?"},
        {"DATA": "421 4.3.2 shutting down"},
        {"EHLO": "550 no", "HELO": "550 no"},
    ],
)
async def test_what_may_be_taken_later_is_sent_again(
    post_office: MailServer, tmp_path: Path, replies: dict[str, str]
) -> None:
    post_office.replies = replies

    with pytest.raises(Unavailable) as later:
        await carrier(tmp_path, to(post_office)).send(MAIL)

    assert "jo@" not in str(later.value)
    assert later.value.__suppress_context__


async def test_a_silent_server_is_not_waited_for_longer_than_allowed(tmp_path: Path) -> None:
    async with MailServer(silent=True).running() as post_office:
        with pytest.raises(Unavailable):
            await carrier(tmp_path, to(post_office)).send(MAIL)


async def test_a_server_that_is_down_is_asked_again_later(
    post_office: MailServer, tmp_path: Path
) -> None:
    nobody = replace(to(post_office), port=1)

    with pytest.raises(Unavailable):
        await carrier(tmp_path, nobody).send(MAIL)


async def test_an_address_in_another_script_needs_a_server_that_knows_it(
    post_office: MailServer, tmp_path: Path
) -> None:
    mailer = carrier(tmp_path, to(post_office))

    await mailer.send(replace(MAIL, recipient="jo@bücher.example"))
    with pytest.raises(Undeliverable):
        await mailer.send(replace(MAIL, recipient="jörg@bücher.example"))

    assert [taken.recipients for taken in post_office.taken] == [["jo@xn--bcher-kva.example"]]


async def test_without_a_server_mail_goes_into_a_folder_once(tmp_path: Path) -> None:
    mailer = carrier(tmp_path, MailSettings())

    await mailer.send(MAIL)
    await mailer.send(MAIL)

    (file,) = (tmp_path / "mail").iterdir()
    message = message_from_bytes(file.read_bytes(), EmailMessage, policy=policy.SMTP)
    assert file.name == f"{MAIL.id}.eml"
    assert file.stat().st_mode & 0o077 == 0
    assert (message["to"], message["subject"]) == (MAIL.recipient, MAIL.subject)
    assert part(message, "plain") == MAIL.text


async def test_a_confirmed_order_becomes_a_mail_in_the_folder_of_the_shop(
    server: Server, tmp_path: Path
) -> None:
    async with bench(server, [module], folder=tmp_path, plugins=[plugin]) as shop:
        await shop.hear(OrderConfirmed(order=ORDER))

    (file,) = (tmp_path / "mail").glob("*.eml")
    message = message_from_bytes(file.read_bytes(), EmailMessage, policy=policy.SMTP)
    assert message["to"] == ORDER.email
    assert message["subject"] == "Your order 1042 at Banyan"
    assert "€2,473.90" in part(message, "plain")
    assert "€2,473.90" in part(message, "html")


async def test_a_confirmed_order_reaches_the_mail_server_once_it_takes_mail_again(
    server: Server, post_office: MailServer, tmp_path: Path
) -> None:
    post_office.replies = {"RCPT": "451 4.3.2 come back later"}
    settings = {"host": "127.0.0.1", "port": post_office.port, "security": "none"}
    async with bench(
        server, [module], folder=tmp_path, plugins=[plugin], configured={"mail": settings}
    ) as shop:
        await shop.hear(OrderConfirmed(order=ORDER))
        assert post_office.taken == []

        post_office.replies = {}
        await shop.pass_time(3600)

    (taken,) = post_office.taken
    assert taken.recipients == [ORDER.email]


EVIL = st.one_of(
    st.text(max_size=40),
    st.lists(
        st.sampled_from(
            [
                "jo@example.com",
                "\r\n",
                "\n",
                "\r",
                "\0",
                " ",
                "Bcc: eve@evil.com",
                "\u2028",
                "<",
                ">",
            ]
        ),
        max_size=6,
    ).map("".join),
)


@given(recipient=EVIL | st.just("jo@example.com"), subject=EVIL, language=EVIL, name=EVIL)
def test_no_text_can_become_a_header(
    recipient: str, subject: str, language: str, name: str
) -> None:
    try:
        sender = address_of("shop@example.com", name)
        mail = replace(MAIL, recipient=recipient, subject=subject, language=language)
        content = compose(mail, sender).as_bytes()
    except ValueError:
        return

    message = message_from_bytes(content, EmailMessage, policy=policy.SMTP)
    assert set(message.keys()) == HEADERS
    assert [len(message[header].addresses) for header in ("From", "To")] == [1, 1]
    assert message["to"].addresses[0].addr_spec == recipient.rpartition("@")[0] + "@" + (
        recipient.rpartition("@")[2].encode("idna").decode()
    )
    assert message["from"].addresses[0].addr_spec == "shop@example.com"
    assert not message.defects


@given(name=st.text(alphabet='a ,"\\@<>():;=?.é😀', min_size=1, max_size=120))
@example(name='"a" ' * 20)
@example(name="a, b <eve@evil.com> " * 5)
@example(name="=?utf-8?q?a?=")
@example(name="word " * 30)
def test_a_sender_has_the_name_that_it_was_given(name: str) -> None:
    raw = compose(MAIL, address_of("shop@example.com", name)).as_bytes()

    lines = raw.partition(b"\r\nTo: ")[0].decode("ascii").removeprefix("From: ")
    told = str(make_header(decode_header(lines.replace("\r\n", ""))))
    assert told.strip() == f"{' '.join(name.split())} <shop@example.com>".strip()
    assert max(map(len, lines.splitlines())) <= LONGEST_LINE


@pytest.mark.parametrize(
    "subject", ["Hello\n", "Hello\0", "Hel\u2028lo", "Hello\r\nBcc: eve@evil.com"]
)
async def test_what_is_not_one_line_is_undeliverable(tmp_path: Path, subject: str) -> None:
    with pytest.raises(Undeliverable):
        await carrier(tmp_path, MailSettings()).send(replace(MAIL, subject=subject))


@pytest.mark.parametrize(
    "recipient",
    ["", "jo", "jo@", "@example.com", "jo@example.com\r\nBcc: eve@evil.com", "a@b.c, eve@evil.com"],
)
async def test_what_is_no_address_is_undeliverable(tmp_path: Path, recipient: str) -> None:
    with pytest.raises(Undeliverable):
        await carrier(tmp_path, MailSettings()).send(replace(MAIL, recipient=recipient))

    assert not (tmp_path / "mail").exists()


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"sender": "nobody"}, "sender"),
        ({"sender": "bücher@example.com"}, "sender"),
        ({"sender": "shop@example.com\nBcc: eve@evil.com"}, "sender"),
        ({"security": "none", "user": "shop"}, "security"),
        ({"security": "ssl"}, "security"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, str], complaint: str) -> None:
    with pytest.raises(Misconfigured, match=complaint):
        load(MailSettings, "mail", file={"mail": settings}, environment={})
