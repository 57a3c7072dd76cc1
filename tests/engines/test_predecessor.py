"""What a killed predecessor leaves behind, and how the next start deals with it."""

import os
import signal
import socket
import subprocess
from pathlib import Path

import psutil
import pytest

from banyan.engines.postgres import EmbeddedPostgres
from banyan.engines.trouble import EngineError
from tests.engines.life import alive
from tests.engines.servers import eventually, living_postmaster, postmaster, query, run_owner


def guards_of(owner: subprocess.Popen[str]) -> list[psutil.Process]:
    """Find the guard shell of a process."""
    return [
        shell
        for shell in psutil.process_iter(["cmdline", "ppid"])
        if shell.info["ppid"] == owner.pid
        and any("while read -r line" in word for word in shell.info["cmdline"] or [])
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_server_ends_with_its_owner(
    owner: subprocess.Popen[str], folder: Path, number: signal.Signals
) -> None:
    pid = postmaster(folder)

    owner.send_signal(number)
    owner.wait(timeout=10)

    eventually(lambda: not alive(pid))
    assert not (folder / "cluster" / "postmaster.pid").exists()


def test_a_server_that_outlived_its_owner_is_replaced(
    owner: subprocess.Popen[str], folder: Path, heard: list[str]
) -> None:
    orphan = postmaster(folder)
    for guard in guards_of(owner):
        guard.kill()
    owner.kill()
    owner.wait()
    assert alive(orphan)

    with EmbeddedPostgres(folder, heard.append) as server:
        word = query(server, "SELECT word FROM words")

        assert postmaster(folder) != orphan
        assert not alive(orphan)
    assert word == "kept"
    assert heard == ["stopping the PostgreSQL that a killed predecessor left running"]


def test_a_killed_server_is_recovered_with_what_was_committed(
    folder: Path, heard: list[str]
) -> None:
    with EmbeddedPostgres(folder, print) as killed:
        query(killed, "CREATE TABLE news (word text); INSERT INTO news VALUES ('just written')")
        os.kill(postmaster(folder), signal.SIGKILL)

    with EmbeddedPostgres(folder, heard.append) as server:
        word = query(server, "SELECT word FROM news")

    assert word == "just written"
    assert heard[-1] == "recovering PostgreSQL, which was not stopped cleanly"


def test_a_stranger_with_the_number_of_a_dead_server_is_left_alone(folder: Path) -> None:
    server = EmbeddedPostgres(folder, print)
    account = (folder / "cluster").stat().st_uid
    stranger = subprocess.Popen(["sleep", "60"], user=account if os.geteuid() == 0 else None)
    (folder / "cluster" / "postmaster.pid").write_text(f"{stranger.pid}\n{folder}/cluster\n")
    server.socket.mkdir(exist_ok=True)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(server.socket / ".s.PGSQL.5432"))
    (server.socket / ".s.PGSQL.5432.lock").write_text(f"{stranger.pid}\n")

    with stranger:
        with server:
            word = query(server, "SELECT word FROM words")
        survived = stranger.poll() is None
        stranger.kill()

    assert (word, survived) == ("kept", True)


def test_a_killed_initialization_is_done_afresh(tmp_path: Path) -> None:
    folder = tmp_path / "pg"
    with run_owner(folder) as owner:
        eventually(lambda: any(folder.glob("cluster.new-*/PG_VERSION")))
        for guard in guards_of(owner):
            guard.kill()
        owner.kill()
    assert not (folder / "cluster").exists()

    with EmbeddedPostgres(folder, print) as server:
        answer = query(server, "SELECT 1")

    assert answer == "1"
    assert not list(folder.glob("cluster.new-*"))


def test_a_folder_in_use_names_its_holder(owner: subprocess.Popen[str], folder: Path) -> None:
    with pytest.raises(EngineError, match=rf"in use by another process \(pid {owner.pid}\)"):
        EmbeddedPostgres(folder, print).start()

    assert living_postmaster(folder)
