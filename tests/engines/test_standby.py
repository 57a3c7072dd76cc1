"""A copy of the embedded PostgreSQL: it follows its original, and is made anew at every start."""

from pathlib import Path

from msgspec import structs

from banyan.engines.estate import Estate
from banyan.engines.postgres import EmbeddedPostgres
from banyan.engines.standby import EmbeddedStandby
from banyan.kernel.topology import Engines, monolith
from tests.engines.servers import ask, eventually, query


def test_a_copy_has_what_was_there_and_gets_what_comes(
    server: EmbeddedPostgres, tmp_path: Path
) -> None:
    with EmbeddedStandby(tmp_path / "it's a copy", server, print) as standby:
        before = query(standby, "SELECT word FROM words")
        query(server, "CREATE TABLE copied (word text); INSERT INTO copied VALUES ('new')")

        eventually(lambda: query(standby, "SELECT word FROM copied") == "new")
        refused = ask(standby.dsn(), "INSERT INTO words VALUES ('mine')").stderr
        key = (standby.folder / "key").stat().st_mode & 0o777

    assert before == "kept"
    assert "read-only transaction" in refused
    assert key == 0o600


def test_a_copy_is_made_anew_and_has_missed_nothing(
    server: EmbeddedPostgres, tmp_path: Path
) -> None:
    with EmbeddedStandby(tmp_path / "copy", server, print):
        pass
    query(server, "CREATE TABLE missed (word text); INSERT INTO missed VALUES ('late')")
    query(server, "SELECT pg_switch_wal(); CHECKPOINT")

    with EmbeddedStandby(tmp_path / "copy", server, print) as standby:
        assert query(standby, "SELECT word FROM missed") == "late"


def test_an_estate_starts_the_copy_that_its_topology_names(tmp_path: Path) -> None:
    engines = Engines(replica={"search": "embedded", "catalog": "postgres://far:5432/shop?a=b"})
    estate = Estate(tmp_path, structs.replace(monolith(), engines=engines), print)

    with estate:
        database = estate.administrator(database="postgres")
        ask(database, f"CREATE ROLE banyan_search LOGIN PASSWORD '{estate.password('search')}'")
        ask(database, "CREATE DATABASE banyan")
        near, far, none = (estate.replica(name) for name in ("search", "catalog", "ordering"))
        assert near
        eventually(lambda: ask(near, "SELECT pg_is_in_recovery()").stdout.strip() == "t")

    assert none is None
    assert far == f"postgres://banyan_catalog:{estate.password('catalog')}@far:5432/shop?a=b"
    assert "connection to server" in ask(near, "SELECT 1").stderr
