"""Fulfillment, as the application sees it."""

from __future__ import annotations

from banyan.kernel.module import Module, check
from banyan.modules.fulfillment import http
from banyan.modules.fulfillment.contract import Fulfillment
from banyan.modules.fulfillment.service import FulfillmentService

module = Module(
    name="fulfillment",
    offers={Fulfillment: FulfillmentService},
    routes=http.routes,
    checks=[check("every rate table can be evaluated", FulfillmentService.audit)],
)
