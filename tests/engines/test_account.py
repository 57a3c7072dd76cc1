"""Whom PostgreSQL runs as: never root, and always somebody who reaches the data."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import psutil
import pytest

from banyan.engines.account import account_for
from banyan.engines.postgres import EmbeddedPostgres, installed_programs
from tests.engines.servers import copied, line_of, postmaster, run_owner

# Python itself may lie below a closed folder, so nobody may pass.
BECOMES_NOBODY = [
    "setpriv",
    "--reuid=65534",
    "--regid=65534",
    "--clear-groups",
    "--securebits=+no_setuid_fixup",
    "--inh-caps=+dac_override",
    "--ambient-caps=+dac_override",
]

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root changes accounts")


@as_root
def test_root_lends_it_to_nobody_even_below_a_closed_folder(folder: Path) -> None:
    folder.parent.chmod(0o700)

    with EmbeddedPostgres(folder, print):
        account = psutil.Process(postmaster(folder)).username()

    assert account == "nobody"
    assert folder.parent.stat().st_mode & 0o777 == 0o700


@as_root
def test_programs_in_a_closed_folder_are_run_with_a_capability(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    shutil.copy(installed_programs() / "pg_config", closed)

    account = account_for(
        cluster=tmp_path / "cluster", folder=tmp_path, programs=closed, say=pytest.fail
    )

    assert any(word.startswith("--ambient-caps=+dac_") for word in account.prefix)


@as_root
def test_without_setpriv_the_way_is_opened_and_told(
    heard: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    closed = Path(tempfile.mkdtemp())
    inner = closed / "pg"
    inner.mkdir()

    account = account_for(
        cluster=inner / "cluster", folder=inner, programs=installed_programs(), say=heard.append
    )
    mode = closed.stat().st_mode & 0o777
    shutil.rmtree(closed)

    assert account.prefix == ()
    assert heard == [f"letting PostgreSQL pass through {closed} (chmod o+x)"]
    assert mode == 0o701


@as_root
def test_an_ordinary_user_runs_it_too_but_not_on_the_data_of_another(
    folder: Path, tmp_path: Path
) -> None:
    own = copied(folder, tmp_path / "own")
    subprocess.run(["chown", "-R", "nobody", own], check=True)
    foreign = tmp_path / "foreign"
    (foreign / "cluster").mkdir(parents=True)
    os.chown(foreign, 65534, -1)
    os.chown(foreign / "cluster", 1, -1)

    with run_owner(own, prefix=BECOMES_NOBODY) as owner:
        started = line_of(owner, "ready")
        owner.communicate(timeout=10)
    with run_owner(foreign, prefix=BECOMES_NOBODY) as owner:
        refused = line_of(owner, "banyan.engines.trouble.EngineError")
        owner.communicate(timeout=10)
    shutil.rmtree(own)

    assert started
    assert "belongs to user 1 and we are user 65534: start as that user or as root" in refused
