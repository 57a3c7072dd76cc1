"""What the tests of HTTP share: a house, and a client in front of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.kernel.http.house import Parts, filled, house
from tests.kernel.http.toybox import ToyboxService


@pytest.fixture
def box() -> ToyboxService:
    """Look into the box."""
    return filled()


@pytest.fixture
def parts() -> Parts:
    """Say which parts of the house work."""
    return Parts()


@pytest.fixture
async def client(box: ToyboxService, parts: Parts) -> AsyncIterator[httpx.AsyncClient]:
    """Stand in front of the house."""
    app: Any = house(box, parts)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://house") as client:
        yield client
