"""Chooses the way of mail: by SMTP where there is a server, and otherwise into a folder."""

from __future__ import annotations

from email.message import EmailMessage
from typing import Protocol
from uuid import UUID

from banyan.kernel.app import DataFolder
from banyan.modules.notifications.ports import Mail, Mailer, Undeliverable
from banyan.plugins.mail.folder import MailFolder
from banyan.plugins.mail.letter import compose
from banyan.plugins.mail.settings import MailSettings
from banyan.plugins.mail.smtp import SmtpServer


class Way(Protocol):
    """How a mail leaves the house."""

    async def carry(self, mail: UUID, message: EmailMessage) -> None:
        """Take a mail along."""
        ...


class MailCarrier(Mailer):
    """Writes mail as it travels, and takes it to the server or into `mail/` of the data folder."""

    def __init__(self, settings: MailSettings, folder: DataFolder) -> None:
        self.sender = settings.sender_address()
        self.way: Way = SmtpServer(settings) if settings.host else MailFolder(folder / "mail")

    async def send(self, mail: Mail) -> None:
        try:
            message = compose(mail, self.sender)
        except ValueError:
            raise Undeliverable(reason="It cannot be written as an e-mail.") from None
        await self.way.carry(mail.id, message)
