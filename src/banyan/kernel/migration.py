"""Prepares each module's place in PostgreSQL: a schema, a role, and the tables by dbmate.

The module's role may read and write rows in its own schema, and has no other right anywhere; the
tables belong to the administrator, so that a module can neither drop them nor lift a constraint.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeAlias
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

from banyan.kernel.module import Module
from banyan.kernel.settings import Misconfigured, environment

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
KERNEL = Path(__file__).parent / "migrations"
PATIENCE = "lock_timeout=5000&statement_timeout=300000"
"""A migration that waits for a lock makes everybody behind it wait too: rather it fails."""


def role_of(module: str) -> str:
    """Name the PostgreSQL role of a module."""
    return f"banyan_{module}"


async def create_database(dsn: str, name: str) -> None:
    """Create a database where there is none of that name."""
    connection = await asyncpg.connect(dsn)
    try:
        known = await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", name)
        if not known:
            await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()


async def migrate(
    modules: Iterable[Module],
    *,
    dsn: str,
    url: str,
    password: Callable[[str], str],
    say: Callable[[str], None],
) -> int:
    """Bring every module's schema up to date and return how many migrations that took.

    `dsn` (asyncpg) and `url` (dbmate) are an administrator's; `password` gives each role's.
    """
    applied = 0
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(
            "CREATE SCHEMA IF NOT EXISTS extensions; GRANT USAGE ON SCHEMA extensions TO PUBLIC; "
            "CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA extensions; "
            "CREATE EXTENSION IF NOT EXISTS unaccent SCHEMA extensions; "
            "REVOKE ALL ON SCHEMA public FROM PUBLIC"
        )
        for module in modules:
            await _prepare(connection, module.name, password(module.name))
            pending = await _pending(connection, module)
            if pending:
                say(f"migrating {module.name} ({len(pending)})")
                _dbmate(url, module)
                applied += len(pending)
    finally:
        await connection.close()
    return applied


async def _prepare(connection: Connection, module: str, secret: str) -> None:
    role = role_of(module)
    known = await connection.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", role)
    quoted = await connection.fetchval("SELECT quote_literal($1)", secret)
    verb = "ALTER" if known else "CREATE"
    await connection.execute(
        f"{verb} ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT PASSWORD {quoted};"
        f"CREATE SCHEMA IF NOT EXISTS {module};"
        f"GRANT USAGE ON SCHEMA {module} TO {role};"
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {module} "
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {role};"
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {module} GRANT USAGE ON SEQUENCES TO {role}"
    )


async def _pending(connection: Connection, module: Module) -> list[str]:
    table = f"{module.name}.schema_migrations"
    known: set[str] = set()
    if await connection.fetchval("SELECT to_regclass($1)", table):
        known = {row["version"] for row in await connection.fetch(f"SELECT version FROM {table}")}  # noqa: S608 - a module's name
    files = [path for folder in _folders(module) for path in folder.glob("*.sql")]
    return sorted(path.name for path in files if path.name.split("_")[0] not in known)


def _folders(module: Module) -> list[Path]:
    return [folder for folder in (KERNEL, module.migrations) if folder.is_dir()]


def _dbmate(url: str, module: Module) -> None:
    """Apply what is pending; a failed migration is rolled back by PostgreSQL and told in full."""
    parts = urlsplit(url)
    query = f"{parts.query}&" if parts.query else ""
    searched = quote(f"{module.name},extensions")
    address = urlunsplit(parts._replace(query=f"{query}search_path={searched}&{PATIENCE}"))
    command = [str(Path(sys.executable).parent / "dbmate"), "--no-dump-schema"]
    for folder in _folders(module):
        command += ["--migrations-dir", str(folder)]
    # The address holds a password, which the command line would show to everybody.
    told = {**environment(), "DATABASE_URL": address}
    done = subprocess.run(
        [*command, "migrate"], env=told, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip().replace(address, "…")
        raise Misconfigured(f"a migration of {module.name} failed and was rolled back: {said}")
