"""Names on the broker: subjects, streams and consumers, and what a process may do with them."""

from __future__ import annotations

from collections.abc import Collection

from banyan.kernel.contract import Operation, Value
from banyan.kernel.event import Event

EVENTS = "banyan-events"
"""The stream that keeps what modules tell, until everybody has heard it."""

DEAD = "banyan-dead"
"""The stream of messages that a listener could not even read."""

EVERY_EVENT = "banyan.event.>"
EVERY_DEAD = "banyan.dead.*"

_REGISTRY = ("PING", "INFO", "STATS")


def of_call(operation: Operation) -> str:
    """Name the subject on which an operation is asked for."""
    return f"banyan.call.{operation.subject}"


def of_event(kind: str) -> str:
    """Name the subject on which events of a type are told: `banyan.event.<module>.<name>.v<n>`."""
    return kind.replace("banyan.", "banyan.event.", 1)


def of_events(kinds: Collection[type[Event]]) -> list[str]:
    """Name the subjects of some kinds of events, in order."""
    return sorted(of_event(kind.type) for kind in kinds)


def of_dead(module: str) -> str:
    """Name the subject to which a module puts aside what it cannot read."""
    return f"banyan.dead.{module}"


def of_answers(process: str) -> str:
    """Name the beginning of the subjects on which a process, and nobody else, is answered."""
    return f"_INBOX_{process}"


class Permissions(Value):
    """The subjects on which somebody may publish and to which they may subscribe."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def permissions(process: str, *, hosts: Collection[str], asks: Collection[str]) -> Permissions:
    """Grant a process what its modules declare: to answer, ask, tell and hear, and no more.

    `hosts` names the modules that live in it, `asks` those elsewhere that they ask.
    """
    return Permissions(
        publish=tuple(
            subject
            for module in sorted({*hosts, *asks})
            for subject in (_telling(module) if module in hosts else (f"banyan.call.{module}.*",))
        ),
        subscribe=(
            f"{of_answers(process)}.>",
            *(f"banyan.call.{module}.*" for module in sorted(hosts)),
            *(f"$SRV.{verb}" for verb in _REGISTRY),
            *(
                f"$SRV.{verb}.{module}{instance}"
                for verb in _REGISTRY
                for module in sorted(hosts)
                for instance in ("", ".*")
            ),
        ),
    )


def _telling(module: str) -> tuple[str, ...]:
    """Publishing what a module tells, and fetching and confirming what it hears."""
    return (
        f"banyan.event.{module}.>",
        of_dead(module),
        f"$JS.API.CONSUMER.MSG.NEXT.{EVENTS}.{module}",
        f"$JS.ACK.{EVENTS}.{module}.>",
    )
