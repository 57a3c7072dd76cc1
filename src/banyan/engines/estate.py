"""A shop on this machine: its folder, its secrets, and the PostgreSQL that holds its data."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import msgspec

from banyan.engines.folder import DataFolder
from banyan.engines.nats import EmbeddedNats
from banyan.engines.postgres import EmbeddedPostgres
from banyan.engines.standby import EmbeddedStandby
from banyan.kernel.migration import role_of
from banyan.kernel.nats import Broker, NatsSettings
from banyan.kernel.security import Credentials, admin_token, fingerprint, kept_secret
from banyan.kernel.settings import Misconfigured, Secret, Settings, environment, load
from banyan.kernel.topology import EMBEDDED, Topology

DATABASE = "banyan"
COMPANIONS = "companions.json"
ADMINISTRATOR = "postgres"


class AdminSettings(Settings):
    """The hash of the administrator's token, for a process that is not to know the token."""

    token_hash: str = ""


class MigrateSettings(Settings):
    """The addresses by which modules will log in, where their roles' passwords are given."""

    logins: Mapping[str, str] = {}


class Estate:
    """Where a shop's data is, and the keys to it.

    Entering it starts what the topology calls embedded, unless that runs already; leaving stops
    what was started.
    """

    def __init__(self, folder: Path, topology: Topology, say: Callable[[str], None]) -> None:
        self.folder = folder.resolve()
        self.topology = topology
        self.postgres = EmbeddedPostgres(self.folder / "postgres", say)
        self._standby = EmbeddedStandby(self.folder / "replica", self.postgres, say)
        self._held = DataFolder(self.folder)
        self.started = False
        self.nats = (
            EmbeddedNats(self.folder / "nats", say) if topology.engines.nats == EMBEDDED else None
        )

    @property
    def apart(self) -> bool:
        """Tell whether the shop is in several processes, and not in workers of one."""
        return self.topology.engines.nats is not None

    def broker(self, process: str) -> Broker | None:
        """Return a connection to NATS for one process; none where all is in one."""
        url = self.topology.engines.nats
        if self.nats:
            return Broker(self.nats.url, process, self.nats.credentials(process))
        return Broker(url, process, self._given_credentials()) if url else None

    def _given_credentials(self) -> Credentials | None:
        told = load(
            NatsSettings, "nats", file=self.topology.settings, environment=self.environment()
        )
        return told.credentials()

    def __enter__(self) -> Self:
        if self._is_embedded(None) and not self.postgres.running:
            self.postgres.start()
            self.started = True
            if self.topology.engines.embeds_replica:
                self._start_standby()
        return self

    def _start_standby(self) -> None:
        try:
            self._standby.start()
        except BaseException:
            self.postgres.stop()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.started:
            self._standby.stop()
            self.postgres.stop()

    def own(self) -> DataFolder:
        """Keep others from running the same shop at the same time."""
        return self._held

    def admin_token(self) -> Secret:
        """Return the token that opens the back office."""
        return admin_token(self.folder)

    def admin_fingerprint(self) -> str:
        """Return by what the token that opens the back office is recognized."""
        told = load(AdminSettings, "admin", file=self.topology.settings, environment=environment())
        return told.token_hash or fingerprint(self.admin_token().reveal())

    def password(self, module: str) -> str:
        """Return the password of a module's role: the one that is given, or made of one secret."""
        told = load(
            MigrateSettings, "migrate", file=self.topology.settings, environment=environment()
        )
        if told.logins:
            return _password_for(module, told.logins.get(module, ""))
        secret = kept_secret(self.folder, "secret").reveal()
        return hmac.new(secret.encode(), role_of(module).encode(), hashlib.sha256).hexdigest()

    def dsn(self, module: str) -> str:
        """Return where a module's data is, with the module's own login.

        Who is told that login, as a container is, needs no administrator's and no secret.
        """
        return self._login(module, self.topology.engines.database(module), self.postgres)

    def replica(self, module: str) -> str | None:
        """Return where a copy of a module's data may be read, with the same login."""
        told = self.topology.engines.replica_of(module)
        return self._login(module, told, self._standby) if told else None

    def _login(self, module: str, told: str, embedded: EmbeddedPostgres) -> str:
        role, parts = role_of(module), urlsplit(told)
        if parts.username == role:
            return told
        password = self.password(module)
        if told == EMBEDDED:
            return embedded.dsn(user=role, password=password, database=DATABASE)
        host = parts.netloc.rsplit("@", 1)[-1]
        return urlunsplit(parts._replace(netloc=f"{role}:{quote(password)}@{host}"))

    def administrator(self, module: str | None = None, *, database: str = DATABASE) -> str:
        """Return where an administrator prepares a module's place."""
        if self._is_embedded(module):
            return self.postgres.dsn(database=database)
        assert module, "each module's own server has its own administrator"
        return self.topology.engines.database(module)

    def note_environment(self, told: Mapping[str, str]) -> None:
        """Note where companions are, for every process of this shop."""
        (self.folder / COMPANIONS).write_bytes(msgspec.json.encode(told))

    def environment(self) -> dict[str, str]:
        """Return what processes of this shop are told; the operating system's word counts more."""
        noted = self.folder / COMPANIONS
        told = (
            msgspec.json.decode(noted.read_bytes(), type=dict[str, str]) if noted.exists() else {}
        )
        return {**told, **environment()}

    @property
    def is_embedded(self) -> bool:
        """Tell whether PostgreSQL is ours to start."""
        return self._is_embedded(None)

    def _is_embedded(self, module: str | None) -> bool:
        return self.topology.engines.database(module or "") == EMBEDDED


def _password_for(module: str, login: str) -> str:
    parts = urlsplit(login)
    if parts.username != role_of(module) or not parts.password:
        raise Misconfigured(
            f"BANYAN_MIGRATE_LOGINS needs an address for {module} that begins with "
            f"postgresql://{role_of(module)}:PASSWORD@."
        )
    return unquote(parts.password)
