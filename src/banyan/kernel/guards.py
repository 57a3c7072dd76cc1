"""What a route may demand of a request before anything is done: a grant, a key, a version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from banyan.kernel import link
from banyan.kernel.refusal import Forbidden, IdempotencyKeyMissing, MatchMissing, Unauthenticated


class Connection(Protocol):
    """As much of a request as a guard looks at."""

    @property
    def headers(self) -> Headers:
        """What the client says beside the body."""
        ...


class Headers(Protocol):
    """The headers of a request, whatever case they are written in."""

    def __contains__(self, name: object, /) -> bool: ...


@dataclass(frozen=True)
class Needs:
    """Lets those in who were granted a permission."""

    permission: str

    async def __call__(self, _: Connection, __: object) -> None:
        caller = link.caller()
        if caller == link.ANYBODY:
            raise Unauthenticated
        if not caller.may(self.permission):
            raise Forbidden(permission=self.permission)


def needs(permission: str) -> Needs:
    """Demand a grant: `guards = (needs("catalog:write"),)`, on a controller or a handler."""
    return Needs(permission)


async def obligatory_key(_: Connection, __: object) -> None:
    """Demand an Idempotency-Key: for what must not have its effect twice."""
    if link.current().idempotency is None:
        raise IdempotencyKeyMissing


async def obligatory_match(connection: Connection, _: object) -> None:
    """Demand an If-Match: for what must not undo another's change unseen."""
    if "if-match" not in connection.headers:
        raise MatchMissing
