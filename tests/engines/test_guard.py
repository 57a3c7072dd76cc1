"""The guard: what stops the children of a process that was killed."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from banyan.engines.guard import Guard

OWNER = """
import signal, subprocess, sys
from banyan.engines.guard import Guard
guard = Guard(gently=signal.SIGTERM, firmly=signal.SIGKILL, grace_seconds=float(sys.argv[2]))
child = subprocess.Popen(["sh", "-c", sys.argv[1]], start_new_session=True)
guard.watch([child.pid])
print("guarded", child.pid, flush=True)
sys.stdin.read()
"""
POLITE = "trap 'sleep 0.3; echo goodbye; exit' TERM; echo hello; while :; do sleep 0.05; done"
STUBBORN = "trap '' TERM; echo hello; while :; do sleep 0.05; done"


@pytest.fixture
def owner(request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    """Start a process with a guarded child that runs a script."""
    script, grace_seconds = request.param
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, script, str(grace_seconds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.kill()


def guarded_child(owner: subprocess.Popen[str]) -> int:
    """Wait until a child is there and guarded, and give its process id."""
    assert owner.stdout
    greetings = sorted([owner.stdout.readline(), owner.stdout.readline()])
    assert greetings[1] == "hello\n"
    return int(greetings[0].removeprefix("guarded "))


def last_words(owner: subprocess.Popen[str]) -> str:
    """Read what a process and its children write until the last of them has ended."""
    assert owner.stdout
    return owner.stdout.read()


@pytest.mark.parametrize("owner", [(POLITE, 10)], indirect=True)
def test_a_guarded_child_has_time_to_say_goodbye(owner: subprocess.Popen[str]) -> None:
    guarded_child(owner)

    owner.kill()

    assert last_words(owner) == "goodbye\n"


@pytest.mark.parametrize("owner", [(STUBBORN, 0.5)], indirect=True)
def test_a_guarded_child_that_will_not_end_is_ended(owner: subprocess.Popen[str]) -> None:
    guarded_child(owner)

    owner.kill()
    killed = time.monotonic()
    said = last_words(owner)
    took = time.monotonic() - killed

    assert said == ""
    assert took > 0.4


@pytest.mark.parametrize("owner", [(POLITE, 10)], indirect=True)
def test_a_guard_that_is_told_to_end_goes_on_guarding(owner: subprocess.Popen[str]) -> None:
    child = guarded_child(owner)
    guards = [other for other in psutil.Process(owner.pid).children() if other.pid != child]
    for guard in guards:
        guard.send_signal(signal.SIGTERM)

    owner.kill()

    assert len(guards) == 1
    assert last_words(owner) == "goodbye\n"


def test_a_dismissed_guard_touches_nobody() -> None:
    guard = Guard(gently=signal.SIGTERM, firmly=signal.SIGKILL, grace_seconds=10)

    with subprocess.Popen(["sleep", "60"], start_new_session=True) as child:
        guard.watch([child.pid])
        guard.dismiss()
        spared = child.poll() is None
        child.kill()

    assert spared
