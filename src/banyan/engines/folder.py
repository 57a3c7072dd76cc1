"""A data folder, held by one process at a time."""

import fcntl
import hashlib
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from banyan.engines.trouble import EngineError, disk_trouble_explained


class DataFolder:
    """A folder on disk that belongs to whoever holds the lock in it.

    The operating system drops the lock when its holder dies, however it dies, so that a lock is
    never stale.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    def __enter__(self) -> Self:
        self.claim()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    @property
    def name(self) -> str:
        """What a server of this folder calls itself, so that it is known from those of others.

        The inode is in it because a container may have a folder of the same path.
        """
        identity = f"{self.path} {self.path.stat().st_ino}"
        return f"banyan-{hashlib.sha256(os.fsencode(identity)).hexdigest()[:12]}"

    def claim(self) -> None:
        """Make the folder ours, or name the process that has it."""
        with disk_trouble_explained(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(lock, 20).decode() or "not yet named"
            os.close(lock)
            raise EngineError(
                f"{self.path} is in use by another process (pid {holder}): "
                "stop that one first, or give another folder with --data."
            ) from None
        with disk_trouble_explained(self.path):
            os.truncate(lock, 0)
            os.write(lock, str(os.getpid()).encode())
        self._lock = lock

    def release(self) -> None:
        """Let others have the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
