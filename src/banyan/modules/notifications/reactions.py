"""What notifications does when it hears an event."""

from __future__ import annotations

from banyan.kernel.ids import derived
from banyan.modules.notifications import model
from banyan.modules.notifications.service import NotificationsService
from banyan.modules.ordering.contract import OrderConfirmed


async def order_confirmed(service: NotificationsService, event: OrderConfirmed) -> None:
    """Tell the shopper that the order stands, once however often we hear of it."""
    message = derived(event.order.id, model.ORDER_CONFIRMED)
    await service.write(model.confirmation(message, event.order))
