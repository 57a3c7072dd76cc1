"""What stands opposite the bank in its tests: a merchant who asks, a shop that is told."""

import json
import queue
import secrets
import threading
from collections import Counter, defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

PATIENCE_SECONDS = 5.0
CONFIRM, REFUSE = {"answer": "confirm"}, {"answer": "refuse"}
TOTALS = {"authorize": "authorized", "capture": "captured", "void": "voided", "refund": "refunded"}


class Received:
    """A webhook as it arrived."""

    def __init__(self, headers: dict[str, str], body: bytes) -> None:
        self.headers = headers
        self.body = body
        self.id = headers["webhook-id"]
        told = json.loads(body)
        self.type: str = told["type"]
        self.payment: dict[str, Any] = told["data"]["payment"]
        entry = told["data"]["entry"]
        self.moved: int | None = entry and entry["amount"]["amount"]


class Shop:
    """Receives the bank's webhooks and sorts them by reference."""

    def __init__(self) -> None:
        self.inbox: defaultdict[str, queue.Queue[Received]] = defaultdict(queue.Queue)
        self.refusals: Counter[str] = Counter()
        self.answered: dict[str, threading.Event] = {}
        self.read_before_answer: dict[str, bool] = {}
        shop = self

        class Door(BaseHTTPRequestHandler):
            """One webhook at the door."""

            def do_POST(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                body = self.rfile.read(int(headers["content-length"]))
                self.send_response(shop.take(Received(headers, body)))
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Stay silent."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
        self.url = f"http://127.0.0.1:{self.server.server_port}/webhooks"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def take(self, webhook: Received) -> int:
        """Take a webhook, or refuse it if it is to be refused."""
        reference = webhook.payment["reference"]
        if reference in self.answered:
            answered_first = self.answered[reference].wait(0.3)
            self.read_before_answer[reference] = not answered_first
        self.inbox[reference].put(webhook)
        if self.refusals[reference] > 0:
            self.refusals[reference] -= 1
            return 500
        return 204

    def next(self, reference: str) -> Received:
        """Wait for the next webhook about a reference."""
        return self.inbox[reference].get(timeout=PATIENCE_SECONDS)

    def close(self) -> None:
        """Close the door."""
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class Merchant:
    """Asks the bank for things, under a new Idempotency-Key unless one is given."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def post(self, path: str, body: object = None, *, key: str | None = None) -> httpx.Response:
        """Ask for a change."""
        headers = {"idempotency-key": key or secrets.token_hex(8)}
        return self.client.post(path, json=body, headers=headers)

    def authorize(
        self, reference: str, token: str = "tok_ok", *, key: str | None = None, **more: object
    ) -> httpx.Response:
        """Ask to hold ten euros."""
        body = {"reference": reference, "amount": euros(1000), "token": token, **more}
        return self.post("/v1/payments", body, key=key)

    def capture(self, reference: str, amount: int, **more: object) -> httpx.Response:
        """Ask to take some of it."""
        body = {"amount": euros(amount), **more}
        return self.post(f"/v1/payments/{reference}/captures", body)

    def refund(self, reference: str, amount: int) -> httpx.Response:
        """Ask to return some of it."""
        return self.post(f"/v1/payments/{reference}/refunds", {"amount": euros(amount)})

    def void(self, reference: str) -> httpx.Response:
        """Ask to let go of it."""
        return self.post(f"/v1/payments/{reference}/void")

    def payment(self, reference: str) -> dict[str, Any]:
        """Ask how it stands."""
        (found,) = self.client.get("/v1/payments", params={"reference": reference}).json()["items"]
        return found  # type: ignore[no-any-return]

    def kinds(self, reference: str) -> list[tuple[str, int]]:
        """Read the ledger's lines about a reference."""
        return [
            (entry["kind"], entry["amount"]["amount"])
            for entry in pages(self.client, "/v1/ledger", "since")
            if entry["reference"] == reference
        ]


def euros(amount: int) -> dict[str, object]:
    return {"amount": amount, "currency": "EUR"}


def pages(client: httpx.Client, path: str, cursor: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    page = client.get(path, params={"limit": 7}).json()
    for _ in range(1000):
        found += page["items"]
        if page["next"] is None:
            return found
        page = client.get(path, params={"limit": 7, cursor: page["next"]}).json()
    raise AssertionError("The pages never end")


def refusal(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == answer.status_code
    return answer.status_code, problem["code"]
