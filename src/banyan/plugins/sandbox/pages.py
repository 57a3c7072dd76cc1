"""The bank's pages: what they share, and what browsers may do with them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from litestar import MediaType, Response, get

from banyan.kernel.language import negotiate
from banyan.kernel.template import Templates
from banyan.kernel.words import ENGLISH, Words

KINDS = {"bank.css": "text/css", "field.js": "text/javascript"}

_PACKAGE = "banyan.plugins.sandbox"
_WORDS = Words(_PACKAGE)
_TEMPLATES = Templates(_PACKAGE, words=_WORDS)
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
    locale: str,
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
        _TEMPLATES.render(template, locale=locale, **values),
        status_code=status,
        media_type=MediaType.HTML,
        headers={
            "content-security-policy": policy,
            "content-language": locale,
            "cache-control": "no-store",
            "referrer-policy": "no-referrer",
            "x-content-type-options": "nosniff",
        },
    )


def spoken(*wishes: str | None) -> str:
    """Choose the language of a page, by what was asked for first and what the browser prefers."""
    return negotiate(",".join(filter(None, wishes)), _WORDS.languages, ENGLISH)
