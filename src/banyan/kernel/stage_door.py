"""The way backstage over HTTP: dead letters and stuck sagas of every module, seen and mended.

It is a channel: a topology says which process hosts it, and that one may ask every module.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta

from banyan.kernel.backstage import (
    Backstages,
    Letter,
    ModuleHealth,
    Replayed,
    SagaHistory,
    SagaSummary,
    State,
)
from banyan.kernel.contract import Value
from banyan.kernel.http import (
    Controller,
    Cursor,
    FromPath,
    JSONBody,
    Limit,
    QueryParameter,
    get,
    needs,
    post,
)
from banyan.kernel.link import spare
from banyan.kernel.module import Channel
from banyan.kernel.paging import Page, after, page
from banyan.kernel.subjects import BACKSTAGE

PATIENCE_SECONDS = 1.0

SagaId = Annotated[str, Meta(max_length=200)]


class Presence(Value, frozen=True, kw_only=True):
    """A module and its health; none is told of one whose process does not answer."""

    module: str
    reachable: bool
    health: ModuleHealth | None


class Chosen(Value, frozen=True, kw_only=True):
    """Some events by their ids."""

    events: Annotated[tuple[UUID, ...], Meta(min_length=1, max_length=1000)]


class Discarded(Value, frozen=True, kw_only=True):
    """How many dead letters were let go of."""

    count: int


class Modules(Controller):
    """What the modules have told and heard, and what they have undertaken."""

    path = "/api/admin/modules"
    tags = ("backstage (admin)",)
    guards = (needs("backstage:read"),)
    backstage: Backstages

    @get()
    async def browse(self) -> Page[Presence]:
        """Tell the health of every module, of all those that answer within a second."""
        return Page(items=await presences(self.backstage))

    @get("/{module:str}/letters")
    async def letters(
        self, module: FromPath[str], limit: Limit = 24, cursor: Cursor = None
    ) -> Page[Letter]:
        """List dead letters, the latest to arrive first."""
        before = after(cursor, int)
        found = await self.backstage[module].letters(limit=limit + 1, before=before)
        return page(found, limit=limit, place=lambda one: one.number)

    @post("/{module:str}/letters/replay", guards=[needs("backstage:write")], status_code=200)
    async def replay(self, module: FromPath[str], data: JSONBody[Chosen | None]) -> Replayed:
        """Give dead letters another try: those of some events, or all."""
        return await self.backstage[module].replay(events=data.events if data else None)

    @post("/{module:str}/letters/discard", guards=[needs("backstage:write")], status_code=200)
    async def discard(self, module: FromPath[str], data: JSONBody[Chosen]) -> Discarded:
        """Let go of dead letters, so that what they ask for never happens."""
        return Discarded(count=await self.backstage[module].discard(events=data.events))

    @get("/{module:str}/sagas")
    async def sagas(
        self,
        module: FromPath[str],
        in_state: Annotated[State | None, QueryParameter(name="state")] = None,
        limit: Limit = 24,
        cursor: Cursor = None,
    ) -> Page[SagaSummary]:
        """List sagas, the latest to start first."""
        before = after(cursor, tuple[datetime, str])
        found = await self.backstage[module].sagas(state=in_state, limit=limit + 1, before=before)
        return page(found, limit=limit, place=lambda one: (one.started_at, one.id))

    @get("/{module:str}/sagas/{saga:str}")
    async def saga(self, module: FromPath[str], saga: FromPath[SagaId]) -> SagaHistory:
        """Show a saga with its journal and its way back."""
        return await self.backstage[module].saga(saga=saga)

    @post(
        "/{module:str}/sagas/{saga:str}/retry", guards=[needs("backstage:write")], status_code=200
    )
    async def retry(self, module: FromPath[str], saga: FromPath[SagaId]) -> SagaSummary:
        """Have a saga go on at once; one that is stuck, further on its way back."""
        return await self.backstage[module].retry(saga=saga)

    @post("/{module:str}/sagas/{saga:str}/undo", guards=[needs("backstage:write")], status_code=200)
    async def undo(self, module: FromPath[str], saga: FromPath[SagaId]) -> SagaSummary:
        """Have a saga undo what it did; one that has taken its last step ends as done."""
        return await self.backstage[module].turn_back(saga=saga)


async def presences(backstage: Backstages) -> tuple[Presence, ...]:
    """Ask all modules at once how they are, and wait a second for those who do not say."""
    names = sorted(backstage)
    told = await asyncio.gather(
        *(
            spare(backstage[name].health(), otherwise=None, seconds=PATIENCE_SECONDS)
            for name in names
        )
    )
    return tuple(
        Presence(module=name, reachable=health is not None, health=health)
        for name, health in zip(names, told, strict=True)
    )


channel = Channel(name=BACKSTAGE, routes=[Modules])
