"""Banyan, as the benchmarks start, fill and use it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psutil

from benchmarks import goods
from benchmarks.client import Wrong
from benchmarks.load import Context, Operation, Visitor

START_SECONDS = 120.0
STOP_SECONDS = 40.0
MARKET, PRICE_LIST, WAREHOUSE = "eu", "eu", "berlin"
ADDRESS = {
    "name": "Ada Lovelace",
    "street": "Lindenstraße 12",
    "postal_code": "10969",
    "city": "Berlin",
    "country": "DE",
}

name = "banyan"


def versions() -> Mapping[str, str]:
    """Tell what is measured."""
    packages = ("banyan-commerce", "litestar", "msgspec", "asyncpg", "uvicorn", "nats-py")
    return {package: version(package) for package in packages}


async def browse(visitor: Visitor) -> None:
    """LIST: 24 products of a category with prices."""
    category = visitor.chance.choice(visitor.context["categories"])
    reply = await visitor.connection.ask("GET", f"/api/store/products?category={category}&limit=24")
    _hold(reply.status == 200 and reply.body.count(b'"slug"') >= 24, reply.body)


async def show(visitor: Visitor) -> None:
    """DETAIL: one product with variants, prices, availability."""
    slug = visitor.chance.choice(visitor.context["hot"])
    reply = await visitor.connection.ask("GET", f"/api/store/products/{slug}")
    _hold(reply.status == 200 and slug.encode() in reply.body, reply.body)


async def seek(visitor: Visitor) -> None:
    """SEARCH: full-text query, 24 results."""
    words = visitor.chance.choice(visitor.context["queries"]).replace(" ", "+")
    found = await visitor.connection.ask("GET", f"/api/store/products?q={words}&limit=24")
    _hold(found.json(200)["items"] != [], found.body)


async def add(visitor: Visitor) -> None:
    """ADD: create a cart and add one item."""
    await _filled(visitor)


async def check_out(visitor: Visitor) -> None:
    """CHECKOUT: the whole guest flow, from an empty cart to a confirmed order."""
    ask = visitor.connection.ask
    cart = await _filled(visitor)
    here = f"/api/store/carts/{cart}"
    details = {"email": "ada@example.com", "shipping_address": ADDRESS}
    (await ask("PATCH", here, details)).json(200)
    methods = (await ask("GET", f"{here}/shipping-methods")).json(200)["items"]
    (await ask("PATCH", here, {"shipping_method": methods[0]["code"]})).json(200)
    payment = {"payment": {"method": "sandbox", "token": "tok_ok"}}
    ordered = await ask("POST", f"{here}/checkout", payment, {"idempotency-key": cart})
    order = ordered.json(201)["order"]
    _hold(order["state"] == "confirmed" and bool(order["number"]), ordered.body)


operations: Mapping[str, Operation] = {
    "LIST": browse,
    "DETAIL": show,
    "SEARCH": seek,
    "ADD": add,
    "CHECKOUT": check_out,
}


async def _filled(visitor: Visitor) -> str:
    ask = visitor.connection.ask
    cart = (await ask("POST", "/api/store/carts", {"market": MARKET})).json(201)["id"]
    sku = visitor.chance.choice(visitor.context["skus"])
    line = {"sku": sku, "quantity": 1}
    (await ask("POST", f"/api/store/carts/{cart}/lines", line)).json(201)
    return str(cart)


def _hold(truth: bool, told: bytes) -> None:  # noqa: FBT001 - as an assertion
    if not truth:
        raise Wrong(told[:300].decode(errors="replace"))


class BanyanShop:
    """A shop that runs: `banyan up`, and all that it started."""

    def __init__(self, folder: Path, *, products: int, workers: int, topology: Path | None) -> None:
        self.folder = folder
        self._where = ["--data", str(folder / "data")]
        self._where += ["--topology", str(topology)] if topology else []
        self._log = folder / "log"
        self.imported_seconds = 0.0
        self.url = f"http://127.0.0.1:{_free_port()}"
        port = self.url.rsplit(":", 1)[1]
        more = [] if topology else ["--workers", str(workers)]
        begun = time.monotonic()
        self._up = self._start(["up", "--empty", "--port", port, *more, *self._where])
        self.process = psutil.Process(self._up.pid)
        self.first_start_seconds = time.monotonic() - begun
        articles = list(goods.articles(products))
        self.context: Context = {
            "categories": [goods.category(n) for n in range(goods.CATEGORIES)],
            "hot": [one.slug for one in articles[:200]],
            "skus": [sku for one in articles[:1000] for sku, _, _ in one.skus()],
            "queries": sorted({" ".join(one.title.lower().split()[1:3]) for one in articles[:400]}),
        }
        try:
            self._furnish()
            self._fill(articles)
        except BaseException:
            self._end()
            raise

    def kind_of(self, process: psutil.Process) -> str:
        """Tell what a process is by what its command says."""
        words = " ".join(process.cmdline())
        known = {"postgres": "database", "nats-server": "broker", "envoy": "gateway"}
        known["sandbox"] = "bank"
        return next((kind for word, kind in known.items() if word in words), "application")

    def page(self, operation: str) -> str:
        """Tell the path of a typical answer."""
        category, slug = self.context["categories"][0], self.context["hot"][0]
        paths = {
            "LIST": f"/api/store/products?category={category}&limit=24",
            "DETAIL": f"/api/store/products/{slug}",
        }
        return paths[operation]

    def flaws(self) -> Sequence[str]:
        """Ask the doctor: no oversell, the ledger as the bank's, nothing dead or stuck."""
        told = self._banyan(["doctor", *self._where], check=False)
        return () if told.returncode == 0 else told.stdout.splitlines()[-40:]

    def restart(self) -> float:
        """Stop, start again, and tell after how many seconds the first request was answered."""
        self._end()
        port = self.url.rsplit(":", 1)[1]
        begun = time.monotonic()
        self._up = self._start(["up", "--empty", "--port", port, "--workers", "1", *self._where])
        self.process = psutil.Process(self._up.pid)
        return time.monotonic() - begun

    def stop(self) -> None:
        """End everything that was started."""
        self._end()

    def _start(self, words: Sequence[str]) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            started = subprocess.Popen(
                [sys.executable, "-m", "banyan.cli", *words],
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

    def _end(self) -> None:
        self._up.send_signal(signal.SIGINT)
        self._up.wait(STOP_SECONDS)

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

    def _fill(self, articles: Iterable[goods.Article]) -> None:
        """Take in the goods by `banyan import`, and wait until shoppers see them."""
        file = self.folder / "products.jsonl"
        with file.open("w") as out:
            for one in articles:
                out.write(json.dumps(_line(one)) + "\n")
        begun = time.monotonic()
        self._banyan(["import", "products", str(file), *self._where])
        self.imported_seconds = time.monotonic() - begun
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


def start(folder: Path, *, products: int, workers: int, topology: Path | None) -> BanyanShop:
    """Start a shop in an empty folder, and fill it."""
    return BanyanShop(folder, products=products, workers=workers, topology=topology)


def _line(article: goods.Article) -> dict[str, Any]:
    slug = article.category
    return {
        "slug": article.slug,
        "title": article.title,
        "description": article.text,
        "state": "published",
        "categories": [slug],
        "category_definitions": [{"slug": slug, "title": {"en": slug.title()}}],
        "options": [{"name": "Size", "values": list(goods.SIZES)}],
        "variants": [
            {
                "sku": sku,
                "options": {"Size": size},
                "weight_grams": 500,
                "prices": [{"price_list": PRICE_LIST, "amount": amount}],
                "stock": [{"warehouse": WAREHOUSE, "on_hand": goods.STOCK}],
            }
            for sku, size, amount in article.skus()
        ],
    }


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
