"""Payments, as the application sees it."""

from __future__ import annotations

from banyan.kernel.driver import every
from banyan.kernel.event import on
from banyan.kernel.module import Module, check
from banyan.modules.ordering.contract import OrderConfirmed
from banyan.modules.payments import http, reactions
from banyan.modules.payments.contract import Payments
from banyan.modules.payments.sagas import CaptureOrder
from banyan.modules.payments.service import PaymentsService

module = Module(
    name="payments",
    offers={Payments: PaymentsService},
    routes=http.routes,
    reactions=[on(OrderConfirmed, reactions.order_confirmed)],
    sagas=[CaptureOrder],
    jobs=[
        every(30, PaymentsService.finish_pending),
        every(86_400, PaymentsService.forget_webhooks),
    ],
    checks=[
        check("the ledger is balanced", PaymentsService.audit_books),
        check(
            "the ledger equals what the provider says",
            PaymentsService.audit_providers,
            repair=PaymentsService.mend_providers,
        ),
        check(
            "no payment is stuck",
            PaymentsService.audit_waiting,
            repair=PaymentsService.mend_waiting,
        ),
    ],
)
