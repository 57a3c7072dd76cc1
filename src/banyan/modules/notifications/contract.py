"""Notifications: what the shop tells people."""

from __future__ import annotations

from typing import Literal, Protocol
from uuid import UUID

from banyan.kernel.contract import Problem, Value, command, contract, query, raises
from banyan.vocabulary import Moment

MessageState = Literal["pending", "sent", "failed"]


class Message(Value, frozen=True, kw_only=True):
    """An e-mail that was or will be sent; whom it is for is not shown in lists."""

    id: UUID
    template: str
    about: str
    locale: str
    state: MessageState
    created_at: Moment
    sent_at: Moment | None = None
    error: str | None = None


class Preview(Value, frozen=True, kw_only=True):
    """A message as it would be read."""

    subject: str
    text: str
    html: str


class UnknownMessage(Problem, status=404):
    """There is no such message."""

    message: UUID


class AddressErased(Problem, status=410):
    """The message is so old that it is no longer known whom it was for."""

    message: UUID


@contract("notifications")
class Notifications(Protocol):
    """What channels and other modules may ask of notifications."""

    @query
    async def messages(
        self, *, about: str | None = None, before: UUID | None = None, limit: int = 24
    ) -> tuple[Message, ...]:
        """List messages, newest first, or those about one thing such as an order."""
        ...

    @query
    @raises(UnknownMessage)
    async def preview(self, *, message: UUID) -> Preview:
        """Return a message as it reads; once its address is erased, without that."""
        ...

    @command
    @raises(UnknownMessage, AddressErased)
    async def resend(self, *, message: UUID) -> Message:
        """Send a message once more, to the same address; one that is on its way goes once."""
        ...
