"""How tests look at pages: with the rules of accessibility, and by taking pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Page, ViewportSize

DESKTOP = ViewportSize(width=1440, height=900)
PHONE = ViewportSize(width=390, height=844)
SCREENSHOTS = Path(__file__).parents[2] / ".banyan" / "screenshots"
GRAVE = ("serious", "critical")

Look: TypeAlias = Callable[[Page], None]
Shoot: TypeAlias = Callable[[Page, str], None]


def assert_accessible(page: Page) -> None:
    """See that axe finds nothing serious or critical."""
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    grave = [
        f"{node['target']}: {node['failureSummary']} {node['html'][:200]}"
        for one in found
        if one["impact"] in GRAVE
        for node in one["nodes"]
    ]
    assert not grave, "\n".join(grave)


def shoot(page: Page, name: str) -> None:
    """Write pictures of the whole page to `.banyan/screenshots`, and leave it as wide as it was."""
    before = page.viewport_size
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    for size in (PHONE, DESKTOP):
        page.set_viewport_size(size)
        file = SCREENSHOTS / f"{name}-{size['width']}.png"
        page.screenshot(path=file, full_page=True, animations="disabled")
    if before:
        page.set_viewport_size(before)
