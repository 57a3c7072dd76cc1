"""The answers of notifications: load, decide, save, tell."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from banyan.kernel.clock import Clock
from banyan.kernel.database import Database
from banyan.kernel.driver import Sagas
from banyan.kernel.transaction import Transaction
from banyan.modules.notifications import model, store
from banyan.modules.notifications.contract import (
    AddressErased,
    Message,
    Notifications,
    Preview,
    UnknownMessage,
)
from banyan.modules.notifications.model import Letter
from banyan.modules.notifications.sagas import SendMessage
from banyan.modules.notifications.settings import NotificationsSettings

ERASED_AT_ONCE = 1000


class NotificationsService(Notifications):
    """Messages, in the schema `notifications`."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        sagas: Sagas,
        send: SendMessage,
        settings: NotificationsSettings,
    ) -> None:
        self.db = db
        self.clock = clock
        self.sagas = sagas
        self.send = send
        self.settings = settings

    async def messages(
        self, *, about: str | None = None, before: UUID | None = None, limit: int = 24
    ) -> tuple[Message, ...]:
        return await store.messages(self.db, about, before, limit)

    async def preview(self, *, message: UUID) -> Preview:
        letter = await store.letter(self.db, message)
        if letter is None:
            raise UnknownMessage(message=message)
        return model.write(letter, shop=self.settings.shop, timezone=self.settings.zone())

    async def resend(self, *, message: UUID) -> Message:
        async with self.db.begin() as tx:
            letter = await store.lock_letter(tx, message)
            if letter is None:
                raise UnknownMessage(message=message)
            if letter.recipient is None:
                raise AddressErased(message=message)
            sending = model.next_sending(letter)
            known = await store.send_again(tx, message, sending)
            self._set_out(tx, message, sending)
        return known

    async def write(self, letter: Letter) -> None:
        """Keep a letter and send it; one that was written before is not sent again."""
        async with self.db.begin() as tx:
            if await store.add_letter(tx, letter, self.clock.now()):
                self._set_out(tx, letter.id, letter.sending)

    async def erase_addresses(self) -> None:
        """Forget whom messages were for that are too old to be sent again."""
        before = self.clock.now() - timedelta(days=self.settings.keep_address_days)
        async with self.db.begin() as tx:
            await store.erase_recipients(tx, before, ERASED_AT_ONCE)

    def _set_out(self, tx: Transaction, message: UUID, sending: int) -> None:
        identity = f"{message}/{sending}"
        self.sagas.start(tx, self.send, identity, message=message, sending=sending)
