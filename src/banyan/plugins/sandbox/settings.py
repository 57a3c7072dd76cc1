"""How the shop finds the sandbox bank, and knows that a webhook comes from it."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from banyan.kernel.settings import Secret, Settings


class SandboxSettings(Settings, frozen=True, kw_only=True):
    """The bank's address, our patience, and the webhook secret or the file that holds it."""

    url: str = "http://127.0.0.1:8010"
    public_url: Annotated[str, Meta(pattern=r"^(https?://[^/?#\s]+(/[^?#\s]*)?)?$")] = ""
    """Where browsers find the bank, if not where the shop does; its `--public-url` is the same."""

    timeout_seconds: Annotated[float, Meta(gt=0)] = 5.0
    webhook_secret: Secret = Secret("")
    webhook_secret_file: str = ""
