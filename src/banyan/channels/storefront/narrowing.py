"""What a shopper asks of a list, as an address says it, and how to ask for more or for less."""

from __future__ import annotations

from typing import Annotated, cast, get_args
from urllib.parse import urlencode

from msgspec import Meta
from msgspec.structs import asdict, replace

from banyan.kernel import form
from banyan.kernel.contract import Value
from banyan.modules.search.contract import Facet, Sort
from banyan.vocabulary import Money

SORTS = get_args(Sort)
LONGEST_QUERY = 200

Amount = Annotated[int, Meta(ge=0, le=10**9)]


class Choice(Value, frozen=True, kw_only=True):
    """A box to tick: a value of a facet, as an address says it, and how many products have it."""

    value: str
    title: str
    count: int
    chosen: bool


class Group(Value, frozen=True, kw_only=True):
    """The boxes of a facet."""

    code: str
    title: str
    choices: tuple[Choice, ...]

    @property
    def chosen(self) -> bool:
        """Whether any box of it is ticked."""
        return any(one.chosen for one in self.choices)


class Chip(Value, frozen=True, kw_only=True):
    """Something that was chosen, and the address of the list without it."""

    title: str
    address: str


class Narrowing(Value, frozen=True, kw_only=True):
    """A query, filters such as `color:sage`, a range of prices in major units, an order, a page."""

    q: Annotated[str, Meta(max_length=LONGEST_QUERY)] = ""
    filter: Annotated[tuple[Annotated[str, Meta(max_length=200)], ...], Meta(max_length=50)] = ()
    least: Amount | None = None
    most: Amount | None = None
    sort: str = ""
    cursor: str = ""

    @classmethod
    def of(cls, query: str) -> Narrowing:
        """Read an address; what makes no sense there asks for nothing."""
        told = form.read(query, cls)
        if told.value is None:
            kept = [(name, one) for name in told.said for one in told.said[name]]
            return cls.of(urlencode([pair for pair in kept if pair[0] not in told.flaws]))
        return told.value

    @property
    def order(self) -> Sort | None:
        """The order that was asked for, if there is such an order."""
        return cast(Sort, self.sort) if self.sort in SORTS else None

    @property
    def narrowed(self) -> bool:
        """Whether anything but a query was asked for."""
        return bool(self.filter or self.priced)

    @property
    def priced(self) -> bool:
        """Whether a range of prices was asked for."""
        return self.least is not None or self.most is not None

    def filters(self, currency: str) -> dict[str, tuple[str, ...]]:
        """Say to search what was chosen; its ranges of prices exclude their upper end."""
        chosen: dict[str, tuple[str, ...]] = {}
        for code, colon, value in (one.partition(":") for one in self.filter):
            if colon and value:
                chosen[code] = (*chosen.get(code, ()), value)
        if self.priced:
            least, most = self.prices(currency)
            low = str(least.amount) if least else ""
            high = str(most.amount + 1) if most else ""
            chosen["price"] = (f"{low}-{high}",)
        return chosen

    def prices(self, currency: str) -> tuple[Money | None, Money | None]:
        """Return the least and the greatest price that are asked for, whichever was said first."""
        least, most = self.least, self.most
        if least is not None and most is not None:
            least, most = sorted((least, most))
        return _money(least, currency), _money(most, currency)

    def address(self, path: str) -> str:
        """Write the address of this list."""
        told = {name: one for name, one in asdict(self).items() if one not in ("", (), None)}
        return f"{path}?{urlencode(told, doseq=True)}" if told else path

    def page(self, path: str, cursor: str) -> str:
        """Write the address of another page of this list."""
        return replace(self, cursor=cursor).address(path)

    def without_filters(self, path: str) -> str:
        """Write the address of the list with nothing chosen."""
        return Narrowing(q=self.q, sort=self.sort).address(path)

    def groups(self, facets: tuple[Facet, ...]) -> list[Group]:
        """List the boxes of all facets; a range of prices is no box, and a single one no choice."""
        groups = [
            Group(code=facet.code, title=facet.title, choices=self._choices(facet))
            for facet in facets
            if facet.code != "price"
        ]
        return [group for group in groups if len(group.choices) > 1 or group.chosen]

    def chips(self, path: str, groups: list[Group]) -> list[Chip]:
        """List what was chosen, each with the way to be rid of it."""
        titles = {
            one.value: f"{group.title}: {one.title}" if group.code == "available" else one.title
            for group in groups
            for one in group.choices
        }
        return [
            Chip(
                title=titles.get(chosen.lower()) or chosen.partition(":")[2],
                address=self._without(chosen).address(path),
            )
            for chosen in self.filter
        ]

    def without_prices(self, path: str) -> str:
        """Write the address of the list at any price."""
        return replace(self, least=None, most=None, cursor="").address(path)

    def _without(self, chosen: str) -> Narrowing:
        return replace(self, filter=tuple(one for one in self.filter if one != chosen), cursor="")

    def _choices(self, facet: Facet) -> tuple[Choice, ...]:
        chosen = {one.lower() for one in self.filter}
        return tuple(
            Choice(
                value=(said := f"{facet.code}:{value.value}"),
                title=value.title,
                count=value.count,
                chosen=said in chosen,
            )
            for value in facet.values
        )


def _money(major: int | None, currency: str) -> Money | None:
    return None if major is None else Money.of(str(major), currency)
