"""Where somebody comes from, and in which language they are answered."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

from banyan.kernel.contract import Value
from banyan.kernel.refusal import BadRequest, Flaw

LOCALE = r"^[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8}){0,4}$"
MARKET = r"^[a-z0-9][a-z0-9-]{0,31}$"

_MOST_RANGES = 16
_RANGE = re.compile(r"\s*([A-Za-z0-9-]+)\s*(?:;\s*q\s*=\s*([01](?:\.[0-9]{0,3})?)\s*)?")


class Visit(Value, frozen=True, kw_only=True):
    """The market that was asked for, if any, and the language to answer in."""

    market: str | None
    locale: str


def visit_of(
    asked: Mapping[str, str], headers: Mapping[str, str], locales: tuple[str, ...]
) -> Visit:
    """Learn from a request where somebody is; what its query asks for wins over its headers."""
    market = _well_spelled("market", asked.get("market"), MARKET)
    general = _well_spelled("Banyan-Market", headers.get("banyan-market"), MARKET)
    locale = _well_spelled("locale", asked.get("locale"), LOCALE)
    wishes = ",".join(filter(None, (locale, headers.get("accept-language"))))
    return Visit(market=market or general, locale=negotiate(wishes, locales, locales[0]))


def _well_spelled(parameter: str, told: str | None, pattern: str) -> str | None:
    if told is not None and not re.fullmatch(pattern, told):
        flaw = Flaw(parameter=parameter, detail=f"Expected text that matches {pattern}")
        raise BadRequest(errors=(flaw,))
    return told


@lru_cache(maxsize=1024)
def negotiate(accept_language: str, offered: tuple[str, ...], default: str) -> str:
    """Choose a language by lookup (RFC 4647, section 3.4): each wish is shortened until it fits."""
    spelled = {language.lower(): language for language in offered}
    shortened = (short for wish in _wishes(accept_language) for short in _shortened(wish))
    return next((spelled[short] for short in shortened if short in spelled), default)


def _shortened(wish: str) -> Iterator[str]:
    """Tell zh-Hant-x-private, zh-Hant, zh: what a single letter introduces goes with the letter."""
    parts = wish.split("-")
    while parts:
        if len(parts[-1]) > 1 or len(parts) == 1:
            yield "-".join(parts)
        parts.pop()


def _wishes(accept_language: str) -> Iterator[str]:
    """List the ranges of an Accept-Language, best first; what does not read as one is skipped."""
    ranges = (_RANGE.fullmatch(part) for part in accept_language.split(",")[:_MOST_RANGES])
    weighed = [(float(found[2] or 1), found[1].lower()) for found in ranges if found]
    for weight, wish in sorted(weighed, key=lambda pair: -pair[0]):
        if weight:
            yield wish
