"""`banyan up` as its users run it: real processes, real sockets, two workers, the demo shop."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from tests.journeys.running import (
    Running,
    buy,
    command,
    doctor,
    lamp_with_units,
    opened,
    start,
    stop,
    survivors,
)

PATIENCE_SECONDS = 120
PLENTY = 10_000
SMALL = ("--workers", "1", "--empty")
SHOPIFY = Path(__file__).parents[3] / "shared" / "data" / "shopify"


@pytest.mark.timeout(PATIENCE_SECONDS * 2)
async def test_a_crowd_of_buyers_for_the_last_units(running: Running, *, soak: bool) -> None:
    buyers, units = (200, 50) if soak else (40, 10)
    sku, warehouse = await lamp_with_units(running, units)
    limits = httpx.Limits(max_connections=64)
    async with httpx.AsyncClient(
        base_url=f"{running.url}/api/store", timeout=PATIENCE_SECONDS, limits=limits
    ) as client:
        answers = await asyncio.gather(
            *(buy(client, sku, f"buyer-{number}") for number in range(buyers))
        )

    statuses = [answer.status_code for answer in answers]
    assert {status for status in statuses if status >= 500} == set()
    assert statuses.count(201) == units
    assert statuses.count(409) == buyers - units
    assert {a.json()["code"] for a in answers if a.status_code == 409} == {"not_in_stock"}
    orders = [answer.json()["order"] for answer in answers if answer.status_code == 201]
    assert {order["state"] for order in orders} == {"confirmed"}
    numbers = sorted(int(order["number"]) for order in orders)
    assert numbers == list(range(numbers[0], numbers[0] + units))
    async with httpx.AsyncClient(base_url=running.url, headers=running.admin) as client:
        stock = (await client.get("/api/admin/stock", params={"sku": sku})).json()["items"]
    assert sum(one["available"] for one in stock if one["warehouse"] == warehouse) == 0
    code, told = await doctor(running)
    await lamp_with_units(running, PLENTY)
    assert code == 0, told


@pytest.mark.timeout(PATIENCE_SECONDS * 2)
async def test_product_files_go_into_a_running_shop_once_and_come_out_as_they_went_in(
    monolith: Running, tmp_path: Path
) -> None:
    source, listed, relisted = SHOPIFY / "apparel.csv", tmp_path / "once", tmp_path / "again"

    told = [
        await command(monolith, way, "products", str(file))
        for way, file in (
            ("import", source),
            ("import", source),
            ("export", listed),
            ("import", listed),
            ("export", relisted),
        )
    ]

    first, again, _, whole, _ = ("\n".join(lines) for _, lines in told)
    assert [code for code, _ in told] == [0, 0, 0, 0, 0]
    assert "20 new, 0 changed" in first
    assert "0 new, 0 changed, 20 unchanged" in again
    assert "0 new, 0 changed" in whole
    assert relisted.read_text() == listed.read_text() != ""


async def test_a_worker_that_is_killed_is_replaced_and_loses_no_request_of_others(
    monolith: Running,
) -> None:
    parent = psutil.Process(monolith.process.pid)
    victim = next(one for one in parent.children() if "banyan.cli" in one.cmdline())

    victim.kill()

    async with httpx.AsyncClient(base_url=monolith.url, timeout=30) as client:
        for _ in range(50):
            assert (await client.get("/health/live")).status_code == 200


def test_a_second_shop_on_the_same_folder_or_port_is_told_why_not(
    monolith: Running, tmp_path: Path
) -> None:
    port = monolith.url.rsplit(":", 1)[-1]
    command = [sys.executable, "-m", "banyan.cli", "up"]

    folder = subprocess.run(
        [*command, "--port", "0", "--data", str(monolith.data)],
        capture_output=True,
        text=True,
        check=False,
    )
    taken = subprocess.run(
        [*command, "--port", port, "--data", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert folder.returncode == taken.returncode == 1
    assert f"in use by another process (pid {monolith.process.pid})" in folder.stdout
    assert f"port {port}" in taken.stdout
    assert "--port" in taken.stdout


@dataclass(frozen=True)
class Closed:
    """A shop that was closed by Ctrl-C: where its data is, its token, and how it ended."""

    data: Path
    token: str
    code: int
    left: list[psutil.Process]


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Closed:
    shop = start(tmp_path_factory.mktemp("closed") / "shop", *SMALL)
    code = stop(shop)
    return Closed(shop.data, shop.token, code, survivors(shop.data))


@pytest.mark.xdist_group("closed")
def test_ctrl_c_stops_everything_and_the_second_start_finds_what_was_there(closed: Closed) -> None:
    assert (closed.code, closed.left) == (0, [])

    with opened(closed.data, *SMALL) as second:
        assert second.token == closed.token


@pytest.mark.xdist_group("closed")
def test_a_shop_whose_supervisor_was_killed_heals(closed: Closed) -> None:
    first = start(closed.data, *SMALL)
    first.process.kill()
    first.process.wait(timeout=30)

    with opened(closed.data, *SMALL) as second:
        assert httpx.get(f"{second.url}/health/ready", timeout=10).status_code == 200
