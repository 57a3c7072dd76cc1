"""A shop on this machine: its folder, its secrets, and the PostgreSQL that holds its data."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlsplit, urlunsplit

import msgspec

from banyan.engines.folder import DataFolder
from banyan.engines.postgres import EmbeddedPostgres
from banyan.kernel.migration import role_of
from banyan.kernel.security import admin_token, kept_secret
from banyan.kernel.settings import Secret, environment
from banyan.kernel.topology import EMBEDDED, Topology

DATABASE = "banyan"
COMPANIONS = "companions.json"
ADMINISTRATOR = "postgres"


class Estate:
    """Where a shop's data is, and the keys to it.

    Entering it starts what the topology calls embedded, unless that runs already; leaving stops
    what was started.
    """

    def __init__(self, folder: Path, topology: Topology, say: Callable[[str], None]) -> None:
        self.folder = folder.resolve()
        self.topology = topology
        self._postgres = EmbeddedPostgres(self.folder / "postgres", say)
        self._held = DataFolder(self.folder)
        self.started = False

    def __enter__(self) -> Self:
        if self._is_embedded(None) and not self._postgres.running:
            self._postgres.start()
            self.started = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.started:
            self._postgres.stop()

    def own(self) -> DataFolder:
        """Keep others from running the same shop at the same time."""
        return self._held

    def admin_token(self) -> Secret:
        """Return the token that opens the back office."""
        return admin_token(self.folder)

    def password(self, module: str) -> str:
        """Return the password of a module's role: different for each, made of one secret."""
        secret = kept_secret(self.folder, "secret").reveal()
        return hmac.new(secret.encode(), role_of(module).encode(), hashlib.sha256).hexdigest()

    def dsn(self, module: str) -> str:
        """Return where a module's data is, with the module's own login."""
        role, password = role_of(module), self.password(module)
        if self._is_embedded(module):
            return self._postgres.dsn(user=role, password=password, database=DATABASE)
        parts = urlsplit(self.topology.engines.database(module))
        host = parts.netloc.rsplit("@", 1)[-1]
        return urlunsplit(parts._replace(netloc=f"{role}:{quote(password)}@{host}"))

    def administrator(self, module: str | None = None, *, database: str = DATABASE) -> str:
        """Return where an administrator prepares a module's place."""
        if self._is_embedded(module):
            return self._postgres.dsn(database=database)
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
