"""The first page of the back office: how the shop is doing."""

from __future__ import annotations

from asyncio import gather
from datetime import date, timedelta

from banyan.channels.backoffice.desk import HOME, Office, perhaps
from banyan.kernel.backstage import Backstages
from banyan.kernel.contract import Value
from banyan.kernel.http import Answer, Request, get
from banyan.kernel.stage_door import presences
from banyan.modules.inventory.contract import Inventory
from banyan.modules.ordering.contract import Day, Figures, Ordering

WEEK = 7
CHARTED = 14
LISTED = 6
SCARCE = 5

HEIGHT = 120
STEP = 40
BAR = 24


class Bar(Value, frozen=True, kw_only=True):
    """A day in the chart: what it counts, and where its bar stands."""

    day: Day
    x: int
    y: int
    height: int


class Dashboard(Office):
    """How the shop is doing; whoever does not answer is done without."""

    path = HOME
    ordering: Ordering
    inventory: Inventory
    backstage: Backstages

    @get(media_type="text/html")
    async def show(self, request: Request) -> Answer[bytes]:
        """Show how the shop is doing."""
        today = self.backoffice.today()
        charted, week, scarce, modules, orders = await gather(
            self._figures(today - timedelta(days=CHARTED - 1), today),
            self._figures(today - timedelta(days=WEEK - 1), today),
            perhaps(self.inventory.scarce(at_most=SCARCE, limit=LISTED)),
            presences(self.backstage),
            perhaps(self.ordering.orders(limit=LISTED)),
        )
        days = every_day(charted.days if charted else (), today)
        return self.page(
            request,
            "dashboard.html",
            today=days[-1],
            week=week,
            bars=bars(days),
            size=(CHARTED * STEP, HEIGHT),
            scarce=scarce,
            modules=modules,
            orders=orders,
        )

    async def _figures(self, first: date, last: date) -> Figures | None:
        return await perhaps(
            self.ordering.figures(
                since=self.backoffice.begin(first),
                until=self.backoffice.end(last),
                zone=self.backoffice.zone_name,
            )
        )


def every_day(days: tuple[Day, ...], last: date) -> list[Day]:
    """Fill in the days on which nothing happened."""
    known = {one.day: one for one in days}
    all_days = [last - timedelta(days=back) for back in reversed(range(CHARTED))]
    return [known.get(day) or Day(day=day, orders=0, revenue=()) for day in all_days]


def bars(days: list[Day]) -> list[Bar]:
    """Draw a bar for each day, the highest as high as the chart."""
    most = max(1, *(one.orders for one in days))
    heights = [round(one.orders / most * HEIGHT) for one in days]
    return [
        Bar(day=one, x=place * STEP + (STEP - BAR) // 2, y=HEIGHT - height, height=height)
        for place, (one, height) in enumerate(zip(days, heights, strict=True))
    ]


routes = [Dashboard]
