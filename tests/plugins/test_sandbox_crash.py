"""The sandbox bank as a process: what outlives its death, and what it refuses to start on."""

import socket
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.plugins.sandbox_merchant import PATIENCE_SECONDS, TOTALS, Merchant, Shop, euros, pages
from tests.plugins.sandbox_process import SOURCES, SandboxDidNotStart, SandboxProcess


def test_a_webhook_that_was_owed_when_the_bank_died_is_sent_by_the_next(
    shop: Shop, tmp_path: Path, reference: str
) -> None:
    bank = SandboxProcess(tmp_path, webhook=shop.url)
    with bank, bank.client() as client:
        client.post("/v1/test/webhooks", json={"mode": "late", "delay_seconds": 0.8})
        Merchant(client).authorize(reference)
        bank.kill()

        bank.start()

        assert shop.next(reference).type == "payment.authorized"


PURCHASES = 60


def test_a_bank_killed_in_the_middle_of_its_work_keeps_a_consistent_ledger(
    tmp_path: Path,
) -> None:
    bank = SandboxProcess(tmp_path)
    answers: dict[str, bytes] = {}

    for kill_after in (25, 90, None):
        with bank:
            burst(bank, answers, kill_after=kill_after)
        assert_consistent(bank.ledger)

    with bank, bank.client() as client:
        positions = pages(client, "/v1/ledger/by-reference", "after")
        (balance,) = client.get("/v1/balance").json()["items"]
    assert len(answers) == PURCHASES * 3
    assert len(positions) == PURCHASES
    assert {tuple(each[total] for total in TOTALS.values()) for each in positions} == {
        (1000, 600, 400, 100)
    }
    assert balance["net"] == PURCHASES * 500


def burst(bank: SandboxProcess, answers: dict[str, bytes], *, kill_after: int | None) -> None:
    """Make all purchases at once, under the same keys each time, until the bank is dead."""
    enough = threading.Semaphore(0)

    def purchase(client: httpx.Client, number: int) -> None:
        payment = f"/v1/payments/order-{number}"
        steps: list[tuple[str, dict[str, object]]] = [
            (
                "/v1/payments",
                {"reference": f"order-{number}", "amount": euros(1000), "token": "tok_ok"},
            ),
            (f"{payment}/captures", {"amount": euros(600), "final": True}),
            (f"{payment}/refunds", {"amount": euros(100)}),
        ]
        for path, body in steps:
            key = f"{path}-{number}"
            answer = Merchant(client).post(path, body, key=key)
            assert answer.status_code == 201
            assert answers.setdefault(key, answer.content) == answer.content
            enough.release()

    with bank.client() as client, ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(purchase, client, number) for number in range(PURCHASES)]
        if kill_after is None:
            for purchased in asked:
                purchased.result()
            return
        for _ in range(kill_after):
            assert enough.acquire(timeout=PATIENCE_SECONDS)
        bank.kill()
        failures = [purchased.exception() for purchased in asked]
    assert any(failures)
    assert all(isinstance(failure, httpx.TransportError | None) for failure in failures)


def assert_consistent(ledger: Path) -> None:
    with closing(sqlite3.connect(ledger)) as database:
        (health,) = database.execute("PRAGMA integrity_check").fetchone()
        wrong = database.execute(
            "SELECT payments.id FROM payments LEFT JOIN positions ON payment = id WHERE"
            " (payments.authorized, payments.captured, payments.voided, payments.refunded)"
            " IS NOT (positions.authorized, positions.captured, positions.voided,"
            " positions.refunded)"
        ).fetchall()
    assert (health, wrong) == ("ok", [])


def test_a_folder_has_one_bank(bank: SandboxProcess) -> None:
    with pytest.raises(SandboxDidNotStart, match=r"Process \d+ already serves the bank"):
        SandboxProcess(bank.data).start()


def test_a_port_in_use_is_told_plainly(bank: SandboxProcess, tmp_path: Path) -> None:
    with pytest.raises(SandboxDidNotStart, match=f"Port {bank.port} cannot be used"):
        SandboxProcess(tmp_path, port=bank.port).start()


def test_a_bank_serves_on_an_inherited_socket_and_ends_with_its_owner(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        fd = str(sock.fileno())
        command = [sys.executable, "-m", "banyan.plugins.sandbox", "--data", str(tmp_path)]
        process = subprocess.Popen(
            [*command, "--fd", fd, "--leash"],
            cwd=SOURCES,
            stdin=subprocess.PIPE,
            pass_fds=[sock.fileno()],
        )

    with process:
        answer = httpx.get(f"http://127.0.0.1:{port}/v1/balance", timeout=10, trust_env=False)
        assert process.stdin is not None
        process.stdin.close()
        ended = process.wait(PATIENCE_SECONDS)

    assert (answer.status_code, ended) == (200, 0)
