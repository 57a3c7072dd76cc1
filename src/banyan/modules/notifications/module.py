"""Notifications, as the application sees it."""

from __future__ import annotations

from banyan.kernel.driver import every
from banyan.kernel.event import on
from banyan.kernel.module import Module
from banyan.modules.notifications import http, reactions
from banyan.modules.notifications.contract import Notifications
from banyan.modules.notifications.sagas import SendMessage
from banyan.modules.notifications.service import NotificationsService
from banyan.modules.ordering.contract import OrderConfirmed

module = Module(
    name="notifications",
    offers={Notifications: NotificationsService},
    routes=http.routes,
    reactions=[on(OrderConfirmed, reactions.order_confirmed)],
    sagas=[SendMessage],
    jobs=[every(600, NotificationsService.erase_addresses)],
)
