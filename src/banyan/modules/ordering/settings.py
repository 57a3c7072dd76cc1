"""What an operator may turn in ordering."""

from __future__ import annotations

from banyan.kernel.settings import Settings


class OrderingSettings(Settings, frozen=True, kw_only=True):
    """How patient the shop is.

    `challenge_minutes`: how long a shopper may take to confirm a payment at the bank; stock is held
    a little longer. `keep_carts_days`: how long a cart waits for its shopper.
    """

    challenge_minutes: int = 15
    keep_carts_days: int = 90
