"""What an operator may turn in notifications."""

from __future__ import annotations

from datetime import UTC, tzinfo
from typing import Annotated
from zoneinfo import ZoneInfo

from msgspec import Meta

from banyan.kernel.settings import Settings


class NotificationsSettings(Settings, frozen=True, kw_only=True):
    """In whose name messages are written, and how long it is remembered to whom.

    `timezone` is an IANA name such as `Europe/Berlin`: the dates in messages are dates there.
    """

    shop: Annotated[str, Meta(min_length=1, max_length=100)] = "Banyan"
    timezone: str = "UTC"
    keep_address_days: Annotated[int, Meta(ge=1, le=36_500)] = 90

    def __post_init__(self) -> None:
        try:
            self.zone()
        except (LookupError, OSError, ValueError):
            raise ValueError(f"timezone: {self.timezone!r} is not known here.") from None

    def zone(self) -> tzinfo:
        """Where dates are dates; UTC is known even where no time zones are installed."""
        return UTC if self.timezone == "UTC" else ZoneInfo(self.timezone)
