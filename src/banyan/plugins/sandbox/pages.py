"""The bank's pages: what they share, and what browsers may do with them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from litestar import MediaType, Response, get

from banyan.kernel.template import Templates
from banyan.plugins.sandbox.form import OTHER_BRAND
from banyan.plugins.sandbox.values import Card
from banyan.plugins.sandbox.words import Words

BRAND_NAMES = {
    "visa": "Visa",
    "mastercard": "Mastercard",
    "amex": "Amex",
    "discover": "Discover",
}
KINDS = {"bank.css": "text/css", "field.js": "text/javascript"}

_TEMPLATES = Templates("banyan.plugins.sandbox")
_ASSETS = Path(__file__).with_name("assets")


@get("/assets/{name:str}", sync_to_thread=False)
def asset(name: Literal["bank.css", "field.js"]) -> Response[bytes]:
    """Hand out the bank's own style or script."""
    return Response(
        (_ASSETS / name).read_bytes(),
        media_type=KINDS[name],
        headers={"cache-control": "no-cache", "x-content-type-options": "nosniff"},
    )


def page(
    template: str,
    words: Words,
    values: Mapping[str, object],
    *,
    framed_by: str = "'none'",
    leads_to: str = "",
    status: int = 200,
) -> Response[str]:
    """Fill a page for one shopper: no cache keeps it, and nothing comes from elsewhere.

    Browsers hold a form's redirect against `form-action` too, so `leads_to` has to be in it.
    """
    policy = (
        "default-src 'none'; style-src 'self'; script-src 'self'; base-uri 'none';"
        f" frame-ancestors {framed_by}; form-action 'self' {leads_to}".rstrip()
    )
    return Response(
        _TEMPLATES.render(template, words=words, **values),
        status_code=status,
        media_type=MediaType.HTML,
        headers={
            "content-security-policy": policy,
            "content-language": words.language,
            "cache-control": "no-store",
            "referrer-policy": "no-referrer",
            "x-content-type-options": "nosniff",
        },
    )


def brand_name(card: Card, words: Words) -> str:
    """Say whose card it is."""
    return words.card if card.brand == OTHER_BRAND else BRAND_NAMES[card.brand]
