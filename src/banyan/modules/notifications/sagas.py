"""What notifications undertakes: to bring a message out of the house."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from banyan.kernel.clock import Clock
from banyan.kernel.database import Database
from banyan.kernel.ids import derived
from banyan.kernel.link import Unavailable
from banyan.kernel.saga import Saga
from banyan.modules.notifications import model, store
from banyan.modules.notifications.ports import Mail, Mailer, Undeliverable
from banyan.modules.notifications.settings import NotificationsSettings

UNANSWERED = "The mail could not be handed over."
ERASED = "Its address has been erased."


class SendMessage:
    """Hand a message to the mailer until it takes it; give up after about a day.

    Only ids are written down of it: the address stays in the row of the message.
    """

    tries: ClassVar[int] = 300

    def __init__(
        self, db: Database, clock: Clock, mailer: Mailer, settings: NotificationsSettings
    ) -> None:
        self.db = db
        self.clock = clock
        self.post = Post(db, clock, mailer, settings)

    async def __call__(self, saga: Saga, *, message: UUID, sending: int) -> None:
        saga.undo(self.give_up, message=message, sending=sending, reason=UNANSWERED)
        try:
            await saga.do(self.post.hand_over, message=message, sending=sending)
        except Undeliverable as no:
            await saga.conclude(self.give_up, message=message, sending=sending, reason=no.reason)
        else:
            await saga.conclude(self.mark_sent, message=message, sending=sending)

    async def mark_sent(self, *, message: UUID, sending: int) -> None:
        """Note that the message has left."""
        async with self.db.begin() as tx:
            store.mark_sent(tx, message, sending, self.clock.now())

    async def give_up(self, *, message: UUID, sending: int, reason: str) -> None:
        """Note that the message will not leave, and why."""
        async with self.db.begin() as tx:
            store.mark_failed(tx, message, sending, reason)


class Post:
    """The way to the mailer: outside of any transaction, so it is no part of the saga itself."""

    def __init__(
        self, db: Database, clock: Clock, mailer: Mailer, settings: NotificationsSettings
    ) -> None:
        self.db = db
        self.clock = clock
        self.mailer = mailer
        self.settings = settings

    async def hand_over(self, *, message: UUID, sending: int) -> None:
        """Write the letter and hand it to the mailer."""
        mail = await self._write(message, sending)
        try:
            await self.mailer.send(mail)
        except Unavailable as down:
            # A saga takes a problem for the last word, and this one only asks for patience.
            raise ConnectionError(down.what) from None

    async def _write(self, message: UUID, sending: int) -> Mail:
        letter = await store.letter(self.db, message)
        if letter is None or letter.recipient is None:
            raise Undeliverable(reason=ERASED)
        said = model.write(letter, shop=self.settings.shop, timezone=self.settings.zone())
        return Mail(
            id=message if sending == 1 else derived(message, f"sending {sending}"),
            recipient=letter.recipient.email,
            subject=said.subject,
            text=said.text,
            html=said.html,
            language=letter.locale,
            written_at=self.clock.now(),
        )
