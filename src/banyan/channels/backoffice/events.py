"""Events and sagas: what waits, what nobody could digest, what got stuck; and what helps."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar
from urllib.parse import quote
from uuid import UUID

from msgspec import Meta, json

from banyan.channels.backoffice.desk import HOME, Office, address, done, perhaps
from banyan.channels.backoffice.story import title_of
from banyan.kernel import form
from banyan.kernel.backstage import (
    Backstage,
    Backstages,
    Letter,
    SagaEnded,
    SagaSummary,
    SagaUnderWay,
    State,
)
from banyan.kernel.contract import Value
from banyan.kernel.http import Answer, FromPath, Request, get, needs, post
from banyan.kernel.ids import Ids
from banyan.kernel.page import seen_elsewhere
from banyan.kernel.paging import after, page
from banyan.kernel.refusal import BadRequest, Flaw, NotFound
from banyan.kernel.stage_door import presences
from banyan.modules.search.contract import Search

EVENTS = f"{HOME}/events"
LIMIT = 20
AT_A_GLANCE = 5
MOST_LOOKS = 60
"""How often a page that shows progress looks again by itself."""

UNDER_WAY = ("running", "waiting", "undoing")


class Place(Value, frozen=True, kw_only=True):
    """Which sagas are listed and from where on; `look` counts how often a page looked again."""

    state: State | None = None
    cursor: Annotated[str, Meta(max_length=1024)] = ""
    look: Annotated[int, Meta(ge=0, le=MOST_LOOKS)] = 0


class Chosen(Value, frozen=True, kw_only=True):
    """A dead letter, or all."""

    event: UUID | None = None


class Events(Office):
    """All modules at a glance, and whatever in them needs somebody."""

    path = EVENTS
    backstage: Backstages
    search: Search
    ids: Ids

    @get(media_type="text/html")
    async def show(self, request: Request) -> Answer[bytes]:
        """Show how all modules are, and what needs somebody."""
        modules = await presences(self.backstage)
        letters: list[tuple[str, Letter]] = []
        stuck: list[tuple[str, SagaSummary]] = []
        for one in modules:
            behind = self.backstage[one.module]
            if one.health and one.health.events.dead:
                dead = await perhaps(behind.letters(limit=AT_A_GLANCE))
                letters += [(one.module, letter) for letter in dead or ()]
            if one.health and one.health.sagas.stuck:
                found = await perhaps(behind.sagas(state="stuck", limit=AT_A_GLANCE))
                stuck += [(one.module, saga) for saga in found or ()]
        return self.page(
            request, "events.html", modules=modules, letters=letters, stuck=stuck, pretty=pretty
        )

    @post("/rebuild", media_type="text/html", guards=[needs("search:write")])
    async def rebuild(self) -> Answer[bytes]:
        """Make all search documents anew, and lead to the saga that does so."""
        rebuild = self.ids.new()
        await self.search.rebuild(rebuild=rebuild)
        return seen_elsewhere(f"{EVENTS}/search/sagas/{quote(f'rebuild {rebuild}')}")


class Behind(Office):
    """What one module has told, heard and undertaken."""

    path = f"{EVENTS}/{{module:str}}"
    notices: ClassVar = {
        "replayed": "Given another try. What fails again comes back within a few minutes.",
        "discarded": "The letter is gone. What it asked for will not happen.",
        "retried": "The saga goes on at once.",
        "turned": "The saga undoes what it did.",
    }
    backstage: Backstages

    @get("/letters", media_type="text/html")
    async def letters(self, request: Request, module: FromPath[str]) -> Answer[bytes]:
        """List dead letters, the latest to arrive first."""
        place = self._place(request)
        behind = self._behind(module)
        before = after(place.cursor or None, int)
        found = await behind.letters(limit=LIMIT + 1, before=before)
        listed = page(found, limit=LIMIT, place=lambda one: one.number)
        here = f"{EVENTS}/{module}/letters"
        health = await behind.health()
        return self.page(
            request,
            "letters.html",
            module=module,
            letters=listed.items,
            health=health,
            again=self._again(here, place, goes_on=bool(health.events.pending)),
            next=address(here, cursor=listed.next) if listed.next else "",
            first=here if place.cursor else "",
            pretty=pretty,
        )

    @post("/letters/replay", media_type="text/html", guards=[needs("backstage:write")])
    async def replay(self, request: Request, module: FromPath[str]) -> Answer[bytes]:
        """Give dead letters another try, one or all."""
        told = (await form.received(request, Chosen)).value
        if told is None:
            raise BadRequest(errors=(Flaw(pointer="/event", detail="is no id"),))
        await self._behind(module).replay(events=(told.event,) if told.event else None)
        return done(f"{EVENTS}/{module}/letters", "replayed")

    @post("/letters/discard", media_type="text/html", guards=[needs("backstage:write")])
    async def discard(self, request: Request, module: FromPath[str]) -> Answer[bytes]:
        """Let go of a dead letter."""
        told = (await form.received(request, Chosen)).value
        if told and told.event:
            await self._behind(module).discard(events=(told.event,))
        return done(f"{EVENTS}/{module}/letters", "discarded")

    @get("/sagas", media_type="text/html")
    async def sagas(self, request: Request, module: FromPath[str]) -> Answer[bytes]:
        """List sagas, the latest to start first."""
        place = self._place(request)
        found = await self._behind(module).sagas(
            state=place.state,
            limit=LIMIT + 1,
            before=after(place.cursor or None, tuple[datetime, str]),
        )
        listed = page(found, limit=LIMIT, place=lambda one: (one.started_at, one.id))
        here = f"{EVENTS}/{module}/sagas"
        return self.page(
            request,
            "sagas.html",
            module=module,
            state=place.state,
            sagas=listed.items,
            next=address(here, state=place.state, cursor=listed.next) if listed.next else "",
            first=address(here, state=place.state) if place.cursor else "",
        )

    @get("/sagas/{saga:str}", media_type="text/html")
    async def saga(
        self, request: Request, module: FromPath[str], saga: FromPath[str]
    ) -> Answer[bytes]:
        """Show a saga with its journal and its way back."""
        return await self._saga(request, module, saga)

    @post("/sagas/{saga:str}/retry", media_type="text/html", guards=[needs("backstage:write")])
    async def retry(
        self, request: Request, module: FromPath[str], saga: FromPath[str]
    ) -> Answer[bytes]:
        """Have a saga go on at once."""
        try:
            await self._behind(module).retry(saga=saga)
        except (SagaEnded, SagaUnderWay) as no:
            return await self._saga(request, module, saga, refused=no.title(), status=no.status)
        return done(f"{EVENTS}/{module}/sagas/{quote(saga)}", "retried")

    @post("/sagas/{saga:str}/undo", media_type="text/html", guards=[needs("backstage:write")])
    async def undo(
        self, request: Request, module: FromPath[str], saga: FromPath[str]
    ) -> Answer[bytes]:
        """Have a saga undo what it did."""
        try:
            await self._behind(module).turn_back(saga=saga)
        except (SagaEnded, SagaUnderWay) as no:
            return await self._saga(request, module, saga, refused=no.title(), status=no.status)
        return done(f"{EVENTS}/{module}/sagas/{quote(saga)}", "turned")

    async def _saga(
        self, request: Request, module: str, saga: str, *, refused: str = "", status: int = 200
    ) -> Answer[bytes]:
        history = await self._behind(module).saga(saga=saga)
        here = f"{EVENTS}/{module}/sagas/{quote(saga)}"
        goes_on = history.saga.state in UNDER_WAY
        return self.page(
            request,
            "saga.html",
            status=status,
            module=module,
            here=here,
            history=history,
            saga=history.saga,
            refused=refused,
            again=self._again(here, self._place(request), goes_on=goes_on),
            goes_on=goes_on,
            pretty=pretty,
            title_of=title_of,
        )

    def _behind(self, module: str) -> Backstage:
        if module not in self.backstage:
            raise NotFound
        return self.backstage[module]

    def _place(self, request: Request) -> Place:
        return form.read(request.url.query, Place).value or Place()

    def _again(self, here: str, place: Place, *, goes_on: bool) -> str:
        """Tell where a page looks again by itself; nowhere, once it has looked often enough."""
        if not goes_on or place.look >= MOST_LOOKS:
            return ""
        return address(here, look=place.look + 1)


def pretty(told: Any) -> str:
    """Write what an event or a step says, for people."""
    return json.format(json.encode(told, enc_hook=str), indent=2).decode()


routes = [Events, Behind]
