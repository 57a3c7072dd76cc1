"""What stops our child processes when we are killed and cannot do it ourselves."""

import signal
import subprocess
from collections.abc import Iterable
from contextlib import suppress

# The shell reads lines of process groups until our end of the pipe closes, which the operating
# system sees to even after `kill -9`. The last line counts. A polite TERM to everything that we
# started must not take the guard first, so it is deaf to it.
_SCRIPT = """
trap '' HUP INT TERM
echo on guard
groups=
while read -r line; do groups=$line; done
alive() {
    for group in $groups; do kill -s 0 -- "-$group" && return 0; done
    return 1
}
for group in $groups; do kill -s "$0" -- "-$group"; done
waited=0
while [ "$waited" -lt "$2" ] && alive; do sleep 0.1; waited=$((waited + 1)); done
for group in $groups; do kill -s "$1" -- "-$group"; done
"""


class Guard:
    """A shell that outlives us by a moment, to stop the process groups that we leave behind.

    The kernel's parent-death signal would be shorter, but it is sent when the *thread* that
    started the child ends, is forgotten when the child changes its user, does not reach
    grandchildren, and exists on Linux only. A closed pipe has none of these faults, and the
    children need not know of it.
    """

    def __init__(
        self, *, gently: signal.Signals, firmly: signal.Signals, grace_seconds: float
    ) -> None:
        tenths = str(round(grace_seconds * 10))
        words = [name.name.removeprefix("SIG") for name in (gently, firmly)]
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", _SCRIPT, *words, tenths],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            cwd="/",
            start_new_session=True,
        )
        assert self._shell.stdout
        with self._shell.stdout as report:
            report.readline()

    def watch(self, groups: Iterable[int]) -> None:
        """Replace the list of groups that must not outlive us."""
        assert self._shell.stdin
        with suppress(BrokenPipeError):  # A guard that somebody killed only leaves us unguarded.
            self._shell.stdin.write((" ".join(map(str, groups)) + "\n").encode())

    def dismiss(self) -> None:
        """Send the guard home; whatever it watched has been stopped."""
        assert self._shell.stdin
        self.watch([])
        self._shell.stdin.close()
        self._shell.wait()
