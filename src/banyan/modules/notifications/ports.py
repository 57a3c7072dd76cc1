"""What notifications asks of the outside: somebody who carries mail."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol
from uuid import UUID

from banyan.kernel.contract import Problem, Value


class Mail(Value, frozen=True, kw_only=True):
    """An e-mail, ready to be sent; the same `id` again is the same mail."""

    id: UUID
    recipient: str
    subject: str
    text: str
    html: str
    language: str
    written_at: datetime


class Undeliverable(Problem, status=422):
    """The mail will never reach its recipient."""

    reason: str


class Mailer(Protocol):
    """A way for mail to leave the house."""

    async def send(self, mail: Mail) -> None:
        """Hand a mail over to whoever delivers it, under a Message-ID made of its id.

        Raises `Undeliverable` if that is refused for good, with a reason that does not name the
        recipient. After any other failure, such as the kernel's `Unavailable`, it is sent again.
        """
        ...
