"""A toy module with an HTTP face, as `banyan.kernel.http` describes one."""

from __future__ import annotations

from typing import Annotated, NewType, Protocol
from uuid import UUID

from msgspec import UNSET, Meta, UnsetType, field

from banyan.kernel import link
from banyan.kernel.contract import Problem, Value, command, contract, query, raises
from banyan.kernel.http import (
    Answer,
    Controller,
    Cursor,
    FromPath,
    FromQuery,
    IfMatch,
    JSONBody,
    Limit,
    Visiting,
    delete,
    get,
    needs,
    obligatory_key,
    obligatory_match,
    patch,
    post,
    tagged,
)
from banyan.kernel.idempotency import Idempotency
from banyan.kernel.ids import Ids
from banyan.kernel.language import choose
from banyan.kernel.paging import BadCursor, Page, after, page
from banyan.kernel.refusal import Stale

ToyId = NewType("ToyId", UUID)
Name = Annotated[str, Meta(min_length=1, max_length=80)]
Pieces = Annotated[int, Meta(ge=1, le=10_000)]


class Wheel(Value, frozen=True, kw_only=True):
    """A part that turns."""

    spokes: int = 0


class Toy(Value, frozen=True, kw_only=True):
    """Something to play with."""

    id: ToyId
    name: Name
    pieces: Pieces = 1
    wheels: tuple[Wheel, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    version: int = 1


class NewToy(Value, frozen=True, kw_only=True):
    """A toy that is not there yet."""

    name: Name
    pieces: Pieces = 1
    wheels: tuple[Wheel, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)


class Change(Value, frozen=True, kw_only=True):
    """What is to be different about a toy."""

    name: Name | UnsetType = UNSET
    pieces: Pieces | UnsetType = UNSET


class Lending(Value, frozen=True, kw_only=True):
    """Who has taken a toy home."""

    toy: ToyId
    to: str


class Loan(Value, frozen=True, kw_only=True):
    """To whom a toy is to be lent."""

    to: Name
    shelf: tuple[int, int] = (0, 0)


class UnknownToy(Problem, status=404):
    """There is no such toy."""

    toy: ToyId


class NotForRent(Problem, status=402):
    """Toys of one piece only are not lent for free."""

    toy: ToyId


@contract("toybox")
class Toybox(Protocol):
    """A box of toys."""

    @query
    @raises(BadCursor)
    async def toys(self, *, limit: int, cursor: str | None = None, smallest: int = 0) -> Page[Toy]:
        """List toys by name."""
        ...

    @query
    @raises(UnknownToy)
    async def toy(self, *, toy: ToyId) -> Toy:
        """Show a toy."""
        ...

    @command
    async def create(self, *, toy: ToyId, new: NewToy) -> Toy:
        """Put a toy into the box."""
        ...

    @command
    @raises(UnknownToy, Stale)
    async def change(self, *, toy: ToyId, expected: int | None, change: Change) -> Toy:
        """Change a toy that is still as it was when it was read."""
        ...

    @command
    @raises(UnknownToy)
    async def throw_away(self, *, toy: ToyId) -> None:
        """Take a toy out of the box for good."""
        ...

    @command
    @raises(UnknownToy, NotForRent)
    async def lend(self, *, toy: ToyId, to: str) -> Lending:
        """Let somebody take a toy home."""
        ...


class ToyboxService(Toybox):
    """A box that forgets everything when it is closed."""

    def __init__(self) -> None:
        self.kept: dict[ToyId, Toy] = {}
        self.keys: list[Idempotency | None] = []
        self.asleep = False

    async def toys(self, *, limit: int, cursor: str | None = None, smallest: int = 0) -> Page[Toy]:
        if self.asleep:
            raise TimeoutError
        last = after(cursor, tuple[str, UUID]) or ("", UUID(int=0))
        found = sorted((toy.name, toy.id) for toy in self.kept.values() if toy.pieces >= smallest)
        waiting = [self.kept[ToyId(one)] for name, one in found if (name, one) > last]
        return page(waiting[: limit + 1], limit=limit, place=lambda toy: (toy.name, toy.id))

    async def toy(self, *, toy: ToyId) -> Toy:
        if toy not in self.kept:
            raise UnknownToy(toy=toy)
        return self.kept[toy]

    async def create(self, *, toy: ToyId, new: NewToy) -> Toy:
        self.kept[toy] = Toy(
            id=toy, name=new.name, pieces=new.pieces, wheels=new.wheels, labels=new.labels
        )
        return self.kept[toy]

    async def change(self, *, toy: ToyId, expected: int | None, change: Change) -> Toy:
        before = await self.toy(toy=toy)
        if expected not in (None, before.version):
            raise Stale(current=before.version)
        self.kept[toy] = Toy(
            id=toy,
            name=before.name if change.name is UNSET else change.name,
            pieces=before.pieces if change.pieces is UNSET else change.pieces,
            wheels=before.wheels,
            labels=before.labels,
            version=before.version + 1,
        )
        return self.kept[toy]

    async def throw_away(self, *, toy: ToyId) -> None:
        await self.toy(toy=toy)
        del self.kept[toy]

    async def lend(self, *, toy: ToyId, to: str) -> Lending:
        self.keys.append(link.current().idempotency)
        found = await self.toy(toy=toy)
        if found.pieces == 1:
            raise NotForRent(toy=toy)
        return Lending(toy=toy, to=to)


class Toys(Controller):
    """Toys, as everybody sees them."""

    path = "/api/store/toys"
    tags = ("toys",)
    toybox: Toybox

    @get()
    async def browse(
        self,
        limit: Limit = 24,
        cursor: Cursor = None,
        smallest: FromQuery[Annotated[int, Meta(ge=0, le=10_000)]] = 0,
    ) -> Page[Toy]:
        """List toys by name."""
        return await self.toybox.toys(limit=limit, cursor=cursor, smallest=smallest)

    @get("/{toy:str}")
    async def show(self, toy: FromPath[ToyId]) -> Answer[Toy]:
        """Show a toy."""
        found = await self.toybox.toy(toy=toy)
        return tagged(found, found.version)

    @post("/{toy:str}/loans", guards=[obligatory_key])
    async def lend(self, toy: FromPath[ToyId], data: JSONBody[Loan]) -> Lending:
        """Lend a toy to somebody."""
        return await self.toybox.lend(toy=toy, to=data.to)


class Greetings(Controller):
    """Words in the language of whoever comes."""

    path = "/api/store/greetings"
    tags = ("greetings",)

    @get()
    async def greet(self, visit: Visiting) -> Answer[dict[str, str | None]]:
        """Say in which market and language the visitor is met."""
        locale = choose(visit.wishes, ("en", "de"))
        return tagged({"market": visit.market, "locale": locale}, 1, locale=locale)

    @get("/broken", include_in_schema=False)
    async def broken(self) -> None:
        """Fail in a way that nobody expected."""
        raise RuntimeError("the secret is 4711")


class ToysAdmin(Controller):
    """Toys, as their keeper sees them."""

    path = "/api/admin/toys"
    tags = ("toys",)
    guards = (needs("toybox:write"),)
    toybox: Toybox
    ids: Ids

    @post()
    async def create(self, data: JSONBody[NewToy]) -> Answer[Toy]:
        """Put a new toy into the box."""
        made = await self.toybox.create(toy=ToyId(self.ids.new()), new=data)
        return tagged(made, made.version)

    @patch("/{toy:str}", guards=[obligatory_match])
    async def change(
        self, toy: FromPath[ToyId], expected: IfMatch, data: JSONBody[Change]
    ) -> Answer[Toy]:
        """Change a toy, unless somebody else has changed it since it was read."""
        changed = await self.toybox.change(toy=toy, expected=expected, change=data)
        return tagged(changed, changed.version)

    @delete("/{toy:str}")
    async def throw_away(self, toy: FromPath[ToyId]) -> None:
        """Take a toy out of the box for good."""
        await self.toybox.throw_away(toy=toy)


routes = (Toys, Greetings, ToysAdmin)
