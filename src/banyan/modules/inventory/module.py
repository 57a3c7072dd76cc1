"""Inventory, as the application sees it."""

from __future__ import annotations

from banyan.kernel.driver import every
from banyan.kernel.module import Module, check
from banyan.modules.inventory import http
from banyan.modules.inventory.contract import Inventory
from banyan.modules.inventory.service import InventoryService

module = Module(
    name="inventory",
    offers={Inventory: InventoryService},
    routes=http.routes,
    jobs=[every(30, InventoryService.expire_reservations)],
    checks=[
        check(
            "stock = movements − reservations", InventoryService.audit, repair=InventoryService.mend
        )
    ],
)
