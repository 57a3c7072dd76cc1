"""The doors through which all work passes, each measured: HTTP, call, transaction, event."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from banyan.kernel import telemetry
from banyan.kernel.telemetry import Attribute, Door


@contextmanager
def through(door: Door, name: str, **attributes: Attribute) -> Iterator[None]:
    """Trace and time what is inside; a failure is counted under the name of its class."""
    begun = perf_counter()
    outcome = "ok"
    try:
        with telemetry.span(f"{door} {name}", attributes=attributes):
            yield
    except BaseException as error:
        outcome = type(error).__name__
        raise
    finally:
        telemetry.observe(door, perf_counter() - begun, outcome=outcome, **attributes)
