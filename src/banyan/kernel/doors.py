"""The doors through which all work passes, each measured: HTTP, call, transaction, event."""

from __future__ import annotations

from contextlib import AbstractContextManager
from time import perf_counter
from types import TracebackType

from banyan.kernel import telemetry
from banyan.kernel.telemetry import Attribute, Door


class through(AbstractContextManager[None]):  # noqa: N801 - it reads as what happens inside
    """Trace and time what is inside; a failure is counted under the name of its class."""

    __slots__ = ("_attributes", "_begun", "_door", "_span")

    def __init__(self, door: Door, name: str, **attributes: Attribute) -> None:
        self._door = door
        self._attributes = attributes
        self._span = telemetry.span(f"{door} {name}", attributes=attributes)

    def __enter__(self) -> None:
        self._begun = perf_counter()
        self._span.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._span.__exit__(kind, error, trace)
        finally:
            outcome = kind.__name__ if kind else "ok"
            seconds = perf_counter() - self._begun
            telemetry.observe(self._door, seconds, outcome=outcome, **self._attributes)
