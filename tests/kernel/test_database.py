"""Data: one schema and one role per module, and nothing beyond it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import asyncpg
import pytest

from banyan.kernel.database import where
from banyan.kernel.ids import SeededIds
from banyan.kernel.link import direct
from banyan.kernel.module import Module
from banyan.kernel.settings import Misconfigured
from banyan.kernel.testing import Bench, Server, bench
from banyan.modules.inventory.module import module as inventory
from tests.kernel.pond.contract import Pond
from tests.kernel.pond.module import module as pond
from tests.kernel.pond.service import PondService


@pytest.fixture
async def two(server: Server, tmp_path: Path) -> object:
    async with bench(server, [pond, inventory], folder=tmp_path, link=direct) as made:
        yield made


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM pond.frogs",
        "INSERT INTO pond.frogs VALUES ('spy', 1)",
        "SELECT * FROM pond.outbox",
        "CREATE TABLE pond.mine (id integer)",
        "CREATE TABLE public.mine (id integer)",
        "CREATE TABLE inventory.mine (id integer)",
        "DROP TABLE inventory.levels",
        "ALTER TABLE inventory.levels DROP CONSTRAINT nothing_is_promised_twice",
        "TRUNCATE inventory.levels CASCADE",
        "CREATE SCHEMA mine",
        "SET ROLE banyan_pond",
        "SET SESSION AUTHORIZATION postgres",
        "SELECT pg_read_file('/etc/passwd')",
        "COPY (SELECT 1) TO PROGRAM 'true'",
    ],
)
async def test_a_role_has_no_right_beyond_the_rows_of_its_own_schema(
    two: Bench, statement: str
) -> None:
    database = two.app.rooms["inventory"].database

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await database.value(statement)


async def test_a_role_cannot_log_in_with_the_password_of_another(
    server: Server, two: Bench
) -> None:
    address = server.address("postgres", module="pond").replace("banyan_pond", "banyan_inventory")

    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(address)


async def test_a_transaction_never_spans_two_modules(two: Bench) -> None:
    rooms = two.app.rooms

    async with rooms["pond"].database.begin():
        with pytest.raises(RuntimeError, match="may not span inventory"):
            async with rooms["inventory"].database.begin():
                raise AssertionError("unreachable")


async def test_a_nested_transaction_joins_the_one_that_is_open(
    pond: Pond, service: PondService
) -> None:
    with pytest.raises(LookupError):
        async with service.db.begin():
            await service.put(name="newt")
            raise LookupError("the outer one fails")

    assert await service.db.value("SELECT count(*) FROM frogs WHERE name = 'newt'") == 0


def test_only_what_is_sought_stands_in_a_statement() -> None:
    conditions = {"name": "name = {0}", "size": "size >= {0} AND size < {0} + 9"}

    assert where(conditions, {"name": "newt", "size": 0}) == (
        "WHERE name = $2 AND size >= $3 AND size < $3 + 9",
        ["newt", 0],
    )
    assert where(conditions, {"name": None, "size": None}) == ("WHERE true", [])


async def test_a_migration_that_fails_is_told_and_leaves_nothing(
    server: Server, tmp_path: Path
) -> None:
    class Broken(Module):
        @property
        def migrations(self) -> Path:
            return tmp_path

    broken = Broken(name="swamp", offers=pond.offers)
    (tmp_path / "20260101000000_bad.sql").write_text(
        "-- migrate:up\nCREATE TABLE half (id integer);\nSELECT nothing_such();\n-- migrate:down\n"
    )

    with pytest.raises(Misconfigured, match="nothing_such") as told:
        async with server.fresh([broken, inventory]):
            raise AssertionError("unreachable")

    assert "postgres:" not in str(told.value)


async def test_what_types_are_made_of_is_asked_once_and_not_over_each_connection(
    two: Bench,
) -> None:
    asked: list[str] = []
    for _ in range(2):
        connection = await two.app.rooms["pond"].database.connect()
        try:
            connection.add_query_logger(lambda query: asked.append(query.query))
            rows = await connection.fetch(
                "SELECT * FROM unnest($1::uuid[], $2::jsonb[], $3::date[]) AS told (id, body, day)",
                [SeededIds().new()],
                [{"times": 1}],
                [date(2026, 1, 1)],
            )
        finally:
            await connection.close()
        assert [row["body"] for row in rows] == [{"times": 1}]
    assert len([query for query in asked if "pg_type" in query]) <= 1
