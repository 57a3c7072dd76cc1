"""What all pages of the back office share: who is there, and what stands around a page."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, ClassVar, TypeVar
from urllib.parse import urlencode

from banyan.channels import look
from banyan.channels.backoffice.settings import BackofficeSettings
from banyan.kernel.answer import Answer
from banyan.kernel.clock import Clock
from banyan.kernel.guards import Needs
from banyan.kernel.http import Controller, Request, needs
from banyan.kernel.link import spare
from banyan.kernel.page import AnyRequest, seen_elsewhere
from banyan.vocabulary import Locale

T = TypeVar("T")

PACKAGE = "banyan.channels.backoffice"
HOME = "/admin"
ENTRANCE = f"{HOME}/sign-in"
LOCALE = Locale("en")
PATIENCE_SECONDS = 1.0

SECTIONS = (
    ("", "Dashboard"),
    ("/orders", "Orders"),
    ("/products", "Products"),
    ("/stock", "Stock"),
    ("/shipping", "Shipping"),
    ("/taxes", "Taxes"),
    ("/events", "Events & sagas"),
    ("/topology", "Topology"),
)


class Backoffice:
    """The desk: knows what day and what time it is where the shop is run."""

    def __init__(self, settings: BackofficeSettings, clock: Clock) -> None:
        self.zone = settings.zone
        self.zone_name = settings.time_zone
        self._clock = clock

    def today(self) -> date:
        """Tell the day."""
        return self._clock.now().astimezone(self.zone).date()

    def begin(self, day: date) -> datetime:
        """Tell when a day begins, here; in UTC, as everything that is kept."""
        return datetime.combine(day, time(), self.zone).astimezone(UTC)

    def end(self, day: date) -> datetime:
        """Tell when a day is over."""
        return self.begin(day + timedelta(days=1))


def _around(request: AnyRequest) -> dict[str, Any]:
    """Tell what stands around every page, also that of a problem."""
    return {
        "locale": LOCALE,
        "sections": SECTIONS,
        "path": request.url.path,
        "notice": "",
        "titled": titled,
    }


ASSETS = look.assets(PACKAGE, f"{HOME}/assets")
PAGES = look.pages(PACKAGE, ASSETS, around=_around, entrance=ENTRANCE)


class Office(Controller):
    """A page for those who signed in.

    `notices` are what may be said of something that was done, by the word with which its handler
    leads on to the page that shows it.
    """

    include_in_schema = False
    exception_handlers = {Exception: PAGES.trouble}  # noqa: RUF012 - as the base class has it
    guards: Sequence[Needs] = (needs("backoffice:use"),)
    notices: ClassVar[Mapping[str, str]] = {}
    backoffice: Backoffice

    def page(
        self, request: Request, name: str, /, *, status: int = 200, **values: Any
    ) -> Answer[bytes]:
        """Show a page with what stands around it, and what was done to come here."""
        done = request.query_params.get("done", "")
        said = {"notice": self.notices.get(done, "")} if status < 400 else {}  # noqa: PLR2004
        about = {**_around(request), "zone": self.backoffice.zone, **said}
        return PAGES.show(name, status=status, **{**about, **values})


async def perhaps(asked: Awaitable[T]) -> T | None:
    """Wait a moment for what somebody knows; None if they do not answer right now."""

    async def answered() -> T | None:
        return await asked

    return await spare(answered(), otherwise=None, seconds=PATIENCE_SECONDS)


def titled(texts: Mapping[Locale, str]) -> str:
    """Call something as people here do, or in another language if it has no name in theirs."""
    return texts.get(LOCALE) or next(iter(texts.values()), "")


def address(path: str, **said: object) -> str:
    """Write where a page is that is told something; what is empty is left out."""
    told = urlencode({name: one for name, one in said.items() if one})
    return f"{path}?{told}" if told else path


def done(path: str, what: str) -> Answer[bytes]:
    """Lead on to the page that shows what was done, and says so."""
    return seen_elsewhere(address(path, done=what))
