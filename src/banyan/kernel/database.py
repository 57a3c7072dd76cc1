"""A module's own data: one schema, one role, one pool."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any, TypeVar, cast

import asyncpg
import msgspec

from banyan.kernel import fault, seen, telemetry
from banyan.kernel.clock import Clock
from banyan.kernel.doors import through
from banyan.kernel.event import Envelope, Event
from banyan.kernel.ids import Ids
from banyan.kernel.replica import POSITION, Replica, ReplicaSettings, Unread
from banyan.kernel.tally import statements
from banyan.kernel.transaction import Record, Transaction

R = TypeVar("R")
T = TypeVar("T")

UniqueViolation = asyncpg.UniqueViolationError
CheckViolation = asyncpg.CheckViolationError
ForeignKeyViolation = asyncpg.ForeignKeyViolationError

RETRY = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)
"""Errors of a transaction that may simply be tried again."""

DOWN = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InterfaceError,
    asyncpg.LockNotAvailableError,
    OSError,
)
"""Errors that say that the database cannot be reached now."""

IDLE_SECONDS = 30.0
"""How long a connection may wait for work: each costs PostgreSQL some megabytes."""


class Database:
    """The data of one module, reached with the module's own role.

    Commits are durable; reads outside of a transaction see the last commit. With a replica, what
    is asked by queries is read there, and sees at least what the caller has written.
    """

    def __init__(
        self,
        module: str,
        dsn: str,
        *,
        clock: Clock,
        ids: Ids,
        size: int = 3,
        instance: str = "",
        replica: str | None = None,
        replication: ReplicaSettings | None = None,
    ) -> None:
        self.module = module
        self.clock = clock
        self.ids = ids
        self.instance = instance
        self.wake: Callable[[], None] = _nobody
        self._dsn = dsn
        self._size = size
        self._pool: asyncpg.Pool[Record] | None = None
        self._copy = replica
        self._copies: asyncpg.Pool[Record] | None = None
        self._replication = replication or ReplicaSettings()
        self._replica: Replica | None = None

    async def open(self) -> None:
        """Connect."""
        self._pool = await self._connections(self._dsn, least=1, settings=self._settings())
        if self._copy:
            await self._open_replica(self._copy)

    async def close(self) -> None:
        """Let go of all connections."""
        if self._replica:
            await self._replica.close()
        if self._copies:
            self._copies.terminate()
        if self._pool:
            await self._pool.close()

    async def connect(self) -> asyncpg.Connection[Record]:
        """Open a connection outside of the pool, for what must not starve when the pool does."""
        connection = await asyncpg.connect(
            self._dsn, connection_class=_Connection, server_settings=self._settings()
        )
        await _teach_types(connection)
        return connection

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Transaction]:
        """Open a transaction, or join the one that this module has open."""
        current = _open.get()
        if current is not None:
            if current.database is not self:
                raise RuntimeError(
                    f"a transaction of {current.database.module} may not span {self.module}"
                )
            yield current
            return
        with through("transaction", self.module, module=self.module):
            async with self.apart() as connection:
                tx = Transaction(self, connection)
                token = _open.set(tx)
                try:
                    yield tx
                    if (noted := noting.get()) and noted[0] is self:
                        noted[1](tx)
                    await tx.commit()
                except BaseException:
                    await tx.roll_back()
                    raise
                finally:
                    _open.reset(token)
                tx.committed()
            self.wrote()

    def bound(self) -> bool:
        """Tell whether what is done here belongs to a transaction that is nobody else's."""
        noted = noting.get()
        return _open.get() is not None or (noted is not None and noted[0] is self)

    def wrote(self) -> None:
        """Let whoever is answered here read no less from now on than was written for it."""
        if self._replica and (writer := seen.writer()):
            writer.write(self.module, self._position)

    async def one(self, sql: str, *values: object) -> Record | None:
        """Return the first row, or None."""
        return await self._read(lambda connection: connection.fetchrow(sql, *values))

    async def all(self, sql: str, *values: object) -> list[Record]:
        """Return all rows."""
        return await self._read(lambda connection: connection.fetch(sql, *values))

    async def value(self, sql: str, *values: object) -> Any:
        """Return the first column of the first row, or None."""
        return await self._read(lambda connection: connection.fetchval(sql, *values))

    async def write(self, sql: str, *values: object) -> Record | None:
        """Run one statement that is a transaction of its own, or part of ours; return its row."""
        if self.bound():
            async with self.begin() as tx:
                return await tx.one(sql, *values)
        statements.add(self.module, sql)
        statements.add(self.module, "COMMIT")
        fault.reached(f"before commit {self.module}")
        async with self.apart() as connection:
            row = await connection.fetchrow(sql, *values)
        fault.reached(f"after commit {self.module}")
        self.wrote()
        return row

    def wrap(self, event: Event) -> Envelope:
        """Put an event into its envelope."""
        return Envelope(
            id=self.ids.new(),
            source=f"/modules/{self.module}",
            type=event.type,
            time=self.clock.now(),
            data=event,
            traceparent=telemetry.carry(),
        )

    def apart(self) -> AbstractAsyncContextManager[asyncpg.Connection[Record]]:
        """Take a connection that has nothing to do with an open transaction; for the kernel."""
        assert self._pool, "the database is opened when the application starts"
        return cast("AbstractAsyncContextManager[Any]", self._pool.acquire())

    async def _read(self, ask: Callable[[asyncpg.Connection[Record]], Awaitable[R]]) -> R:
        """Read where we are: in our open transaction, on the replica, or on any connection."""
        statements.add(self.module, "read")
        current = _open.get()
        if current is not None and current.database is self:
            return await ask(await current.reading())
        if self._replica and self._replica.will_do():
            with suppress(Unread):
                return await self._replica.read(ask)
        async with self.apart() as connection:
            return await ask(connection)

    async def _position(self) -> int:
        statements.add(self.module, POSITION)
        async with self.apart() as connection:
            return int(await connection.fetchval(POSITION))

    async def _open_replica(self, dsn: str) -> None:
        """Connect when there is something to read; one that is away must not keep us."""
        patience = self._replication.patience_seconds
        settings = {**self._settings(), "default_transaction_read_only": "on"}
        copies = self._copies = await self._connections(dsn, least=0, settings=settings)

        @asynccontextmanager
        async def visit() -> AsyncIterator[asyncpg.Connection[Record]]:
            connection = await asyncpg.connect(dsn, timeout=patience, server_settings=settings)
            try:
                yield connection
            finally:
                connection.terminate()

        self._replica = Replica(
            self.module,
            self._replication,
            # With a limit on taking it, returning a connection is limited, too.
            copy=lambda: copies.acquire(timeout=patience),
            original=self.apart,
            visit=visit,
        )
        self._replica.open()

    async def _connections(
        self, dsn: str, *, least: int, settings: dict[str, str]
    ) -> asyncpg.Pool[Record]:
        return await asyncpg.create_pool(
            dsn,
            connection_class=_Connection,
            min_size=least,
            max_size=self._size,
            max_inactive_connection_lifetime=IDLE_SECONDS,
            init=_teach_types,
            reset=_leave_as_it_is,
            server_settings=settings,
        )

    def _settings(self) -> dict[str, str]:
        return {
            "application_name": f"banyan {self.module}",
            "search_path": f"{self.module}, extensions",
            "lock_timeout": "10s",
            "idle_in_transaction_session_timeout": "30s",
        }


