"""What all channels look like, and how they write money and dates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, tzinfo
from functools import lru_cache
from importlib import resources
from typing import Any

from babel.dates import format_date, format_time
from babel.numbers import format_currency, format_decimal, format_percent

from banyan.kernel.assets import Assets, folder
from banyan.kernel.language import manner
from banyan.kernel.page import AnyRequest, Pages
from banyan.vocabulary import Money


def assets(package: str, prefix: str) -> Assets:
    """Gather a channel's files: its own, the design tokens of all channels, and htmx."""
    here = resources.files(package) / "static"
    shared = resources.files("banyan.channels") / "static"
    htmx = resources.files("js_lib_htmx") / "static" / "htmx" / "htmx.min.js"
    return Assets(prefix, {**folder(shared), **folder(here), "htmx.js": htmx})


def pages(
    package: str,
    files: Assets,
    *,
    around: Callable[[AnyRequest], Mapping[str, Any]] = lambda _: {},
    entrance: str | None = None,
) -> Pages:
    """Make the pages of a channel."""
    return Pages(
        package,
        assets=files,
        filters={
            "day": day,
            "language": language,
            "moment": moment,
            "money": money,
            "number": number,
            "share": share,
        },
        around=around,
        entrance=entrance,
    )


@lru_cache(maxsize=4096)
def money(amount: Money, locale: str) -> str:
    """Write an amount: 19,99 € in German, €19.99 in English."""
    return format_currency(amount.major(), amount.currency, locale=manner(locale))


def day(when: date, locale: str) -> str:
    """Write a date: 22. November 2026."""
    return format_date(when, "long", locale=manner(locale))


def moment(when: datetime, locale: str, zone: tzinfo = UTC) -> str:
    """Write a date and time, briefly, as a clock in some time zone shows it."""
    there, style = when.astimezone(zone), manner(locale)
    return f"{format_date(there, 'medium', style)}, {format_time(there, 'HH:mm', locale=style)}"


def number(count: float, locale: str) -> str:
    """Write a number with the separators of a language."""
    return format_decimal(count, locale=manner(locale))


def share(part: float, locale: str) -> str:
    """Write a part of one as percent."""
    return format_percent(part, locale=manner(locale))


@lru_cache(maxsize=256)
def language(locale: str) -> str:
    """Name a language as those who speak it do: Deutsch, English."""
    return (manner(locale).get_display_name() or locale).capitalize()
