"""Calls that wait at the same time share a transaction, and its commit."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from banyan.kernel.contract import Problem
from banyan.kernel.database import DOWN, Database
from banyan.kernel.transaction import Transaction

A = TypeVar("A")
Q = TypeVar("Q")

MOST = 100
PATIENCE_SECONDS = 1.0
"""After that, those who wait no longer wait for those who are under way."""

Work = Callable[[Transaction, Sequence[Q]], Awaitable[Sequence[A | Problem]]]
"""Answers calls in the order in which they came: each as if it came after those before it.

What is refused is answered with its problem, and leaves nothing in the data.
"""


@dataclass(eq=False)
class _Call(Generic[Q, A]):
    asked: Q
    answer: asyncio.Future[A]
    context: Context = field(default_factory=copy_context)
    alone: bool = False

    def tell(self, told: A | Exception) -> None:
        """Answer, if somebody still listens."""
        if self.answer.done():
            return
        if isinstance(told, Exception):
            self.answer.set_exception(told)
        else:
            self.answer.set_result(told)


class Together(Generic[Q, A]):
    """Answers each call as if it were alone, though those that wait share a transaction.

    A call that finds nobody under way sets out at once; those that come meanwhile go next, in one
    transaction, which belongs to the trace of the first of them. Whoever gives up takes nobody
    along. Where a defect or a lost race stops them all, each is tried alone and told its own; that
    the database is away is told to all.
    """

    def __init__(
        self,
        database: Database,
        work: Work[Q, A],
        *,
        most: int = MOST,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._database = database
        self._work = work
        self._most = most
        self._patience_seconds = patience_seconds
        self._waiting: deque[_Call[Q, A]] = deque()
        self._under_way: asyncio.Task[None] | None = None

    async def __call__(self, asked: Q) -> A:
        """Answer one call, in the transaction that it is bound to or in one with others."""
        if self._database.bound():
            (told,) = await self._commit([asked])
            if isinstance(told, Problem):
                raise told
            return told
        call: _Call[Q, A] = _Call(asked, asyncio.get_running_loop().create_future())
        self._waiting.append(call)
        self._set_out()
        answer = await call.answer
        self._database.wrote()
        return answer

    def _set_out(self) -> None:
        """Go with those who wait, unless others are under way."""
        if self._under_way:
            return
        calls: list[_Call[Q, A]] = []
        while self._waiting and len(calls) < self._most and not (calls and calls[0].alone):
            call = self._waiting.popleft()
            if not call.answer.done():
                calls.append(call)
        if not calls:
            return
        loop = asyncio.get_running_loop()
        task = loop.create_task(self._go(calls), name="together", context=calls[0].context)
        late = loop.call_later(self._patience_seconds, self._go_on, task)
        task.add_done_callback(lambda _: late.cancel())
        task.add_done_callback(self._go_on)
        for call in calls:
            call.answer.add_done_callback(lambda _: _turn_back_if_forsaken(task, calls))
        self._under_way = task

    def _go_on(self, after: asyncio.Task[None]) -> None:
        """Let the next set out after those who have come back, or who keep everybody waiting."""
        if self._under_way is after:
            self._under_way = None
        self._set_out()

    async def _go(self, calls: Sequence[_Call[Q, A]]) -> None:
        try:
            answers = await self._commit([call.asked for call in calls])
            for call, told in zip(calls, answers, strict=True):
                call.tell(told)
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait are told
            if len(calls) == 1 or isinstance(error, DOWN):
                for call in calls:
                    call.tell(error)
                return
            for call in calls:
                call.alone = True
            self._waiting.extendleft(reversed(calls))

    async def _commit(self, asked: Sequence[Q]) -> Sequence[A | Problem]:
        """Do the work in one transaction; where all are refused, it is rolled back."""
        told: Sequence[A | Problem] = ()
        try:
            async with self._database.begin() as tx:
                told = await self._work(tx, asked)
                refused = [one for one in told if isinstance(one, Problem)]
                if len(refused) == len(asked):
                    raise refused[0]
        except Problem as no:
            if no not in told:
                raise
        return told


def _turn_back_if_forsaken(task: asyncio.Task[None], calls: Sequence[_Call[Q, A]]) -> None:
    """Stop what is under way when nobody waits for it any more; once, to let it clean up."""
    if not task.cancelling() and all(call.answer.cancelled() for call in calls):
        task.cancel()
