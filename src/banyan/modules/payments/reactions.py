"""What payments does when it hears of others."""

from __future__ import annotations

from banyan.modules.ordering.contract import OrderConfirmed
from banyan.modules.payments.service import PaymentsService


async def order_confirmed(service: PaymentsService, event: OrderConfirmed) -> None:
    """Take the money of an order that stands, if this shop does so by itself."""
    if event.order.payment:
        await service.take_at_once(event.order.payment)