class _Connection(asyncpg.Connection):
    """Asks once in a process what PostgreSQL's own types are made of: they are always the same.

    asyncpg asks anew over each connection, which costs as much as ten statements.
    """

    async def _introspect_types(self, types: Iterable[int], *how: Any) -> Any:
        asked = frozenset(types)
        if asked in _known_types:
            return _known_types[asked], _KNOWN
        found, asking = await super()._introspect_types(asked, *how)  # type: ignore[misc]
        if max(asked) < _FIXED_OIDS:
            _known_types[asked] = found
        return found, asking


_FIXED_OIDS = 10_000
_KNOWN = SimpleNamespace(name="known")
_known_types: dict[frozenset[int], Any] = {}

Note = tuple[Database, Callable[[Transaction], None]]

noting: ContextVar[Note | None] = ContextVar("noting", default=None)
"""What the kernel itself writes into the next transaction of a module before it is committed."""

_open: ContextVar[Transaction | None] = ContextVar("open", default=None)


def in_transaction() -> str | None:
    """Name the module that has a transaction open here, if one has."""
    current = _open.get()
    return current.database.module if current else None


def where(
    conditions: Mapping[str, str], sought: Mapping[str, object], start: int = 2
) -> tuple[str, list[object]]:
    """Say which rows are sought, and give the values for it, which are numbered from `start`.

    Only what is sought stands in the statement, so that its index is found.
    """
    given = {name: value for name, value in sought.items() if value is not None}
    named = [conditions[name].format(f"${place}") for place, name in enumerate(given, start)]
    return f"WHERE {' AND '.join(named) or 'true'}", [*given.values()]


def convert(row: Record | Mapping[str, Any], kind: type[T]) -> T:
    """Make a value of a row whose columns are named like its fields."""
    return msgspec.convert(dict(row), kind)


def convert_all(rows: Sequence[Record], kind: type[T]) -> tuple[T, ...]:
    """Make a value of each row."""
    return tuple(msgspec.convert(dict(row), kind) for row in rows)


def _nobody() -> None:
    """Wake nobody: no worker runs here."""


async def _teach_types(connection: asyncpg.Connection[Record]) -> None:
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda value: b"\x01" + msgspec.json.encode(value),  # Unquoted also in an array.
        decoder=lambda told: msgspec.json.decode(told[1:]),
        format="binary",
    )
    # What is made to be read once: text all along, which costs PostgreSQL a third less.
    await connection.set_type_codec(
        "json",
        schema="pg_catalog",
        encoder=msgspec.json.encode,
        decoder=msgspec.json.decode,
        format="binary",
    )


async def _leave_as_it_is(_: object) -> None:
    """Spare the RESET on release: no session state is ever set."""
