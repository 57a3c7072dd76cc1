"""A shop of Banyan, started, filled and ended as anybody would: by its command line."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psutil
import uvloop

from benchmarks import floors, goods
from benchmarks.client import Wrong
from benchmarks.load import Context, Visitor
from benchmarks.meter import Cost, spent
from benchmarks.platforms.banyan import imports, statements, trials
from benchmarks.platforms.banyan.imports import PRICE_LIST, WAREHOUSE
from benchmarks.platforms.banyan.operations import MARKET, operations
from benchmarks.report import Trial

START_SECONDS = 120.0
STOP_SECONDS = 40.0
KNOWN = 1000
"""How many articles the operations are about, at most."""


class BanyanShop:
    """A shop that runs: `banyan up`, and all that it started."""

    def __init__(
        self,
        folder: Path,
        *,
        products: int,
        workers: int,
        topology: Path | None,
        closed: bool = False,
    ) -> None:
        """Start a shop and fill it; `closed` while it is stopped, without waiting for the goods."""
        self.folder = folder
        self._where = ["--data", str(folder / "data")]
        self._where += ["--topology", str(topology)] if topology else []
        self._log = folder / "log"
        self._products = products
        self._runs: dict[str, list[list[statements.Statement]]] = {}
        self.url = f"http://127.0.0.1:{_free_port()}"
        port = self.url.rsplit(":", 1)[1]
        more = [] if topology else ["--workers", str(workers)]
        self._words = ["up", "--empty", "--port", port, *more, *self._where]
        self._up = self._start()
        self.process = psutil.Process(self._up.pid)
        articles = list(goods.articles(min(products, KNOWN)))
        self.context: Context = {
            "categories": [goods.category(n) for n in range(goods.CATEGORIES)],
            "hot": [one.slug for one in articles[:200]],
            "skus": [sku for one in articles[:1000] for sku, _, _ in one.skus()],
            "queries": sorted({" ".join(one.title.lower().split()[1:3]) for one in articles[:400]}),
        }
        category, slug = self.context["categories"][0], self.context["hot"][0]
        self._pages = {
            "LIST": f"/api/store/products?category={category}&limit=24",
            "DETAIL": f"/api/store/products/{slug}",
        }
        try:
            self._furnish()
            if closed:
                self.stop()
            file = folder / "products.jsonl"
            imports.write_lines(file, goods.articles(products))
            print(f"  importing {file.stat().st_size / 1e6:,.0f} MB …", flush=True)
            self.imported = imports.take_in(file, self._where)
            file.unlink()
            if closed:
                self.restart()
            else:
                self._wait()
        except BaseException:
            self.stop()
            raise

    def kind_of(self, process: psutil.Process) -> str:
        """Tell what a process is by what its command says."""
        words = " ".join(process.cmdline())
        known = {"postgres": "database", "nats-server": "broker", "envoy": "gateway"}
        known["sandbox"] = "bank"
        return next((kind for word, kind in known.items() if word in words), "application")

    def floor_ms(self, operation: str, *, concurrency: int, seconds: float) -> float | None:
        """Send the bytes of a page from a bare server, or the SQL of an operation alone.

        That of a checkout cannot be said twice, as numbers and keys are drawn once: its floor are
        as many statements and commits of the simplest kind.
        """
        if page := self._pages.get(operation):
            return floors.same_bytes(self.url + page, concurrency=concurrency, seconds=seconds)
        if operation not in self._runs:
            shopper = Visitor(self.url, random.Random("shopper"), self.context)
            self._runs[operation] = asyncio.run(self._statements(operation, shopper))
        before, mine = self.spent(), time.process_time()
        runs = self._runs[operation]
        done = uvloop.run(
            statements.replayed(self.folder, runs, concurrency=concurrency, seconds=seconds)
        )
        mine = time.process_time() - mine
        cost = self.spent().since(before).seconds["database"]
        return (cost + mine) / max(done, 1) * 1000

    async def _statements(
        self, operation: str, shopper: Visitor
    ) -> list[list[statements.Statement]]:
        doing = operations[operation]
        if operation == "CHECKOUT":
            return [await statements.simplest(self.folder, shopper, doing)]
        return await statements.watched(self.folder, shopper, doing)

    def trials(self) -> Iterator[Trial]:
        """Tell what is held, start again, look at crowds and hops, and at last at imports."""
        held = {kind: size / 1e6 for kind, size in self.spent().resident_bytes.items()}
        bank = held.pop("bank", 0)
        yield Trial(
            "memory after the load (proportional set size)",
            ", ".join(f"{kind} {size:.0f} MB" for kind, size in sorted(held.items()))
            + f"; the bank, which is outside of the shop, {bank:.0f} MB",
            "≤ 400 MB in all without the bank",
            held=sum(held.values()) <= 400,
        )
        took = self.restart()
        yield Trial("start to the first answer", f"{took:.1f} s", "≤ 3 s", held=took <= 3)
        yield from trials.trials()
        self.stop()
        yield from imports.trials(self.folder, self._where, self._products)

    def spent(self) -> Cost:
        """Tell what all of its processes have cost so far."""
        return spent(self.process, self.kind_of)

    def flaws(self) -> Sequence[str]:
        """Ask the doctor: no oversell, the ledger as the bank's, nothing dead or stuck."""
        told = self._banyan(["doctor", *self._where], check=False)
        return () if told.returncode == 0 else told.stdout.splitlines()[-40:]

    def restart(self) -> float:
        """Stop, start again, and tell after how many seconds the first request was answered."""
        self.stop()
        begun = time.monotonic()
        self._up = self._start()
        self.process = psutil.Process(self._up.pid)
        return time.monotonic() - begun

    def stop(self) -> None:
        """End everything that was started."""
        self._up.send_signal(signal.SIGINT)
        self._up.wait(STOP_SECONDS)

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            started = subprocess.Popen(
                [sys.executable, "-m", "banyan.cli", *self._words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and started.poll() is None:
            try:
                with urlopen(f"{self.url}/health/ready", timeout=2):  # noqa: S310 - our own
                    return started
            except (OSError, HTTPError):
                time.sleep(0.02)
        started.kill()
        raise TimeoutError(f"the shop did not start:\n{self._log.read_text()[-3000:]}")

    def _furnish(self) -> None:
        """Open a market with one tax, one warehouse and one way of shipping."""
        token = (self.folder / "data" / "admin-token").read_text().strip()
        market = {
            "code": MARKET,
            "title": "Europe",
            "currency": "EUR",
            "countries": ["DE"],
            "locales": ["en"],
            "tax_inclusive": True,
        }
        tax = {"market": MARKET, "tax_class": "standard", "millionths": 190_000, "name": "VAT"}
        post = {"code": "post", "market": MARKET, "title": {"en": "Post"}}
        for path, body in (
            ("markets", market),
            ("price-lists", {"code": PRICE_LIST, "market": MARKET, "currency": "EUR"}),
            ("tax-rates", tax),
            ("warehouses", {"code": WAREHOUSE, "title": "Berlin", "country": "DE"}),
            ("shipping-methods", {**post, "rates": [{"amount": 490}]}),
        ):
            _post(f"{self.url}/api/admin/{path}", body, token)

    def _wait(self) -> None:
        """Wait until shoppers see the goods."""
        last = self.context["hot"][-1]
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            told = _get(f"{self.url}/api/store/products/{last}")
            if told and all(one["available"] and one["price"] for one in told["variants"]):
                return
            time.sleep(0.2)
        raise TimeoutError("the goods are not to be seen")

    def _banyan(
        self, words: Sequence[str], *, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        told = subprocess.run(
            [sys.executable, "-m", "banyan.cli", *words],
            check=False,
            capture_output=True,
            text=True,
            timeout=540,
        )
        if check and told.returncode:
            raise Wrong(f"banyan {' '.join(words)}: {told.stdout[-2000:]}{told.stderr[-2000:]}")
        return told


def _post(url: str, body: object, token: str) -> None:
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    request = Request(url, json.dumps(body).encode(), headers, method="POST")  # noqa: S310
    try:
        with urlopen(request, timeout=10):  # noqa: S310 - our own
            pass
    except HTTPError as no:
        raise Wrong(f"{url}: {no.status} {no.read().decode()}") from no


def _get(url: str) -> Any:
    try:
        with urlopen(url, timeout=10) as answer:  # noqa: S310 - our own
            return json.load(answer)
    except HTTPError:
        return None


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])
