"""A catalog: the service over every link, and the fake."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from banyan.kernel.testing import Server, bench
from banyan.modules.catalog.contract import Catalog
from banyan.modules.catalog.module import module
from tests.conftest import LINKS
from tests.modules.catalog.fake import FakeCatalog


@pytest.fixture(params=[*LINKS, "fake"])
async def catalog(
    request: pytest.FixtureRequest, server: Server, tmp_path: Path
) -> AsyncIterator[Catalog]:
    if request.param == "fake":
        yield FakeCatalog()
        return
    async with bench(server, [module], folder=tmp_path, link=LINKS[request.param]) as made:
        yield made.ask(Catalog)
