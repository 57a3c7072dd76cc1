"""The ways in which the bank says no; each becomes an RFC 9457 problem document."""

import re
from typing import ClassVar

from msgspec import json


class Problem(Exception):
    """An expected no: a status, a code taken from the class name, and details."""

    status: ClassVar[int] = 409

    def __init__(self, **details: object) -> None:
        super().__init__(self.__doc__)
        self.details = details

    def document(self) -> bytes:
        """Write the problem down as `application/problem+json`."""
        code = re.sub(r"(?<!^)(?=[A-Z])", "_", type(self).__name__).lower()
        return problem_document(self.status, code, str(self), self.details)


def problem_document(
    status: int, code: str, title: str, details: dict[str, object] | None = None
) -> bytes:
    """Write a problem document; no detail hides a member that the standard names."""
    standard = {"type": "about:blank", "status": status, "code": code, "title": title}
    return json.encode((details or {}) | standard)


class IdempotencyKeyRequired(Problem):
    """Every request that changes something carries an Idempotency-Key of 1 to 255 characters."""

    status = 400


class IdempotencyKeyReused(Problem):
    """This Idempotency-Key was used for a different request."""

    status = 422


class UnknownToken(Problem):
    """No card stands behind this token."""

    status = 422


class TokenUsed(Problem):
    """This token has paid already, or was tried; the shopper gives a card anew."""


class CurrencyMismatch(Problem):
    """The payment is in another currency."""

    status = 422


class UnknownPayment(Problem):
    """The bank knows no such payment."""

    status = 404


class ReferenceTaken(Problem):
    """Another payment already carries this reference."""


class NotAuthorized(Problem):
    """No money is held for this payment."""


class AlreadyCaptured(Problem):
    """All of the money was taken, so it can only be refunded."""


class ExceedsAuthorization(Problem):
    """More than is still held cannot be captured."""


class ExceedsCaptured(Problem):
    """More than was captured and not yet returned cannot be refunded."""
