"""What the SQL of an operation costs alone: the same statements, sent again by bare asyncpg.

They are read from PostgreSQL's own log while an operation is done a few times. What was made then
cannot be made again, so each replay puts new ids in the place of the old ones.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg

from banyan.kernel.ids import Ids
from benchmarks.load import Operation, Visitor

IDS = Ids()
TIMES = 20
"""How often an operation is watched; what is seen less often belongs to something else."""

BACKGROUND_SECONDS = 2.0
"""How long the background of an operation may take."""
READ = "SELECT currency FROM markets WHERE code = $1"
WRITE = (
    "INSERT INTO idempotency_keys (scope, key, fingerprint, created_at) "
    "VALUES ('floor', $1::uuid::text, '', now())"
)

_WRITES = re.compile(r"\b(INSERT INTO|UPDATE|DELETE FROM) \w", re.ASCII)
_LOGGED = re.compile(
    r"^\S+ \S+ \S+ \[(?P<session>\d+)\] (?P<role>banyan_\w+)@banyan +LOG:  duration: \S+ ms +"
    r"(?:execute [^:]*|statement): (?P<sql>.*?)\n"
    r"(?:\S+ \S+ \S+ \[\d+\] \S+ +DETAIL:  Parameters: (?P<values>.*?)\n)?(?=\d{4}-\d\d-\d\d )",
    re.MULTILINE | re.DOTALL,
)
_VALUE = re.compile(r"\$\d+ = (NULL|'(?:[^']|'')*')")


class Statement(NamedTuple):
    """A statement, by whom it was run and with which values."""

    role: str
    sql: str
    values: Sequence[Any]


async def watched(folder: Path, visitor: Visitor, operation: Operation) -> list[list[Statement]]:
    """Do an operation a few times, and return the statements of each time."""
    await visitor.connect()
    async with superuser(folder) as server:
        for _ in range(TIMES):  # What is prepared or kept for the first one is not its cost.
            await operation(visitor)
        runs = [
            [(one["role"], one["sql"], one["values"] or "") for one in logged]
            for logged in [await _logged(folder, server, operation, visitor) for _ in range(TIMES)]
        ]
        seen = Counter(sql for run in runs for sql in {(role, sql) for role, sql, _ in run})
        kept = [[one for one in run if seen[one[:2]] == TIMES] for run in runs]
        return [[await _typed(server, *one) for one in run] for run in kept]


async def simplest(folder: Path, visitor: Visitor, operation: Operation) -> list[Statement]:
    """Count what an operation and its background run, and say as much in the simplest way.

    What only reads becomes a SELECT of one row by its key, and each commit an INSERT of one row.
    """
    await visitor.connect()
    async with superuser(folder) as server:
        for _ in range(TIMES):
            await operation(visitor)
        await asyncio.sleep(BACKGROUND_SECONDS)
        run = await _logged(folder, server, operation, visitor, rest=BACKGROUND_SECONDS)
        idle = await _logged(folder, server, _nothing, visitor, rest=BACKGROUND_SECONDS)
    statements, commits = _counted(run)
    statements -= _counted(idle)[0]  # What looks around whether there is work or not.
    read = Statement("banyan_ordering", READ, ["eu"])
    writes = [Statement("banyan_ordering", WRITE, [IDS.new()]) for _ in range(commits)]
    return [*[read] * (statements - commits), *writes]


async def replayed(
    folder: Path, runs: Sequence[Sequence[Statement]], *, concurrency: int, seconds: float
) -> int:
    """Send the statements again for a while; return how often it was done."""
    done = 0
    roles = {statement.role for run in runs for statement in run}

    async def visit(number: int) -> None:
        nonlocal done
        lent = {role: await _connect(folder, role) for role in roles}
        try:
            turn = number
            while time.perf_counter() < until:
                await _once(lent, runs[turn % len(runs)])
                turn += 1
                done += 1
        finally:
            for connection in lent.values():
                await connection.close()

    until = time.perf_counter() + seconds
    await asyncio.gather(*(visit(number) for number in range(concurrency)))
    return done


async def explained(
    server: asyncpg.Connection[asyncpg.Record], statement: Statement
) -> Mapping[str, Any]:
    """Ask how PostgreSQL would run a statement."""
    schema = statement.role.removeprefix("banyan_")
    await server.execute(f"SET search_path = {schema}, extensions")
    told = await server.fetchval(
        f"EXPLAIN (VERBOSE, FORMAT JSON) {statement.sql}", *statement.values
    )
    plan: Mapping[str, Any] = json.loads(told)[0]["Plan"]
    return plan


async def _once(
    lent: dict[str, asyncpg.Connection[asyncpg.Record]], run: Sequence[Statement]
) -> None:
    anew: dict[uuid.UUID, uuid.UUID] = {}
    for role, sql, values in run:
        if not values:
            await lent[role].execute(sql)
            continue
        fresh = [
            anew.setdefault(value, IDS.new()) if isinstance(value, uuid.UUID) else value
            for value in values
        ]
        await lent[role].fetch(sql, *fresh)


async def _logged(
    folder: Path,
    server: asyncpg.Connection[asyncpg.Record],
    operation: Operation,
    visitor: Visitor,
    *,
    rest: float = 0.0,
) -> list[re.Match[str]]:
    log = folder / "data" / "postgres" / "server.log"
    begun = log.stat().st_size
    await _set(server, "log_min_duration_statement", "0")
    await operation(visitor)
    await asyncio.sleep(rest)
    await _set(server, "log_min_duration_statement", "-1")
    with log.open(errors="replace") as lines:
        lines.seek(begun)
        told = lines.read()
    return [*_LOGGED.finditer(told)]


async def _set(server: asyncpg.Connection[asyncpg.Record], name: str, value: str) -> None:
    await server.execute(f"ALTER SYSTEM SET {name} = {value}")
    await server.execute("SELECT pg_reload_conf()")
    for _ in range(200):  # Each process of the server reads it when it comes to it.
        if await server.fetchval("SELECT current_setting($1)", name) == value:
            break
        await asyncio.sleep(0.005)
    await asyncio.sleep(0.05)


async def _typed(
    server: asyncpg.Connection[asyncpg.Record], role: str, sql: str, values: str
) -> Statement:
    """Let PostgreSQL read the values as it wrote them."""
    literals = _VALUE.findall(values)
    if not literals:
        return Statement(role, sql, ())
    await server.execute(f"SET search_path = {role.removeprefix('banyan_')}, extensions")
    kinds = [kind.name for kind in (await server.prepare(sql)).get_parameters()]
    spelled = [f"{kind[:-2]}[]" if kind.endswith("[]") else kind for kind in kinds]
    columns = ", ".join(f"{one}::{kind}" for one, kind in zip(literals, spelled, strict=True))
    row = await server.fetchrow(f"SELECT {columns}")
    assert row, "one row always stands there"
    return Statement(role, sql, [*row.values()])


@asynccontextmanager
async def superuser(folder: Path) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """Connect as who may see everything, and log no more statements afterwards."""
    connection = await asyncpg.connect(**_where(folder))
    try:
        yield connection
    finally:
        await connection.execute("ALTER SYSTEM RESET log_min_duration_statement")
        await connection.execute("SELECT pg_reload_conf()")
        await connection.close()


async def _connect(folder: Path, role: str) -> asyncpg.Connection[asyncpg.Record]:
    schema = role.removeprefix("banyan_")
    connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(
        **_where(folder), server_settings={"search_path": f"{schema}, extensions"}
    )
    await connection.execute(f"SET SESSION AUTHORIZATION {role}")
    return connection


async def _nothing(_: Visitor) -> None:
    """Do nothing."""


def _counted(run: Sequence[re.Match[str]]) -> tuple[int, int]:
    """Count statements, and commits of those that wrote: alone, or between BEGIN and COMMIT."""
    statements = commits = 0
    writing: dict[str, bool] = {}
    for one in run:
        session, sql = one["session"], one["sql"]
        writes = bool(_WRITES.search(sql))
        if sql == "BEGIN;":
            writing[session] = False
        elif sql in ("COMMIT;", "ROLLBACK;"):
            commits += writing.pop(session, False) and sql == "COMMIT;"
        else:
            statements += 1
            if session in writing:
                writing[session] |= writes
            else:
                commits += writes
    return statements, commits


def _where(folder: Path) -> dict[str, Any]:
    home = folder / "data" / "postgres"
    password = (home / "password").read_text().strip()
    return {
        "user": "postgres",
        "password": password,
        "host": str(home / "socket"),
        "database": "banyan",
    }
