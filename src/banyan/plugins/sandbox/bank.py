"""The rules of the bank: what is held, taken, given back, and never more than that."""

from banyan.plugins.sandbox import tokens
from banyan.plugins.sandbox.cards import Cards
from banyan.plugins.sandbox.ledger import Ledger
from banyan.plugins.sandbox.outbox import Outbox
from banyan.plugins.sandbox.problems import (
    AlreadyCaptured,
    CurrencyMismatch,
    ExceedsAuthorization,
    ExceedsCaptured,
    NotAuthorized,
    ReferenceTaken,
    TokenUsed,
    UnknownPayment,
)
from banyan.plugins.sandbox.values import (
    Entry,
    Money,
    NewCapture,
    NewPayment,
    NewRefund,
    Notice,
    Payment,
)
from banyan.plugins.sandbox.vault import Vault


class Bank:
    """Moves money between held, taken and given back, and owes a webhook for each move."""

    def __init__(self, vault: Vault, cards: Cards, ledger: Ledger, outbox: Outbox) -> None:
        self.vault = vault
        self.cards = cards
        self.ledger = ledger
        self.outbox = outbox

    def authorize(self, asked: NewPayment) -> Payment:
        """Hold money, or say why not; a reference that was voided before is declined."""
        token = self.cards.read(asked.token)
        with self.vault.transaction():
            if self.cards.payer(asked.token) not in {None, asked.reference}:
                raise TokenUsed
            opened = self.ledger.open(asked, decline_code=token.decline_code)
            if opened is None:
                raise ReferenceTaken(payment=self.payment(asked.reference).id)
            payment = self.payment(opened)
            if payment.status == "declined":
                return self._tell("payment.declined", payment)
            if token.decision == "challenge":
                return payment
            return self._grant(payment)

    def capture(self, name: str, asked: NewCapture) -> Payment:
        """Take a part of the held money, or all of it."""
        with self.vault.transaction():
            payment = self.payment(name)
            if payment.status not in {"authorized", "captured"}:
                raise NotAuthorized(payment=payment.id, state=payment.status)
            _same_currency(asked.amount, payment)
            held = _held(payment)
            rest = held - asked.amount.amount
            if rest < 0:
                raise ExceedsAuthorization(payment=payment.id, available=held)
            taken = self.ledger.move(payment.id, "capture", asked.amount.amount)
            if asked.final and rest:
                self.ledger.move(payment.id, "void", rest)
            return self._tell("payment.captured", payment, taken)

    def refund(self, name: str, asked: NewRefund) -> Payment:
        """Return a part of the captured money, or all of it."""
        with self.vault.transaction():
            payment = self.payment(name)
            _same_currency(asked.amount, payment)
            left = payment.captured.amount - payment.refunded.amount
            if asked.amount.amount > left:
                raise ExceedsCaptured(payment=payment.id, available=left)
            returned = self.ledger.move(payment.id, "refund", asked.amount.amount)
            return self._tell("payment.refunded", payment, returned)

    def void(self, name: str) -> Payment:
        """Let go of whatever is still held; a reference never seen is closed before it is used."""
        with self.vault.transaction():
            payment = self.ledger.find(name)
            match payment:
                case None if name.startswith("pay_"):
                    raise UnknownPayment(payment=name)
                case None:
                    return self.payment(self.ledger.bury(name))
                case Payment() if held := _held(payment):
                    freed = self.ledger.move(payment.id, "void", held)
                    return self._tell("payment.voided", payment, freed)
                case Payment(status="captured", voided=Money(amount=0)):
                    raise AlreadyCaptured(payment=payment.id)
                case Payment(status="requires_action"):
                    self.ledger.withdraw(payment.id)
                    return self._tell("payment.voided", payment)
                case _:
                    return payment

    def answer_challenge(self, name: str, *, confirmed: bool) -> Payment:
        """Hear what the shopper says; only the first answer counts."""
        with self.vault.transaction():
            payment = self.payment(name)
            if payment.status != "requires_action":
                return payment
            if confirmed:
                self._tell("payment.challenge_succeeded", payment)
                return self._grant(payment)
            self.ledger.decline(payment.id, code="authentication_failed")
            self._tell("payment.challenge_failed", payment)
            return self._tell("payment.declined", payment)

    def payment(self, name: str) -> Payment:
        """Look up a payment that must exist."""
        payment = self.ledger.find(name)
        if payment is None:
            raise UnknownPayment(payment=name)
        return payment

    def _grant(self, payment: Payment) -> Payment:
        held = self.ledger.move(payment.id, "authorize", payment.amount.amount)
        granted = self._tell("payment.authorized", payment, held)
        if not payment.capture:
            return granted
        taken = self.ledger.move(payment.id, "capture", payment.amount.amount)
        return self._tell("payment.captured", payment, taken)

    def _tell(self, kind: str, payment: Payment, entry: Entry | None = None) -> Payment:
        """Owe a webhook about a payment that changed, and answer it as it is now."""
        now = self.payment(payment.id)
        mode = tokens.webhook_mode(self.ledger.token(payment.id))
        self.outbox.put(kind, Notice(payment=now, entry=entry), mode=mode)
        return now


def _held(payment: Payment) -> int:
    return payment.authorized.amount - payment.captured.amount - payment.voided.amount


def _same_currency(asked: Money, payment: Payment) -> None:
    if asked.currency != payment.amount.currency:
        raise CurrencyMismatch(payment=payment.id, currency=payment.amount.currency)
