"""What whoever operates the house asks of every module, wherever it runs: its events and sagas.

Each module answers this contract for itself, beside its own. Its subjects on the broker are apart
from those of the module's other operations, so that few may ask for them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, Protocol
from uuid import UUID

from banyan.kernel.contract import (
    Problem,
    ToldProblem,
    Value,
    command,
    contract,
    query,
    raises,
)
from banyan.kernel.refusal import NotFound
from banyan.kernel.subjects import BACKSTAGE

State = Literal["running", "waiting", "undoing", "stuck", "done", "undone"]
"""How a saga stands: it goes on by itself unless it is stuck or has ended."""


class NoSuchSaga(Problem, status=404):
    """The module knows no such saga; what has ended is forgotten after a month."""

    saga: str


class SagaEnded(Problem, status=409):
    """The saga has ended, so there is nothing left to retry or to turn back."""

    saga: str
    state: State


class SagaUnderWay(Problem, status=409):
    """The saga is being driven at this moment; look again when it waits or has ended."""

    saga: str


class EventHealth(Value):
    """How many events are where; overdue is what should have been heard two minutes ago."""

    undelivered: int
    undelivered_since: datetime | None
    pending: int
    overdue: int
    dead: int


class SagaHealth(Value):
    """How many sagas stand how; overdue is what should have gone on two minutes ago."""

    running: int
    waiting: int
    undoing: int
    overdue: int
    stuck: int


class ModuleHealth(Value):
    """How the events and the sagas of a module are."""

    events: EventHealth
    sagas: SagaHealth


class Letter(Value):
    """An event that a reaction could not digest or, without a reaction, that nobody could read.

    `number` is its place in the list. What it says is shown without what is private.
    """

    number: int
    event: UUID
    reaction: str
    type: str
    time: datetime
    attempt: int
    error: str
    data: Any


class Replayed(Value):
    """How many dead letters are given another try, and how many of those asked for stay dead."""

    count: int
    left: int


class SagaSummary(Value):
    """How a saga stands.

    `step` is the last that its journal knows, `error` why it turned back, and `trouble` the kind of
    defect by which the latest attempts failed, if they did.
    """

    id: str
    kind: str
    state: State
    step: str
    attempt: int
    trouble: str
    error: ToldProblem | None
    started_at: datetime
    due_at: datetime
    ended_at: datetime | None


class Step(Value):
    """What the journal remembers of a step, without what is private."""

    name: str
    at: datetime | None
    answer: Any
    problem: ToldProblem | None
    until: datetime | None


class StepBack(Value):
    """A step back that the saga has declared, and whether it was taken."""

    name: str
    taken: bool


class SagaHistory(Value):
    """A saga with its journal, and its way back in the order in which it is taken.

    The way back of what has ended is no longer known.
    """

    saga: SagaSummary
    steps: tuple[Step, ...]
    way_back: tuple[StepBack, ...]
    trace: str


@contract(BACKSTAGE)
class Backstage(Protocol):
    """What whoever operates the house may ask of a module."""

    @query
    async def health(self) -> ModuleHealth:
        """Count what waits, what is late, and what needs somebody."""
        ...

    @query
    async def letters(self, *, limit: int = 100, before: int | None = None) -> tuple[Letter, ...]:
        """List dead letters, the latest to arrive first."""
        ...

    @command
    async def replay(self, *, events: tuple[UUID, ...] | None = None) -> Replayed:
        """Give dead letters another try: those of some events, or all.

        Who has heard an event already does not hear it again. What cannot be read stays dead.
        """
        ...

    @command
    async def discard(self, *, events: tuple[UUID, ...]) -> int:
        """Let go of dead letters, so that what they ask for never happens; tell how many."""
        ...

    @query
    async def sagas(
        self,
        *,
        state: State | None = None,
        limit: int = 100,
        before: tuple[datetime, str] | None = None,
    ) -> tuple[SagaSummary, ...]:
        """List sagas, of one state or of all, the latest to start first.

        `before` is the start and the id of the last that was told.
        """
        ...

    @query
    @raises(NoSuchSaga)
    async def saga(self, *, saga: str) -> SagaHistory:
        """Show a saga with its journal."""
        ...

    @command
    @raises(NoSuchSaga, SagaEnded, SagaUnderWay)
    async def retry(self, *, saga: str) -> SagaSummary:
        """Have a saga go on at once, the way that it goes; from where it is stuck, further back."""
        ...

    @command
    @raises(NoSuchSaga, SagaEnded, SagaUnderWay)
    async def turn_back(self, *, saga: str) -> SagaSummary:
        """Have a saga undo what it did; one that has taken its last step ends as done."""
        ...


class Backstages(dict[str, Backstage]):
    """Every module's, by its name: what a controller is handed as `backstage`."""

    def __missing__(self, module: str) -> Backstage:
        raise NotFound
