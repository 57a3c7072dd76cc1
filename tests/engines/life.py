"""Whether a process lives."""

import psutil


def alive(pid: int) -> bool:
    """Whether a process still does something: one that waits for its burial does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
