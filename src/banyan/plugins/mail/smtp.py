"""Mail by SMTP, over an encrypted connection."""

from __future__ import annotations

import asyncio
import re
from email.headerregistry import Address
from email.message import EmailMessage
from uuid import UUID

import aiosmtplib
from aiosmtplib import SMTPDataError, SMTPException, SMTPNotSupported, SMTPRecipientsRefused

from banyan.kernel.link import Unavailable
from banyan.modules.notifications.ports import Undeliverable
from banyan.plugins.mail.settings import MailSettings

PERMANENT = range(500, 600)
_ENHANCED = re.compile(r"\d\.\d{1,3}\.\d{1,3}\b")


class SmtpServer:
    """The server that takes our mail and delivers it."""

    def __init__(self, settings: MailSettings) -> None:
        self.settings = settings

    async def carry(self, _: UUID, message: EmailMessage) -> None:
        """Hand a mail to the server within the time that there is."""
        try:
            async with asyncio.timeout(self.settings.timeout_seconds):
                await self._send(message)
        except (SMTPException, OSError) as error:
            # What a server says may name the recipient: only its codes go any further.
            raise _understood(error, message) from None

    async def _send(self, message: EmailMessage) -> None:
        sender, recipient = _only(message, "From"), _only(message, "To")
        await aiosmtplib.send(
            message,
            sender=sender.addr_spec,
            recipients=[recipient.addr_spec],
            hostname=self.settings.host,
            port=self.settings.port,
            username=self.settings.user or None,
            password=self.settings.password.reveal() or None,
            local_hostname=sender.domain,
            timeout=self.settings.timeout_seconds,
            use_tls=self.settings.security == "tls",
            start_tls=self.settings.security == "starttls",
        )


def _only(message: EmailMessage, header: str) -> Address:
    (address,) = message[header].addresses
    assert isinstance(address, Address)
    return address


def _understood(error: Exception, message: EmailMessage) -> Undeliverable | Unavailable:
    """Tell what the server will never take from what may be tried again."""
    code, said = 0, ""
    match error:
        case SMTPRecipientsRefused():
            code, said = error.recipients[0].code, error.recipients[0].message
        case SMTPDataError():
            code, said = error.code, error.message
        case SMTPNotSupported() if not _only(message, "To").addr_spec.isascii():
            return Undeliverable(reason="The mail server takes no address in this script.")
    if code in PERMANENT:
        detail = _ENHANCED.match(said)
        codes = f"{code} {detail[0]}" if detail else str(code)
        return Undeliverable(reason=f"The mail server refuses it: {codes}.")
    told = getattr(error, "code", code) or ""
    return Unavailable(what=f"mail server: {type(error).__name__} {told}".strip())
