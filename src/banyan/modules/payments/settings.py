"""What an operator may turn in payments."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from banyan.kernel.settings import Settings


class PaymentsSettings(Settings, frozen=True, kw_only=True):
    """When money is taken, and when the doctor calls a payment stuck."""

    capture: Literal["manual", "automatic"] = "manual"
    """`automatic` takes the money when the order is confirmed, `manual` when somebody asks."""

    stuck_minutes: Annotated[int, Meta(ge=1)] = 15
    abandoned_hours: Annotated[int, Meta(ge=1)] = 24
    """How long a shopper may take to answer the provider's challenge."""

    webhook_days: Annotated[int, Meta(ge=1)] = 30
