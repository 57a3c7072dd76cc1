"""What search undertakes: to make all documents anew from what it has been told."""

from __future__ import annotations

from uuid import UUID

from banyan.kernel.database import Database
from banyan.kernel.saga import Saga
from banyan.modules.search.settings import SearchSettings
from banyan.modules.search.store import facts, shadows, tallies

BEFORE_ALL = UUID(int=0)


class MakeAnew:
    """Make every document in the shadow of the one in use, then let them change places at once.

    Events go on meanwhile: what they make anew gives up its shadow, so that a shadow is never
    older than what it replaces.
    """

    def __init__(self, db: Database, settings: SearchSettings) -> None:
        self.db = db
        self.at_once = settings.rebuilt_at_once

    async def __call__(self, saga: Saga) -> int:
        await saga.do(self.begin)
        last: UUID | None = BEFORE_ALL
        while last:
            last = await saga.do(self.make, after=last)
        return await saga.conclude(self.change_places)

    async def begin(self) -> None:
        """Keep nothing of a rebuild that came to no end."""
        async with self.db.begin() as tx:
            await shadows.clear(tx)

    async def make(self, *, after: UUID) -> UUID | None:
        """Make the next shadows; return the last product of them, None when there is none left."""
        async with self.db.begin() as tx:
            await facts.take_turns(tx)
            products = await facts.products_after(tx, after, self.at_once)
            await shadows.make(tx, products)
        return products[-1] if products else None

    async def change_places(self) -> int:
        """Put shadows in the place of documents that differ; return how many there were."""
        async with self.db.begin() as tx:
            await facts.take_turns(tx)
            corrected = await shadows.change_places(tx)
            await shadows.forget_spellings(tx)
            await tallies.count_anew(tx)
            await shadows.clear(tx)
        return corrected
