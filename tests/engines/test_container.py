"""A process runs as a container does: told where everything is, and given no secret of others."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import msgspec
import pytest

from banyan.engines.crew import grants
from banyan.engines.estate import Estate
from banyan.engines.postgres import EmbeddedPostgres
from banyan.kernel.app import discover
from banyan.kernel.migration import create_database
from banyan.kernel.settings import Misconfigured, environment
from banyan.kernel.topology import Engines, monolith, read
from tests.engines.brokers import LentNats, lent

APART = """
[engines]
nats = "embedded"
[process.shelf]
modules = ["catalog", "search"]
[process.rest]
modules = ["*"]
channels = ["*"]
"""
TOKEN = "bny_of-the-shopkeeper"
LOOPBACK = "127.0.0.2"
PATIENCE_SECONDS = 60
MODULES = sorted(module.name for module in discover().modules)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "topology.toml"
    file.write_text(APART)
    return file


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LentNats]:
    """Run a NATS for a whole shop, whose streams are nobody else's."""
    with lent(tmp_path_factory.mktemp("nats")) as running:
        yield running


def told(broker: LentNats, name: str, **more: str) -> dict[str, str]:
    """Tell a program what a container of that name is told."""
    shown = broker.credentials(name)
    return {
        **environment(),
        "BANYAN_ENGINES_NATS": broker.url,
        "BANYAN_NATS_CA": str(shown.ca),
        "BANYAN_NATS_CERTIFICATE": str(shown.certificate),
        "BANYAN_NATS_KEY": str(shown.key),
        **more,
    }


def as_json(table: Mapping[str, str]) -> str:
    return msgspec.json.encode(table).decode()


@contextmanager
def serving(folder: Path, file: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """Run a process until somebody has seen enough of it, and tell where it is."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "banyan.cli", "serve", "--process", "shelf"),
            *("--topology", str(file), "--data", str(folder), "--host", LOOPBACK),
        ],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout
        said = []
        for line in process.stdout:
            said.append(line)
            if line.startswith("ready "):
                break
        else:
            raise AssertionError("".join(said))
        yield said[-1].split()[-1]
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0


async def test_a_process_needs_its_own_logins_a_certificate_and_the_hash_of_a_token(
    server: EmbeddedPostgres, broker: LentNats, file: Path, tmp_path: Path
) -> None:
    await create_database(server.dsn(), "contained")
    administrator = {"default": server.dsn(database="contained")}
    logins = {
        one: server.dsn(user=f"banyan_{one}", password=f"of-{one}", database="contained")
        for one in MODULES
    }
    own = {"default": "embedded", **{one: logins[one] for one in ("catalog", "search")}}

    migrated = subprocess.run(
        [
            *(sys.executable, "-m", "banyan.cli", "migrate"),
            *("--topology", str(file), "--data", str(tmp_path / "job")),
        ],
        env=told(
            broker,
            "operator",
            BANYAN_ENGINES_POSTGRES=as_json(administrator),
            BANYAN_MIGRATE_LOGINS=as_json(logins),
        ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert migrated.returncode == 0, migrated.stdout + migrated.stderr
    broker.grant(grants(discover(), read(file)))
    hashed = hashlib.sha256(TOKEN.encode()).hexdigest()
    spoken = told(
        broker,
        "shelf",
        BANYAN_ENGINES_POSTGRES=as_json(own),
        BANYAN_ADMIN_TOKEN_HASH=hashed,
    )
    with serving(tmp_path / "data", file, spoken) as url:
        async with httpx.AsyncClient(base_url=url) as client:
            ready = await client.get("/health/ready")
            known = await client.get(
                "/api/admin/categories", headers={"authorization": f"Bearer {TOKEN}"}
            )
            unknown = await client.get(
                "/api/admin/categories", headers={"authorization": "Bearer bny_guessed"}
            )

    assert url.startswith(f"http://{LOOPBACK}:")
    assert ready.json()["ready"] == ["catalog", "search", "nats"]
    assert (known.status_code, unknown.status_code) == (200, 401)
    assert not {"secret", "admin-token"} & {one.name for one in (tmp_path / "data").glob("**/*")}


def estate(folder: Path, postgres: str, **settings: object) -> Estate:
    """Look after a shop whose data is elsewhere."""
    apart = msgspec.structs.replace(
        monolith(), engines=Engines(postgres=postgres), settings=settings
    )
    return Estate(folder, apart, print)


def test_a_login_of_the_module_s_own_role_is_taken_as_it_is(tmp_path: Path) -> None:
    login = "postgresql://banyan_catalog:its-own@far:6432/shop?sslmode=require"

    assert estate(tmp_path, login).dsn("catalog") == login
    assert not list(tmp_path.iterdir())


def test_an_administrator_s_login_is_replaced_by_the_module_s(tmp_path: Path) -> None:
    far = estate(tmp_path, "postgresql://admin:all@far/shop?sslmode=require")

    assert far.dsn("catalog") == (
        f"postgresql://banyan_catalog:{far.password('catalog')}@far/shop?sslmode=require"
    )


@pytest.mark.parametrize(
    "login",
    ["", "postgresql://far/shop", "postgresql://banyan_catalog@far", "postgresql://admin:x@far"],
)
def test_a_role_gets_no_password_that_its_process_would_not_know(
    tmp_path: Path, login: str
) -> None:
    logins = {"search": "postgresql://banyan_search:known@far/shop"}
    if login:
        logins["catalog"] = login
    far = estate(tmp_path, "postgresql://admin:all@far/shop", migrate={"logins": logins})

    assert far.password("search") == "known"
    with pytest.raises(Misconfigured, match="postgresql://banyan_catalog:PASSWORD@"):
        far.password("catalog")
