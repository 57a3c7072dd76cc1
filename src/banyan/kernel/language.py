"""Where somebody comes from, and in which language they are answered."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache

import babel

from banyan.kernel.contract import Value

LOCALE = r"^[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8}){0,4}$"
MARKET = r"^[a-z0-9][a-z0-9-]{0,31}$"

_MOST_RANGES = 16
_RANGE = re.compile(
    r"\s*([A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8}){0,7})\s*(?:;\s*q\s*=\s*([01](?:\.[0-9]{0,3})?)\s*)?"
)


class Visit(Value, frozen=True, kw_only=True):
    """The market and the languages that were asked for, if any, the best language first.

    Who answers chooses a language from the `wishes`, and says which it is.
    """

    market: str | None
    wishes: tuple[str, ...] = ()


def visit_of(asked: Mapping[str, str], headers: Mapping[str, str]) -> Visit:
    """Learn from a request where somebody is; what its query asks for wins over its headers."""
    market = _well_spelled("market", asked.get("market"), MARKET)
    general = _well_spelled("Banyan-Market", headers.get("banyan-market"), MARKET)
    locale = _well_spelled("locale", asked.get("locale"), LOCALE)
    wishes = _wishes(",".join(filter(None, (locale, headers.get("accept-language")))))
    return Visit(market=market or general, wishes=wishes)


def _well_spelled(parameter: str, told: str | None, pattern: str) -> str | None:
    if told is not None and not re.fullmatch(pattern, told):
        # Loading it takes half a second and twenty megabytes, which a program that only chooses
        # languages, such as a bank for trials, has no use for.
        from banyan.kernel.refusal import BadRequest, Flaw  # noqa: PLC0415

        flaw = Flaw(parameter=parameter, detail=f"Expected text that matches {pattern}")
        raise BadRequest(errors=(flaw,))
    return told


def negotiate(accept_language: str, offered: tuple[str, ...], default: str) -> str:
    """Choose a language by what somebody tells of theirs, such as an Accept-Language."""
    return choose(_wishes(accept_language), offered) or default


@lru_cache(maxsize=1024)
def choose(wishes: tuple[str, ...], offered: tuple[str, ...]) -> str | None:
    """Choose a language by lookup (RFC 4647, section 3.4): each wish is shortened until it fits."""
    spelled = {language.lower(): language for language in offered}
    return next((spelled[tag] for tag in lookup(wishes) if tag in spelled), None)


def lookup(wishes: Iterable[str]) -> tuple[str, ...]:
    """List the tags that lookup tries, in lower case: of de-AT and en, these are de-at, de, en."""
    return tuple(short for wish in wishes for short in _shortened(wish.lower()))


@lru_cache(maxsize=1024)
def manner(locale: str) -> babel.Locale:
    """Tell how a language writes numbers, dates and names; of de-XX as de, and of none as en."""
    for tag in lookup((locale,)):
        with suppress(babel.UnknownLocaleError, ValueError):
            return babel.Locale.parse(tag, sep="-")
    return babel.Locale("en")


def _shortened(wish: str) -> Iterator[str]:
    """Tell zh-Hant-x-private, zh-Hant, zh: what a single letter introduces goes with the letter."""
    parts = wish.split("-")
    while parts:
        if len(parts[-1]) > 1 or len(parts) == 1:
            yield "-".join(parts)
        parts.pop()


@lru_cache(maxsize=1024)
def _wishes(accept_language: str) -> tuple[str, ...]:
    """List the ranges of an Accept-Language, best first; what does not read as one is skipped."""
    ranges = (_RANGE.fullmatch(part) for part in accept_language.split(",")[:_MOST_RANGES])
    weighed = [(float(found[2] or 1), found[1].lower()) for found in ranges if found]
    return tuple(wish for weight, wish in sorted(weighed, key=lambda pair: -pair[0]) if weight)
