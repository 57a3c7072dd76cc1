"""What goes wrong with an engine, said in a sentence that helps."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# What the system or a server says, and what the reader of it can do. The first that fits is told.
_ADVICE = {
    "No space left on device": "the disk is full; free some space and start again",
    "Disk quota exceeded": "the disk quota is used up; free some space and start again",
    "Read-only file system": "the file system is read-only; give another folder with --data",
    "Permission denied": "the folder is not ours to use; change its owner, or give another with "
    "--data",
    "Operation not permitted": "the system forbids it; start as an ordinary user, or give another "
    "folder with --data",
    "Not a directory": "a file stands where a folder should be; move it away, or give another "
    "folder with --data",
    "has wrong ownership": "its files belong to another user; give them back with chown -R",
    "has invalid permissions": "this file system does not keep permissions; give a folder on "
    "another with --data",
    "could not create semaphores": "the system has no semaphores left; end other servers, or raise "
    "kernel.sem",
    "could not map anonymous shared memory": "there is too little memory; end other programs and "
    "start again",
    "could not locate a valid checkpoint record": "its data is damaged; restore a backup, or give "
    "another folder with --data",
}


class EngineError(Exception):
    """An engine cannot do its work until somebody acts on this message."""


def explained(what: str, evidence: str, *, otherwise: str, log: str = "") -> EngineError:
    """Say what failed, what to do about it, and what the log said last."""
    advice = next((told for sign, told in _ADVICE.items() if sign in evidence), otherwise)
    lines = [line for line in log.splitlines() if line.strip()][-10:]
    return EngineError("\n  ".join([f"{what}: {advice}.", *lines]))


@contextmanager
def disk_trouble_explained(folder: Path) -> Iterator[None]:
    """Turn what the operating system refuses into a sentence about the folder."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        where = error.filename or folder
        raise explained(
            f"Cannot use {where}", reason, otherwise=f"{reason}; give another folder with --data"
        ) from error
