"""Where each Idempotency-Key is answered once: the answer is kept with what it did."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

import msgspec

from banyan.plugins.sandbox.problems import IdempotencyKeyReused, Problem
from banyan.plugins.sandbox.values import Value
from banyan.plugins.sandbox.vault import Vault


class Answer(Value, frozen=True, kw_only=True):
    """What was said, to be said again; a refusal is an answer too."""

    status: int
    body: bytes
    replayed: bool = False


class Desk:
    """Remembers answers for ever: a test bank's disk is large enough."""

    def __init__(self, vault: Vault) -> None:
        self.vault = vault
        self.turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def turn(self, key: str) -> AsyncIterator[None]:
        """Wait until nobody else is being answered under this key."""
        lock = self.turns.get(key)
        if lock is None:
            lock = self.turns[key] = asyncio.Lock()
        async with lock:
            yield

    def once(self, key: str, request: bytes, act: Callable[[], Value], *, status: int) -> Answer:
        """Act and remember the answer in one transaction, or repeat what was answered before."""
        fingerprint = hashlib.sha256(request).digest()
        with self.vault.transaction():
            kept = self.vault.one("SELECT * FROM answers WHERE key = ?", key)
            if kept is None:
                answer = self._ask(act, status)
                self.vault.change(
                    "INSERT INTO answers (key, fingerprint, status, body) VALUES (?, ?, ?, ?)",
                    key,
                    fingerprint,
                    answer.status,
                    answer.body,
                )
                return answer
        if kept["fingerprint"] != fingerprint:
            raise IdempotencyKeyReused
        return Answer(status=kept["status"], body=kept["body"], replayed=True)

    def _ask(self, act: Callable[[], Value], status: int) -> Answer:
        try:
            with self.vault.transaction():
                return Answer(status=status, body=msgspec.json.encode(act()))
        except Problem as problem:
            return Answer(status=problem.status, body=problem.document())
