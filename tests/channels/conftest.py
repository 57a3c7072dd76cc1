"""What the tests of channels share: a shop that runs, and a browser in front of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

from tests.channels import eyes
from tests.channels.eyes import DESKTOP, Look, Shoot
from tests.journeys.running import Running, start, stop

HERE = Path(__file__).parent
CHROMIUM = Path("/usr/bin/chromium")
PATIENCE_MS = 10_000
LOOPBACK = "127.0.0.1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep together, in a worker for each channel, the tests that share a shop."""
    for item in items:
        if item.path.parent == HERE and "shop" in getattr(item, "fixturenames", ()):
            channel = "backoffice" if "backoffice" in item.path.stem else "storefront"
            item.add_marker(pytest.mark.xdist_group(channel))


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Run the demo shop, as its users run it."""
    running = start(tmp_path_factory.mktemp("shop"), "--workers", "1")
    yield running
    stop(running)


@pytest.fixture
def client(shop: Running) -> Iterator[httpx.Client]:
    """Ask the shop for its pages without a browser."""
    with httpx.Client(base_url=shop.url, headers={"accept": "text/html,*/*;q=0.8"}) as client:
        yield client


# Playwright keeps an event loop running between its calls: while a browser is open, no test of
# the same worker may be async. So it is open for the tests of one file, and these are none.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Open Chromium; whoever has none is told how to get it, but in CI it must be there."""
    if not CHROMIUM.exists():
        told = f"There is no {CHROMIUM}: apt-get install chromium"
        pytest.fail(told) if os.environ.get("CI") else pytest.skip(told)  # noqa: TID251 - as told
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"]
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)


@pytest.fixture
def page(browser: Browser, shop: Running) -> Iterator[Page]:
    """Look at the shop on a desktop; nothing may break, and nothing come from elsewhere."""
    with opened(browser, shop) as page:
        yield page


@pytest.fixture
def without_script(browser: Browser, shop: Running) -> Iterator[Page]:
    """Look at the shop with a browser that runs no script."""
    with opened(browser, shop, java_script_enabled=False) as page:
        yield page


@pytest.fixture
def assert_accessible() -> Look:
    """Look for what axe finds serious or critical on a page."""
    return eyes.assert_accessible


@pytest.fixture
def shoot(request: pytest.FixtureRequest) -> Shoot:
    """Take pictures of a page, on a phone and on a desktop, if somebody wants to look at them."""
    return eyes.shoot if request.config.getoption("--shoot") else lambda _, __: None


@contextmanager
def opened(browser: Browser, shop: Running, *, java_script_enabled: bool = True) -> Iterator[Page]:
    """Open a page of a new visitor, and see at the end that nothing went wrong on it."""
    context = browser.new_context(
        base_url=shop.url,
        viewport=DESKTOP,
        locale="en-GB",
        java_script_enabled=java_script_enabled,
    )
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    wrong: list[str] = []

    def ask(request: Request) -> None:
        if urlsplit(request.url).hostname not in (LOOPBACK, None):
            wrong.append(f"asked elsewhere: {request.url}")

    def hear(said: ConsoleMessage) -> None:
        if "Content Security" in said.text:
            wrong.append(f"{page.url}: {said.text}")

    page.on("request", ask)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", hear)
    yield page
    context.close()
    assert not wrong, "\n".join(wrong)
