"""The sheet that a shopper fills in at the checkout: what was typed, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from msgspec import Meta
from msgspec.structs import asdict, replace

from banyan import postal
from banyan.channels.storefront.desk import Place
from banyan.kernel.contract import Value
from banyan.kernel.form import Flaw, Form
from banyan.modules.ordering.contract import Cart
from banyan.postal import Rules, country_name
from banyan.vocabulary import Address, Email

Intent = Literal["country", "details", "delivery", "order"]


class Asked(Value, frozen=True, kw_only=True):
    """What is said in a checkout's form beside the addresses; those are read by their country.

    `total` is what the button said that the order costs, on the page that showed `version`.
    """

    email: Email
    intent: Intent = "details"
    same: bool
    delivery: Annotated[str, Meta(max_length=64)] = ""
    payment: Annotated[str, Meta(pattern="^[a-z0-9_-]{0,64}$")] = ""
    total: int = -1
    version: int = 0


class Part(Value, frozen=True, kw_only=True):
    """One of the addresses on the sheet, as it is typed and, if nothing is wrong, as it is."""

    name: Literal["shipping", "billing"]
    country: str
    countries: tuple[tuple[str, str], ...]
    rules: Rules
    told: dict[str, str]
    flaws: dict[str, Flaw] = {}  # noqa: RUF012 - copied for each value
    address: Address | None = None


class Sheet(Value, frozen=True, kw_only=True):
    """Everything that a shopper tells before the payment."""

    email: str
    shipping: Part
    billing: Part
    same: bool
    flaws: dict[str, Flaw] = {}  # noqa: RUF012 - copied for each value

    @property
    def flawed(self) -> bool:
        """Whether something has to be mended before anything can be kept."""
        return bool(self.flaws or self.shipping.flaws or self.billing.flaws)

    @property
    def bill_to(self) -> Address | None:
        """The address that the invoice is written to."""
        return self.shipping.address if self.same else self.billing.address

    def unjudged(self) -> Sheet:
        """Forget what is wrong, as long as the shopper is not done."""
        parts = {name: replace(getattr(self, name), flaws={}) for name in ("shipping", "billing")}
        return replace(self, flaws={}, **parts)


def filled(place: Place, cart: Cart) -> Sheet:
    """Fill in the sheet with what is known from before."""
    shipping, billing = cart.shipping_address, cart.billing_address
    return Sheet(
        email=cart.email or "",
        shipping=_part("shipping", place, _told(shipping)),
        billing=_part("billing", place, _told(billing)),
        same=billing is None or billing == shipping,
    )


def read(place: Place, form: Form[Asked]) -> Sheet:
    """Read what was typed, each address by the rules of its country."""

    def typed(name: Literal["shipping", "billing"]) -> Part:
        told = {
            field.removeprefix(f"{name}-"): form.text(field)
            for field in form.said
            if field.startswith(f"{name}-")
        }
        part = _part(name, place, told)
        found, flaws = postal.read(told, part.country)
        return replace(part, address=found, flaws=flaws)

    same, billing = bool(form.text("same")), typed("billing")
    return Sheet(
        email=form.text("email"),
        shipping=typed("shipping"),
        billing=replace(billing, flaws={}) if same else billing,
        same=same,
        flaws=dict(form.flaws),
    )


def _part(name: Literal["shipping", "billing"], place: Place, told: Mapping[str, str]) -> Part:
    """Make room for an address in one of the market's countries, the first unless told."""
    countries = place.market.countries
    asked = told.get("country", "")
    country = asked if asked in countries else countries[0]
    names = [(code, country_name(code, place.locale)) for code in countries]
    return Part(
        name=name,
        country=country,
        countries=tuple(sorted(names, key=lambda pair: pair[1])),
        rules=postal.rules(country),
        told=dict(told),
    )


def _told(known: Address | None) -> dict[str, str]:
    return asdict(known) if known else {}
