"""The account that PostgreSQL runs under, for it refuses to run as root."""

import os
import pwd
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from banyan.engines.trouble import EngineError

# Rights to pass through folders that are closed to others, the humbler first. Containers often
# grant only the second.
_CAPABILITIES = ("dac_read_search", "dac_override")


@dataclass(frozen=True, kw_only=True)
class Account:
    """Whom a server runs as, and the words before its command that bring this about."""

    user: int
    group: int
    prefix: tuple[str, ...] = ()

    def spawn(
        self, argv: Sequence[str | Path], *, output: IO[bytes] | int
    ) -> subprocess.Popen[bytes]:
        """Start a program under this account, out of reach of the terminal's Ctrl-C."""
        changes = self.user != os.geteuid() and not self.prefix
        return subprocess.Popen(
            [*self.prefix, *argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            user=self.user if changes else None,
            group=self.group if changes else None,
            extra_groups=[] if changes else None,
            start_new_session=True,
        )

    def reaches(self, folder: Path, programs: Path) -> bool:
        """Tell by trial whether this account can enter a folder and run the programs.

        A trial tells more than file modes do: containers and security modules have their say.
        """
        script = 'cd "$0" && exec "$1"'
        try:
            trial = self.spawn(
                ["/bin/sh", "-c", script, folder, programs / "pg_config"],
                output=subprocess.DEVNULL,
            )
        except OSError:
            return False
        with trial:
            try:
                return trial.wait(timeout=10) == 0
            except subprocess.TimeoutExpired:
                trial.kill()
                return False

    def own(self, path: Path) -> None:
        """Give a file or a folder to this account, closed to everybody else."""
        path.chmod(0o700 if path.is_dir() else 0o600)
        if self.user != os.geteuid():
            os.chown(path, self.user, self.group)


def account_for(
    *, cluster: Path, folder: Path, programs: Path, say: Callable[[str], None]
) -> Account:
    """Choose the account of a cluster: ours or, if we are root, its owner's or `nobody`'s."""
    user, group = _owner_of(cluster)
    if os.geteuid() != 0:
        if user != os.geteuid():
            raise EngineError(
                f"{cluster} belongs to user {user} and we are user {os.geteuid()}: "
                "start as that user or as root, or give another folder with --data."
            )
        return Account(user=user, group=group)
    for account in _ways_to_be(user, group):
        if account.reaches(folder, programs):
            return account
    account = Account(user=user, group=group)
    _open_the_way(folder, say)
    _open_the_way(programs, say)
    if account.reaches(folder, programs):
        return account
    raise EngineError(
        f"PostgreSQL refuses to run as root, and user {user} cannot reach {folder} and "
        f"{programs}: start as an ordinary user, or move both to where everybody may read."
    )


def _owner_of(cluster: Path) -> tuple[int, int]:
    """Say who owns a cluster or, if there is none yet, who should."""
    if cluster.exists():
        status = cluster.stat()
        if status.st_uid != 0:
            return status.st_uid, status.st_gid
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    nobody = pwd.getpwnam("nobody")
    return nobody.pw_uid, nobody.pw_gid


def _ways_to_be(user: int, group: int) -> Iterator[Account]:
    """List the ways to become another user without changing anything on disk."""
    yield Account(user=user, group=group)
    setpriv = shutil.which("setpriv")
    for capability in _CAPABILITIES if setpriv else ():
        # Without the secure bit access(2), by which PostgreSQL looks for its own files, would
        # not count the capability.
        words = (
            f"--reuid={user} --regid={group} --clear-groups --securebits=+no_setuid_fixup "
            f"--inh-caps=+{capability} --ambient-caps=+{capability} --"
        )
        yield Account(user=user, group=group, prefix=(str(setpriv), *words.split()))


def _open_the_way(path: Path, say: Callable[[str], None]) -> None:
    """Let every user pass through the folders above a path; a last resort, so it is told."""
    for folder in path.parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            say(f"letting PostgreSQL pass through {folder} (chmod o+x)")
            folder.chmod(mode | stat.S_IXOTH)
