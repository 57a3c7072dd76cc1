"""A copy of an embedded PostgreSQL, which follows it and can only be read."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from banyan.engines.account import Account
from banyan.engines.postgres import SUPERUSER, EmbeddedPostgres


class EmbeddedStandby(EmbeddedPostgres):
    """A streaming replica of an embedded server, made anew at every start.

    So it never misses what its original has thrown away in the meantime. Its roles and passwords
    are those of the original, which must be running.
    """

    making_seconds = 600.0

    def __init__(
        self,
        folder: Path,
        original: EmbeddedPostgres,
        say: Callable[[str], None],
        *,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(folder, say, settings=settings)
        self._original = original
        # Only the account of the original may go to its socket.
        self._owned_like = original.cluster

    def superuser_password(self) -> str:
        """Read the password of the original's superuser, which is ours, too."""
        return self._original.superuser_password()

    def _clear_up_after_predecessor(self) -> None:
        super()._clear_up_after_predecessor()
        shutil.rmtree(self._cluster, ignore_errors=True)

    def _recipe(self, account: Account, programs: Path, fresh: Path) -> Sequence[str | Path]:
        """Copy the original, and write down whom to follow."""
        self._say(f"copying PostgreSQL from {self._original.folder} to {self.folder}")
        key = self.folder / "key"
        self._write_secret(key, f"*:*:*:*:{self.superuser_password()}\n", account)
        original = " ".join(
            f"{name}={_quoted(value)}"
            for name, value in (
                ("host", self._original.socket),
                ("user", SUPERUSER),
                ("passfile", key),
            )
        )
        options = ["--write-recovery-conf", "--checkpoint=fast", "--no-password"]
        return [programs / "pg_basebackup", "-D", fresh, *options, f"--dbname={original}"]


def _quoted(value: object) -> str:
    text = str(value).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{text}'"
