"""The embedded PostgreSQL: what it serves, and what it says when it cannot."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import asyncpg
import psutil
import pytest

from banyan.engines.folder import DataFolder
from banyan.engines.postgres import EmbeddedPostgres, installed_programs
from banyan.engines.trouble import EngineError, disk_trouble_explained, explained
from tests.engines.servers import ask, copied, eventually, postmaster, query

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root changes accounts")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a disk of 48 MB, just enough for a server."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, check=False).returncode != 0:
        pytest.skip("this machine lets nobody mount a small disk")
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


def descendants() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def test_a_new_folder_gets_a_server_with_our_settings(tmp_path: Path, heard: list[str]) -> None:
    with EmbeddedPostgres(tmp_path / "pg", heard.append) as server:
        settings = query(
            server,
            "SELECT string_agg(setting, ' ' ORDER BY name) FROM pg_settings WHERE name IN "
            "('fsync', 'jit', 'listen_addresses', 'max_connections', 'TimeZone')",
        )

    assert settings == "UTC on off  300"
    assert heard == [f"initializing PostgreSQL 18 in {tmp_path}/pg"]


def test_what_was_committed_is_there_after_the_next_start(folder: Path, heard: list[str]) -> None:
    with EmbeddedPostgres(folder, heard.append) as server:
        word = query(server, "SELECT word FROM words")

    assert word == "kept"
    assert heard == []


def test_it_runs_between_start_and_stop_and_leaves_no_process(folder: Path) -> None:
    server = EmbeddedPostgres(folder, print)
    bystander = EmbeddedPostgres(folder, print)

    strangers = set(psutil.pids())
    before = bystander.running
    server.start()
    during = bystander.running
    family = [child for child in descendants() if child.pid not in strangers]
    server.stop()
    server.stop()

    assert (before, during, bystander.running) == (False, True, False)
    assert len(family) > 2
    assert not any(process.is_running() for process in family)


def test_a_role_needs_its_password(server: EmbeddedPostgres) -> None:
    query(server, "CREATE ROLE guest LOGIN PASSWORD 'p@ss/w:rd ?'")

    right = ask(server.dsn(user="guest", password="p@ss/w:rd ?"), "SELECT current_user")
    wrong = ask(server.dsn(user="guest", password="guess"), "SELECT current_user")
    none = ask(f"postgresql://postgres@/postgres?host={server.socket}", "SELECT 1")

    assert right.stdout.strip() == "guest"
    assert "password authentication failed" in wrong.stderr
    assert "no password supplied" in none.stderr


async def test_one_dsn_serves_asyncpg_and_dbmate(server: EmbeddedPostgres, tmp_path: Path) -> None:
    (tmp_path / "1_first.sql").write_text(
        "-- migrate:up\nCREATE TABLE migrated (id int);\n-- migrate:down\n"
    )
    dbmate = Path(sys.executable).with_name("dbmate")

    subprocess.run(
        [dbmate, "--no-dump-schema", "-d", tmp_path, "--url", server.dsn(), "up"], check=True
    )
    connection = await asyncpg.connect(server.dsn())
    migrated = await connection.fetchval("SELECT count(*) FROM migrated")
    await connection.close()

    assert migrated == 0


def test_only_a_private_socket_is_listened_on(server: EmbeddedPostgres) -> None:
    socket_mode = server.socket.stat().st_mode & 0o777
    password_mode = (server.folder / "password").stat().st_mode & 0o777
    written = (server.folder / "cluster" / "postmaster.pid").read_text().splitlines()
    place, address = written[4:6]

    assert (socket_mode, password_mode) == (0o700, 0o600)
    assert (place, address) == (str(server.socket), "")


def test_it_has_a_session_of_its_own_where_ctrl_c_is_not_heard(server: EmbeddedPostgres) -> None:
    session = os.getsid(postmaster(server.folder))

    assert session == postmaster(server.folder)
    assert session != os.getsid(0)


def test_a_path_too_long_for_a_socket_moves_it_to_the_temp_folder(
    folder: Path, tmp_path: Path
) -> None:
    deep = tmp_path / ("long" * 25) / "with, comma"
    deep.mkdir(parents=True)

    with EmbeddedPostgres(copied(folder, deep / "pg"), print) as server:
        word = query(server, "SELECT word FROM words")
        place = server.socket
        mode = place.stat().st_mode & 0o777
    shutil.rmtree(deep)

    assert (word, place.parent, mode) == ("kept", Path(tempfile.gettempdir()), 0o700)
    assert not place.exists()


def test_stopping_does_not_wait_for_clients(folder: Path) -> None:
    server = EmbeddedPostgres(folder, print)
    server.start()
    sleep = ["--command", "SELECT pg_sleep(60)"]

    with subprocess.Popen(
        [installed_programs() / "psql", server.dsn(), *sleep], stderr=subprocess.PIPE, text=True
    ) as client:
        eventually(
            lambda: (
                query(server, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%sleep(60)'")
                == "1"
            )
        )
        began = time.monotonic()
        server.stop()
        took = time.monotonic() - began
        _, last_words = client.communicate(timeout=5)

    assert took < 5
    assert "terminating connection due to administrator command" in last_words


def test_a_folder_is_free_when_its_holder_lets_go(tmp_path: Path) -> None:
    with DataFolder(tmp_path), pytest.raises(EngineError):
        DataFolder(tmp_path).claim()

    with DataFolder(tmp_path) as held:
        assert held.path == tmp_path


def test_data_of_another_version_is_refused(copy: Path) -> None:
    (copy / "cluster" / "PG_VERSION").write_text("17\n")

    with pytest.raises(EngineError, match="is of PostgreSQL 17 and this is 18: dump it"):
        EmbeddedPostgres(copy, print).start()


def test_a_server_that_does_not_start_shows_the_end_of_its_log(folder: Path) -> None:
    server = EmbeddedPostgres(folder, print, settings={"shared_buffers": "plenty"})

    with pytest.raises(
        EngineError, match=r"PostgreSQL did not start: see .*server\.log"
    ) as refused:
        server.start()

    assert 'invalid value for parameter "shared_buffers": "plenty"' in str(refused.value)
    with DataFolder(folder):
        assert not server.running


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(EngineError, match=r"Cannot use .*/file/pg: a file stands where"):
        EmbeddedPostgres(tmp_path / "file" / "pg", print).start()


def test_a_refusal_of_the_system_tells_what_to_do(tmp_path: Path) -> None:
    with (
        pytest.raises(EngineError, match=r"^Cannot use /there: the folder is not ours to use"),
        disk_trouble_explained(tmp_path),
    ):
        raise PermissionError(13, "Permission denied", "/there")


def test_a_log_is_quoted_from_its_end() -> None:
    log = "\n".join(f"line {number}" for number in range(100))

    told = str(explained("It fell", log, otherwise="see there", log=log)).splitlines()

    assert told == ["It fell: see there.", *(f"  line {number}" for number in range(90, 100))]


@as_root
def test_a_disk_too_small_to_begin_with_is_named(small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(bytes(40_000_000))

    with pytest.raises(EngineError, match="could not initialize its data: the disk is full"):
        EmbeddedPostgres(small_disk / "pg", print).start()

    assert not list((small_disk / "pg").glob("cluster*"))


@as_root
def test_a_disk_that_has_filled_up_is_named(folder: Path, small_disk: Path) -> None:
    full = copied(folder, small_disk / "pg")
    log = full / "server.log"
    os.truncate(log, (log.stat().st_size // 4096 + 1) * 4096)  # No room for the reason either.
    with suppress(OSError), (small_disk / "filler").open("wb", buffering=0) as filler:
        while filler.write(bytes(4096)):
            pass

    with pytest.raises(EngineError, match="did not start: the disk is full; free some space"):
        EmbeddedPostgres(full, print).start()

    (small_disk / "filler").unlink()
    with EmbeddedPostgres(full, print) as server:
        assert query(server, "SELECT word FROM words") == "kept"


def test_a_socket_folder_of_somebody_else_is_not_used(copy: Path, tmp_path: Path) -> None:
    server = EmbeddedPostgres(copy, print)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.rmtree(server.socket, ignore_errors=True)
    server.socket.symlink_to(elsewhere)

    with pytest.raises(EngineError, match="belongs to somebody else"):
        server.start()

    assert list(elsewhere.iterdir()) == []
