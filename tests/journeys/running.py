"""A shop that runs as its users run it: `banyan up`, in a process of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import httpx
import psutil

from banyan.engines.control import Standings, Status, ask
from banyan.engines.processes import Standing

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
            threading.Thread(target=_listen, args=(process.stdout, said), daemon=True).start()
            return Running(process, data, line.split()[-1], token, said)
    raise AssertionError("\n".join(said))


@contextmanager
def opened(data: Path, *arguments: str) -> Iterator[Running]:
    """Run a shop and press Ctrl-C in the end, which leaves nothing behind."""
    shop = start(data, *arguments)
    try:
        yield shop
    finally:
        code = stop(shop)
    assert code == 0, "\n".join(shop.said[-20:])
    assert survivors(data) == []


def _listen(pipe: IO[str], said: list[str]) -> None:
    """Hear to the end: a pipe that nobody reads is full some day, and then nobody goes on."""
    with pipe:
        said.extend(line.rstrip() for line in pipe)


def stop(shop: Running) -> int:
    """Press Ctrl-C."""
    shop.process.send_signal(signal.SIGINT)
    shop.process.wait(timeout=30)
    return shop.process.returncode


def survivors(data: Path) -> list[psutil.Process]:
    """List the processes that have to do with a shop's data."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if str(data) in " ".join(process.info["cmdline"] or []) and process.pid != os.getpid()
    ]


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


async def command(shop: Running, *words: str) -> tuple[int, list[str]]:
    """Run a command on a shop that runs, and return how it ended and the lines that it wrote."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "banyan.cli", *words, "--data", str(shop.data)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, _ = await process.communicate()
    return process.returncode or 0, told.decode().splitlines()


async def doctor(shop: Running) -> tuple[int, str]:
    code, lines = await command(shop, "doctor")
    return code, "\n".join(lines)


def standings(shop: Running) -> dict[str, Standing]:
    """Ask how everything stands, by name; engines come first."""
    (told,) = [one for one in ask(shop.data, Status()) if isinstance(one, Standings)]
    return {one.name: one for one in told.processes}


async def lamp_with_units(shop: Running, units: int) -> tuple[str, str]:
    """Leave exactly the units that are fought for, in one warehouse."""
    async with httpx.AsyncClient(base_url=shop.url, headers=shop.admin) as client:
        found = (await client.get("/api/store/products", params={"q": "lamp"})).json()["items"]
        # Of a demo shop's lamps, one that is there; the last test may have sold all there were.
        slug = next((item["slug"] for item in found if item["available"]), found[0]["slug"])
        page = (await client.get(f"/api/store/products/{slug}")).json()
        variants = page["variants"]
        sku = next((one["sku"] for one in variants if one["available"]), variants[0]["sku"])
        levels = (await client.get("/api/admin/stock", params={"sku": sku})).json()["items"]
        for number, level in enumerate(levels):
            # What is promised to orders of earlier tests stays there.
            on_hand = level["reserved"] + (0 if number else units)
            counted: dict[str, Any] = {"on_hand": on_hand, "backorder": False}
            put = await client.put(
                f"/api/admin/stock/{sku}/{level['warehouse']}",
                json=counted,
                headers={"if-match": f'"{level["version"]}"'},
            )
            put.raise_for_status()
    return sku, levels[0]["warehouse"]
