"""`banyan up` as its users run it: real processes, real sockets, two workers, the demo shop."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.journeys.running import (
    Running,
    buy,
    doctor,
    lamp_with_units,
    start,
    stop,
    survivors,
)

pytestmark = pytest.mark.xdist_group("up")

BUYERS, UNITS = 200, 50
TOPOLOGIES = Path(__file__).parents[2] / "topology"
PATIENCE_SECONDS = 120
SHOPIFY = Path(__file__).parents[3] / "shared" / "data" / "shopify"


@pytest.fixture(scope="module")
def shop(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    topology = getattr(request, "param", "monolith")
    file = str(TOPOLOGIES / f"{topology}.toml")
    running = start(tmp_path_factory.mktemp("up"), "--workers", "2", "--topology", file)
    yield running
    if running.process.poll() is None:
        stop(running)


@pytest.mark.timeout(PATIENCE_SECONDS * 2)
@pytest.mark.parametrize("shop", ["monolith", "microservices"], indirect=True)
async def test_two_hundred_buyers_for_the_last_fifty_units(shop: Running) -> None:
    sku, warehouse = await lamp_with_units(shop, UNITS)
    limits = httpx.Limits(max_connections=64)
    async with httpx.AsyncClient(
        base_url=f"{shop.url}/api/store", timeout=PATIENCE_SECONDS, limits=limits
    ) as client:
        answers = await asyncio.gather(
            *(buy(client, sku, f"buyer-{number}") for number in range(BUYERS))
        )

    statuses = [answer.status_code for answer in answers]
    assert {status for status in statuses if status >= 500} == set()
    assert statuses.count(201) == UNITS
    assert statuses.count(409) == BUYERS - UNITS
    assert {a.json()["code"] for a in answers if a.status_code == 409} == {"not_in_stock"}
    orders = [answer.json()["order"] for answer in answers if answer.status_code == 201]
    assert {order["state"] for order in orders} == {"confirmed"}
    numbers = sorted(int(order["number"]) for order in orders)
    assert numbers == list(range(numbers[0], numbers[0] + UNITS))
    async with httpx.AsyncClient(base_url=shop.url, headers=shop.admin) as client:
        stock = (await client.get("/api/admin/stock", params={"sku": sku})).json()["items"]
    assert sum(one["available"] for one in stock if one["warehouse"] == warehouse) == 0
    code, told = await doctor(shop)
    assert code == 0, told


def banyan(shop: Running, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command on a shop that is running."""
    return subprocess.run(
        [sys.executable, "-m", "banyan.cli", *arguments, "--data", str(shop.data)],
        capture_output=True,
        text=True,
        check=True,
    )


def test_product_files_go_into_a_running_shop_once_and_come_out_as_they_went_in(
    shop: Running, tmp_path: Path
) -> None:
    for file, products in (("apparel", 20), ("home-and-garden", 20), ("jewelery", 20)):
        source = str(SHOPIFY / f"{file}.csv")
        first = banyan(shop, "import", "products", source).stderr
        again = banyan(shop, "import", "products", source).stderr
        assert f"{products} new, 0 changed" in first
        assert f"0 new, 0 changed, {products} unchanged" in again

    listed = tmp_path / "products.jsonl"
    listed.write_text(banyan(shop, "export", "products").stdout)
    assert "0 new, 0 changed" in banyan(shop, "import", "products", str(listed)).stderr
    assert banyan(shop, "export", "products").stdout == listed.read_text()


async def test_a_worker_that_is_killed_is_replaced_and_loses_no_request_of_others(
    shop: Running,
) -> None:
    parent = psutil.Process(shop.process.pid)
    victim = next(one for one in parent.children() if "banyan.cli" in one.cmdline())

    victim.kill()

    async with httpx.AsyncClient(base_url=shop.url, timeout=30) as client:
        for _ in range(50):
            assert (await client.get("/health/live")).status_code == 200


def test_a_second_shop_on_the_same_folder_or_port_is_told_why_not(
    shop: Running, tmp_path: Path
) -> None:
    port = shop.url.rsplit(":", 1)[-1]
    command = [sys.executable, "-m", "banyan.cli", "up"]

    folder = subprocess.run(
        [*command, "--port", "0", "--data", str(shop.data)],
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
    assert f"in use by another process (pid {shop.process.pid})" in folder.stdout
    assert f"port {port}" in taken.stdout
    assert "--port" in taken.stdout


def test_ctrl_c_stops_everything_and_the_second_start_finds_what_was_there(
    tmp_path: Path,
) -> None:
    first = start(tmp_path / "shop", "--workers", "1", "--empty")
    assert stop(first) == 0
    assert survivors(first.data) == []

    second = start(tmp_path / "shop", "--workers", "1", "--empty")
    token = second.token
    assert stop(second) == 0

    assert token == first.token
    assert survivors(second.data) == []


def test_a_shop_whose_supervisor_was_killed_heals(tmp_path: Path) -> None:
    first = start(tmp_path / "shop", "--workers", "1", "--empty")
    first.process.kill()
    first.process.wait(timeout=30)

    second = start(tmp_path / "shop", "--workers", "1", "--empty")

    assert httpx.get(f"{second.url}/health/ready", timeout=10).status_code == 200
    assert stop(second) == 0
    assert survivors(second.data) == []
