"""Names on the broker: subjects, streams and consumers, and what a process may do with them."""

from __future__ import annotations

from collections.abc import Collection

from banyan.kernel.contract import Operation, Value
from banyan.kernel.event import Event

EVENTS = "banyan-events"
"""The stream that keeps what modules tell, until everybody has heard it."""

EVERY_EVENT = "banyan.event.>"

BACKSTAGE = "backstage"
"""What every module answers beside its own contracts, and few may ask."""

_REGISTRY = ("PING", "INFO", "STATS")


def of_call(operation: Operation) -> str:
    """Name the subject on which an operation is asked for."""
    return f"banyan.call.{operation.subject}"


def of_event(kind: str) -> str:
    """Name the subject on which events of a type are told: `banyan.event.<module>.<name>.v<n>`."""
    return kind.replace("banyan.", "banyan.event.", 1)


def kind_at(subject: str) -> str:
    """Name the type of the events that are told on a subject."""
    return subject.replace("banyan.event.", "banyan.", 1)


def of_events(kinds: Collection[type[Event]]) -> list[str]:
    """Name the subjects of some kinds of events, in order."""
    return sorted(of_event(kind.type) for kind in kinds)


def of_answers(process: str) -> str:
    """Name the beginning of the subjects on which a process, and nobody else, is answered."""
    return f"_INBOX_{process}"


class Permissions(Value):
    """The subjects on which somebody may publish and to which they may subscribe."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def permissions(
    process: str, *, hosts: Collection[str], asks: Collection[str], tends: Collection[str] = ()
) -> Permissions:
    """Grant a process what its parts declare: to answer, ask, tell and hear, and no more.

    `hosts` names the modules that live in it, `asks` those elsewhere that they ask, and `tends`
    those elsewhere of which they ask what only who looks after the shop may ask: whoever tends may
    also call the roll. A process without a module is found by its own name.
    """
    return Permissions(
        publish=(
            *(
                subject
                for module in sorted({*hosts, *asks})
                for subject in (_telling(module) if module in hosts else (_asking(module),))
            ),
            *(_tending(module) for module in sorted(set(tends) - {*hosts})),
            *(["$SRV.PING"] if tends else ()),
        ),
        subscribe=(
            f"{of_answers(process)}.>",
            *(of(module) for module in sorted(hosts) for of in (_asking, _tending)),
            *(f"$SRV.{verb}" for verb in _REGISTRY),
            *(
                f"$SRV.{verb}.{module}{instance}"
                for verb in _REGISTRY
                for module in sorted(hosts) or [process]
                for instance in ("", ".*")
            ),
        ),
    )


def _asking(module: str) -> str:
    return f"banyan.call.{module}.*"


def _tending(module: str) -> str:
    return f"banyan.call.{module}.{BACKSTAGE}.*"


def _telling(module: str) -> tuple[str, ...]:
    """Publishing what a module tells, and fetching and confirming what it hears."""
    return (
        f"banyan.event.{module}.>",
        f"$JS.API.CONSUMER.MSG.NEXT.{EVENTS}.{module}",
        f"$JS.ACK.{EVENTS}.{module}.>",
    )
