"""How tests work in the back office without a browser: they read its forms, and send them."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any, TypeAlias, TypeVar

import httpx
from playwright.sync_api import Page

from tests.channels.eyes import PHONE, Look, Shoot
from tests.journeys.running import Running

T = TypeVar("T")
Said: TypeAlias = str | list[str]
Json: TypeAlias = Any

PATIENCE_SECONDS = 10.0


@dataclass
class Sheet:
    """A form on a page: where it is sent, and what stands in its fields."""

    action: str = ""
    said: dict[str, list[str]] = field(default_factory=dict)

    def but(self, **changed: Said) -> dict[str, list[str]]:
        """Fill in other words; `__` stands for the dots of a name."""
        said = dict(self.said)
        for name, told in changed.items():
            said[name.replace("__", ".")] = told if isinstance(told, list) else [told]
        return said


class Desk:
    """Somebody who works in the back office."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def sheet(self, path: str) -> Sheet:
        """Open a page, and take its form."""
        return sheet_of(self.client.get(path))

    def send(self, sheet: Sheet, **changed: Said) -> httpx.Response:
        """Send a form, with other words in some fields."""
        return self.client.post(sheet.action, data=sheet.but(**changed))

    def ask(self, path: str, **query: str | int) -> Json:
        """Ask the API."""
        return self.client.get(path, params=query, headers={"accept": "application/json"}).json()


@contextmanager
def working(shop: Running) -> Iterator[Desk]:
    """Sit down at a desk."""
    headers = {**shop.admin, "accept": "text/html"}
    with httpx.Client(base_url=shop.url, headers=headers, timeout=20) as client:
        yield Desk(client)


def sheet_of(page: httpx.Response) -> Sheet:
    """Take the form out of a page."""
    reading = _Reading()
    reading.feed(page.text)
    assert reading.sheet.action, page.text
    return reading.sheet


def soon(look: Callable[[], T]) -> T:
    """Look until there is something to see."""
    until = time.monotonic() + PATIENCE_SECONDS
    while not (seen := look()) and time.monotonic() < until:
        time.sleep(0.05)
    return seen


def sign_in(page: Page, shop: Running) -> None:
    """Enter the back office in a browser."""
    page.goto("/admin/sign-in")
    page.get_by_label("Admin token").fill(shop.token)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/admin")


def look_at(
    page: Page, shown: Mapping[str, str], accessible: Look, shoot: Shoot, shot: Collection[str]
) -> None:
    """See that pages can be used by everybody and fit on a phone, and take pictures of some."""
    for name, path in shown.items():
        page.goto(path)
        accessible(page)
        if name in shot:
            shoot(page, f"backoffice-{name}")
        before = page.viewport_size
        page.set_viewport_size(PHONE)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        page.set_viewport_size(before or PHONE)


class _Reading(HTMLParser):
    """Reads the form whose id is `sheet`, as a browser would send it."""

    def __init__(self) -> None:
        super().__init__()
        self.sheet = Sheet()
        self._inside = False
        self._select = ""
        self._text: tuple[str, list[str]] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        if tag == "form":
            self._inside = told.get("id") == "sheet"
            self.sheet.action = (told["action"] or "") if self._inside else self.sheet.action
        elif not self._inside:
            return
        elif tag == "input":
            self._input(told)
        elif tag == "select":
            self._select = told["name"] or ""
        elif tag == "option" and ("selected" in told or self._select not in self.sheet.said):
            self.sheet.said[self._select] = [told["value"] or ""]
        elif tag == "textarea":
            self._text = (told["name"] or "", [])

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False
        elif tag == "textarea" and self._text:
            name, told = self._text
            self.sheet.said[name] = ["".join(told).removeprefix("\n")]
            self._text = None

    def handle_data(self, data: str) -> None:
        if self._text:
            self._text[1].append(data)

    def _input(self, told: dict[str, str | None]) -> None:
        box = told.get("type") == "checkbox"
        if told.get("name") and (not box or "checked" in told):
            value = told.get("value") or ("on" if box else "")
            self.sheet.said.setdefault(told["name"] or "", []).append(value)
