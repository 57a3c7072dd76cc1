"""The sandbox bank as a payment provider, named `sandbox`, that comes along with a local shop."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from banyan.kernel.module import Companion, Plugin
from banyan.modules.payments.ports import PaymentProvider
from banyan.plugins.sandbox.provider import SandboxProvider

WEBHOOKS = "/api/payments/sandbox/webhooks"


def command(folder: Path, socket: int, shop: str) -> Sequence[str]:
    """Open the bank in its own process, with its own memory."""
    return [
        *(sys.executable, "-m", "banyan.plugins.sandbox"),
        *("--data", str(folder), "--fd", str(socket), "--webhook", f"{shop}{WEBHOOKS}"),
    ]


def environment(folder: Path, url: str) -> Mapping[str, str]:
    """Tell the shop where the bank is, and how to know its webhooks."""
    return {
        "BANYAN_SANDBOX_URL": url,
        "BANYAN_SANDBOX_WEBHOOK_SECRET_FILE": str(folder / "webhook-secret"),
    }


plugin = Plugin(
    name="sandbox",
    fills={PaymentProvider: SandboxProvider},
    companions=[Companion("sandbox", command, environment)],
)
