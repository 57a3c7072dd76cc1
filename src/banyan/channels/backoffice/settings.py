"""What an operator may turn in the back office."""

from __future__ import annotations

from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo

from banyan.kernel.clock import time_zones
from banyan.kernel.settings import Settings


class BackofficeSettings(Settings, frozen=True, kw_only=True):
    """`time_zone` is where the people who run the shop look at the clock: `Europe/Vienna`."""

    time_zone: str = "UTC"

    def __post_init__(self) -> None:
        if self.time_zone not in time_zones():
            raise ValueError(f"time_zone: {self.time_zone} is no time zone (IANA).")

    @property
    def zone(self) -> tzinfo:
        """The time zone itself; UTC is known also where no others are."""
        return UTC if self.time_zone == "UTC" else ZoneInfo(self.time_zone)
