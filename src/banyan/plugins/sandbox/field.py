"""The hosted field: a page in a frame of the shop's, where a shopper gives the bank a card."""

from datetime import date
from typing import Annotated, Literal
from urllib.parse import urlencode

from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.enums import RequestEncodingType
from litestar.params import Body, Parameter

from banyan.kernel.language import LOCALE
from banyan.plugins.sandbox import typed
from banyan.plugins.sandbox.cards import FIELD_TOKEN, Cards
from banyan.plugins.sandbox.pages import page, spoken
from banyan.plugins.sandbox.problems import TokenUsed
from banyan.plugins.sandbox.typed import BRAND_NAMES, BRANDS, NUMBERS, Typed
from banyan.plugins.sandbox.values import Value

FieldToken = Annotated[str, Parameter(pattern=FIELD_TOKEN)]
Theme = Literal["auto", "light", "dark"]
Origin = Annotated[
    str | None,
    Parameter(pattern=r"\Ahttps?://[a-z0-9._-]{1,253}(:[0-9]{1,5})?\Z"),
]
Tag = Annotated[str | None, Parameter(pattern=LOCALE)]


class Frame(Value, frozen=True, kw_only=True):
    """Where the field is shown: by pages of which origin, in which language, light or dark.

    Without an origin no page may frame it, and none is told anything.
    """

    origin: str | None
    locale: str
    theme: Theme

    def address(self, token: str, **more: str) -> str:
        """Lead to the field again, from a page of the field."""
        told = {"origin": self.origin, "locale": self.locale, "theme": self.theme, **more}
        return f"{token}?{urlencode({name: value for name, value in told.items() if value})}"


def frame(
    request: Request[None, None, State],
    origin: Origin = None,
    locale: Tag = None,
    theme: Theme = "auto",
) -> Frame:
    """Learn from a request where the field is shown."""
    language = spoken(locale, request.headers.get("accept-language"))
    return Frame(origin=origin, locale=language, theme=theme)


@get("/fields/{token:str}")
async def show(
    cards: Cards, frame: Frame, token: FieldToken, another: Literal["yes", "no"] = "no"
) -> Response[str]:
    """Ask for a card, or show the one that was given; `another` asks for one in its place."""
    if cards.payer(token):
        return _used(frame, status=200)
    card = cards.card(token)
    if card is None or another == "yes":
        return _form(frame, token, Typed(), {})
    return _page(
        "saved.html",
        frame,
        state="saved",
        card=card,
        brand_name=BRAND_NAMES.get(card.brand, ""),
        expires=f"{card.exp[5:]} / {card.exp[2:4]}",
        another=frame.address(token, another="yes"),
    )


@post("/fields/{token:str}")
async def save(
    cards: Cards,
    today: date,
    frame: Frame,
    token: FieldToken,
    data: Annotated[Typed, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[str]:
    """Keep a card under the token; what is wrong is said at its field."""
    if wrong := typed.flaws(data, today=today):
        return _form(frame, token, data, wrong)
    try:
        cards.keep(token, typed.card(data), behavior=typed.behavior(data))
    except TokenUsed:
        return _used(frame, status=409)
    headers = {"location": frame.address(token), "cache-control": "no-store"}
    return Response("", status_code=303, headers=headers)


def _form(frame: Frame, token: str, card: Typed, wrong: dict[str, str]) -> Response[str]:
    """Ask for a card. Everything may be corrected, but the security code is typed anew."""
    return _page(
        "field.html",
        frame,
        state="invalid" if wrong else "empty",
        status=422 if wrong else 200,
        action=frame.address(token),
        typed=card,
        flaws=wrong,
        brands=[(BRANDS[code], name) for code, name in BRAND_NAMES.items()],
        numbers={_spaced(number): like for number, like in NUMBERS.items()},
    )


def _used(frame: Frame, *, status: int) -> Response[str]:
    return _page("used.html", frame, state="used", status=status)


def _page(
    template: str, frame: Frame, *, state: str, status: int = 200, **values: object
) -> Response[str]:
    return page(
        template,
        frame.locale,
        {"origin": frame.origin, "theme": frame.theme, "state": state, **values},
        framed_by=frame.origin or "'none'",
        status=status,
    )


def _spaced(number: str) -> str:
    return " ".join(number[start : start + 4] for start in range(0, len(number), 4))
