"""`banyan up` as its users run it: real processes, real sockets, two workers, the demo shop."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

pytestmark = pytest.mark.xdist_group("up")

BUYERS, UNITS = 200, 50
PATIENCE_SECONDS = 120
SHOPIFY = Path(__file__).parents[3] / "shared" / "data" / "shopify"
ADA = {
    "name": "Ada Lovelace",
    "street": "Lindenstraße 12",
    "postal_code": "10969",
    "city": "Berlin",
    "country": "DE",
}


@dataclass
class Running:
    """A shop that runs."""

    process: subprocess.Popen[str]
    data: Path
    url: str
    token: str
    said: list[str]

    @property
    def admin(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}"}


def start(data: Path, *arguments: str) -> Running:
    """Run `banyan up` on any port that is free, and read until it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-m", "banyan.cli", "up", "--port", "0", "--data", str(data), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said: list[str] = []
    token = ""
    assert process.stdout
    for line in process.stdout:
        said.append(line.rstrip())
        if line.startswith("admin token: "):
            token = line.split()[-1]
        if line.startswith("ready "):
            return Running(process, data, line.split()[-1], token, said)
    raise AssertionError("\n".join(said))


def stop(shop: Running) -> int:
    """Press Ctrl-C."""
    shop.process.send_signal(signal.SIGINT)
    shop.process.communicate(timeout=30)
    return shop.process.returncode


def survivors(data: Path) -> list[psutil.Process]:
    """List the processes that have to do with a shop's data."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if str(data) in " ".join(process.info["cmdline"] or []) and process.pid != os.getpid()
    ]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = start(tmp_path_factory.mktemp("up"), "--workers", "2")
    yield running
    if running.process.poll() is None:
        stop(running)


async def buy(client: httpx.AsyncClient, sku: str, key: str) -> httpx.Response:
    """Go the whole way of a purchase, and return what the checkout answers."""
    cart = (await client.post("/carts", json={})).raise_for_status().json()["id"]
    lines = await client.post(f"/carts/{cart}/lines", json={"sku": sku, "quantity": 1})
    lines.raise_for_status()
    details = {"email": "ada@example.com", "shipping_address": ADA}
    (await client.patch(f"/carts/{cart}", json=details)).raise_for_status()
    methods = (await client.get(f"/carts/{cart}/shipping-methods")).raise_for_status().json()
    method = {"shipping_method": methods["items"][0]["code"]}
    (await client.patch(f"/carts/{cart}", json=method)).raise_for_status()
    return await client.post(
        f"/carts/{cart}/checkout",
        json={"payment": {"method": "sandbox", "token": "tok_ok"}},
        headers={"idempotency-key": key},
    )


async def doctor(shop: Running) -> tuple[int, str]:
    examined = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "banyan.cli", "doctor", "--data", str(shop.data)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, _ = await examined.communicate()
    return examined.returncode or 0, told.decode()


@pytest.mark.timeout(PATIENCE_SECONDS * 2)
async def test_two_hundred_buyers_for_the_last_fifty_units(shop: Running) -> None:
    sku, warehouse = await lamp_with_units(shop)
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


async def lamp_with_units(shop: Running) -> tuple[str, str]:
    """Leave exactly the units that are fought for, in one warehouse."""
    async with httpx.AsyncClient(base_url=shop.url, headers=shop.admin) as client:
        found = (await client.get("/api/store/products", params={"q": "lamp"})).json()["items"]
        slug = next(item["slug"] for item in found if item["available"])
        page = (await client.get(f"/api/store/products/{slug}")).json()
        sku = next(one["sku"] for one in page["variants"] if one["available"])
        levels = (await client.get("/api/admin/stock", params={"sku": sku})).json()["items"]
        for number, level in enumerate(levels):
            counted: dict[str, Any] = {"on_hand": 0 if number else UNITS, "backorder": False}
            put = await client.put(
                f"/api/admin/stock/{sku}/{level['warehouse']}",
                json=counted,
                headers={"if-match": f'"{level["version"]}"'},
            )
            put.raise_for_status()
    return sku, levels[0]["warehouse"]


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
    first.process.communicate(timeout=30)

    second = start(tmp_path / "shop", "--workers", "1", "--empty")

    assert httpx.get(f"{second.url}/health/ready", timeout=10).status_code == 200
    assert stop(second) == 0
    assert survivors(second.data) == []
