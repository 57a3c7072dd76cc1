"""A house with a toy box in it: who may come in, and what is where."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

import httpx
import litestar

from banyan.kernel import link
from banyan.kernel.http import build
from banyan.kernel.ids import SeededIds
from banyan.kernel.limits import Limiter
from banyan.kernel.security import Caller, Gate
from tests.kernel.http.toybox import Toy, Toybox, ToyboxService, ToyId, routes

CAR = ToyId(UUID("01a203ff-0f59-728a-9231-0131fcfd07e0"))
BEAR = ToyId(UUID("01a203ff-0f59-728a-9231-0131fcfd07e1"))
KEEPER = {"authorization": "Bearer keeper"}
JSON = {"content-type": "application/json"}


class Porter(Gate):
    """Knows two people, one of whom may do something."""

    known: Mapping[str, Caller] = {
        "keeper": Caller(subject="keeper", permissions=frozenset({"toybox:*"})),
        "guest": Caller(subject="guest"),
    }

    async def caller(self, token: str) -> Caller | None:
        return self.known.get(token)


class Parts:
    """Which parts of the house work."""

    def __init__(self) -> None:
        self.well = {"toybox": True, "garden": True}

    async def look(self) -> Mapping[str, bool]:
        return self.well


def filled() -> ToyboxService:
    """Put a car and a bear into a box."""
    box = ToyboxService()
    box.kept = {CAR: Toy(id=CAR, name="car", pieces=3), BEAR: Toy(id=BEAR, name="bear")}
    return box


def house(box: ToyboxService, parts: Parts, *, limiter: Limiter | None = None) -> litestar.Litestar:
    """Build a house around a box."""
    return build(
        routes,
        dependencies={"toybox": link.direct(Toybox, box), "ids": SeededIds()},
        gate=Porter(),
        ready=parts.look,
        title="Toys",
        version="1",
        limiter=limiter,
    )


def flaws(answer: httpx.Response) -> dict[str, str]:
    """Tell what an answer finds wrong, by place."""
    return {
        one.get("parameter", one.get("pointer")): one["detail"] for one in answer.json()["errors"]
    }
