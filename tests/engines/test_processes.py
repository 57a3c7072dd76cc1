"""The keeper of child processes: real ones, that are slow, stubborn or dead."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from banyan.engines.child import Child
from banyan.engines.processes import Backoff, ChildFailed, Standing, Supervisor
from tests.engines.life import alive

OWNER = """
import asyncio, sys
from banyan.engines.child import Child
from banyan.engines.processes import Supervisor

async def main():
    say = lambda line: print(line, flush=True)
    async with Supervisor([Child(name="one", argv=["sh", "-c", sys.argv[1]])], say=say) as keeper:
        await keeper.watch()

asyncio.run(main())
"""
# It says who it is and waits, as does its own child.
FAMILY = "sleep 60 & echo ready $$ $!; wait"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as opened:
        yield opened


def shell(script: str, *, name: str = "one", restarts: bool = True) -> Child:
    return Child(name=name, argv=["/bin/sh", "-c", script], restarts=restarts)


def pids_in(line: str) -> list[int]:
    return [int(word) for word in line.split() if word.isdecimal()]


async def eventually(truth: Callable[[], bool], *, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not truth():
        assert time.monotonic() < deadline, "it did not come true in time"
        await asyncio.sleep(0.02)


async def test_it_has_started_when_every_child_says_ready(heard: list[str]) -> None:
    children = [
        shell("echo ready; exec sleep 60", name="fast"),
        shell("echo dressing; sleep 0.2; echo ready at last; exec sleep 60", name="slow"),
    ]

    async with Supervisor(children, say=heard.append):
        told = list(heard)

    assert sorted(told) == ["fast | ready", "slow | dressing", "slow | ready at last"]


async def test_what_a_child_complains_of_is_heard_under_its_name(heard: list[str]) -> None:
    async with Supervisor([shell("echo oh >&2; echo ready; sleep 60")], say=heard.append):
        assert heard == ["one | oh", "one | ready"]


async def test_a_child_has_our_environment_and_its_own(heard: list[str]) -> None:
    child = Child(
        name="one", argv=["sh", "-c", "echo ready $HOME $PLACE; sleep 60"], env={"PLACE": "x"}
    )

    async with Supervisor([child], say=heard.append):
        assert heard == [f"one | ready {Path.home()} x"]


async def test_a_child_that_dies_is_started_again(heard: list[str]) -> None:
    async with Supervisor([shell("echo ready $$; exec sleep 60")], say=heard.append):
        os.kill(pids_in(heard[0])[0], signal.SIGKILL)
        await eventually(lambda: len(heard) == 3)

    assert heard[1] == "one was killed by signal 9; starting it again in 0.2 s"
    assert pids_in(heard[2]) != pids_in(heard[0])


def test_pauses_double_up_to_the_longest_and_begin_anew_after_a_good_run() -> None:
    backoff = Backoff()

    pauses = [backoff.after(ran) for ran in (60, 0, 1, 9.9, 0, 0, 0, 0, 10, 0)]

    assert pauses == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10, 0.2, 0.4]


async def test_a_child_that_ends_before_it_is_ready_fails_the_start(heard: list[str]) -> None:
    children = [shell("echo ready $$; exec sleep 60"), shell("echo no money; exit 3", name="two")]

    with pytest.raises(ChildFailed, match=r"^two ended with exit code 3\.$"):
        await Supervisor(children, say=heard.append).start()

    assert "two | no money" in heard
    assert not any(alive(pid) for line in heard for pid in pids_in(line))


async def test_a_program_that_does_not_exist_fails_the_start() -> None:
    ghost = Child(name="ghost", argv=["/does/not/exist"])

    with pytest.raises(ChildFailed, match=r"ghost could not be started \(No such file"):
        await Supervisor([ghost], say=print).start()


async def test_a_child_that_never_gets_ready_fails_the_start() -> None:
    supervisor = Supervisor([shell("sleep 60")], say=print, patience_seconds=0.2)

    with pytest.raises(ChildFailed, match="one took too long to get ready"):
        await supervisor.start()


async def test_a_child_that_is_not_restarted_ends_the_watch(heard: list[str]) -> None:
    once = shell("echo ready; sleep 0.2; exit 7", restarts=False)

    async with Supervisor([once], say=heard.append) as supervisor:
        with pytest.raises(ChildFailed, match="one ended with exit code 7"):
            await supervisor.watch()


async def test_the_watch_ends_when_all_are_stopped() -> None:
    supervisor = Supervisor([shell("echo ready; exec sleep 60")], say=print)
    await supervisor.start()
    watch = asyncio.create_task(supervisor.watch())

    await supervisor.stop()
    await supervisor.stop()

    await asyncio.wait_for(watch, timeout=1)


async def test_children_are_asked_to_end_and_may_say_goodbye(heard: list[str]) -> None:
    polite = "trap 'echo goodbye; exit 0' TERM; echo ready; while :; do sleep 0.05; done"

    async with Supervisor([shell(polite)], say=heard.append):
        pass

    assert heard == ["one | ready", "one | goodbye"]


async def test_a_stubborn_child_is_killed_after_the_grace(heard: list[str]) -> None:
    stubborn = shell("trap '' TERM; echo ready $$; while :; do sleep 0.05; done")

    async with Supervisor([stubborn], say=heard.append, grace_seconds=0.3):
        began = time.monotonic()
    took = time.monotonic() - began

    assert 0.3 <= took < 3
    assert not alive(pids_in(heard[0])[0])


async def test_grandchildren_end_with_their_parent_and_hold_nobody_up(heard: list[str]) -> None:
    async with Supervisor([shell(FAMILY)], say=heard.append):
        child, grandchild = pids_in(heard[0])
        os.kill(child, signal.SIGKILL)
        await eventually(lambda: not alive(grandchild))
        await eventually(lambda: len(heard) == 3)

    await eventually(lambda: not any(map(alive, pids_in(heard[2]))))


async def test_a_child_does_not_hear_our_ctrl_c(heard: list[str]) -> None:
    async with Supervisor([shell("echo ready $$; exec sleep 60")], say=heard.append):
        (child,) = pids_in(heard[0])

        assert os.getsid(child) == child
        assert os.getsid(child) != os.getsid(0)


async def test_a_child_answers_on_the_socket_that_it_inherits(listener: socket.socket) -> None:
    script = (
        "import socket, sys\n"
        "door = socket.socket(fileno=int(sys.argv[1]))\n"
        "print('ready', flush=True)\n"
        "door.accept()[0].sendall(b'hello')\n"
        "input()\n"
    )
    number = listener.fileno()
    child = Child(name="one", argv=[sys.executable, "-c", script, str(number)], sockets=[number])

    async with Supervisor([child], say=print):
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        answer = await reader.read()
        writer.close()

    assert answer == b"hello"


async def test_a_line_without_end_does_not_silence_a_child(heard: list[str]) -> None:
    noisy = "head -c 3000000 /dev/zero | tr '\\0' x; echo; echo ready; exec sleep 60"

    async with Supervisor([shell(noisy)], say=heard.append):
        assert heard[0] == "one | (a line of more than a mebibyte is left out)"
        assert heard[-1] == "one | ready"


async def test_one_more_child_is_kept_like_the_others(heard: list[str]) -> None:
    async with Supervisor([], say=heard.append) as supervisor:
        await supervisor.add(shell("echo ready $$; exec sleep 60"))
        os.kill(pids_in(heard[0])[0], signal.SIGKILL)
        await eventually(lambda: len(heard) == 3)
        (standing,) = supervisor.standings()

    assert (standing.name, standing.state, standing.restarts) == ("one", "ready", 1)
    assert standing.pid == pids_in(heard[2])[0]
    assert not alive(pids_in(heard[2])[0])


async def test_one_more_child_that_fails_is_let_go_and_harms_nobody(heard: list[str]) -> None:
    first = shell("echo ready; exec sleep 60")

    async with Supervisor([first], say=heard.append, patience_seconds=0.5) as supervisor:
        watch = asyncio.create_task(supervisor.watch())
        with pytest.raises(ChildFailed, match="two ended with exit code 3"):
            await supervisor.add(shell("exit 3", name="two"))
        with pytest.raises(ChildFailed, match="three took too long"):
            await supervisor.add(shell("sleep 60", name="three"))
        left = [one.name for one in supervisor.standings()]

        assert left == ["one"]
        assert not watch.done()
    await asyncio.wait_for(watch, timeout=1)


async def test_a_child_that_is_removed_says_goodbye_and_does_not_come_back(
    heard: list[str],
) -> None:
    polite = "trap 'echo goodbye; exit 0' TERM; echo ready $$; while :; do sleep 0.05; done"

    async with Supervisor([shell(polite)], say=heard.append) as supervisor:
        await supervisor.remove("one")

        assert heard[1:] == ["one | goodbye"]
        assert supervisor.standings() == []


async def test_the_standing_of_a_child_tells_where_it_is_and_what_it_needs(
    heard: list[str],
) -> None:
    greeted: list[Standing] = []
    child = shell("echo ready http://here; exec sleep 60")

    async with Supervisor([child], say=heard.append, greet=greeted.append) as supervisor:
        (standing,) = supervisor.standings()

    assert [one.place for one in greeted] == [standing.place] == ["http://here"]
    assert standing.state == "ready"
    assert standing.memory_bytes > 0
    assert heard == []


async def test_when_all_end_they_hear_the_closing_signal(heard: list[str]) -> None:
    # A shell cannot hear INT where the tests themselves are run in the background.
    traps = "trap 'echo term' TERM; trap 'echo usr1; exit' USR1"
    script = f"{traps}; echo ready; while :; do sleep 0.05; done"

    async with Supervisor([shell(script)], say=heard.append, closing=signal.SIGUSR1):
        pass

    assert heard == ["one | ready", "one | usr1"]


async def test_who_is_hurried_is_given_no_time(heard: list[str]) -> None:
    stubborn = shell("trap '' TERM; echo ready $$; while :; do sleep 0.05; done")
    supervisor = Supervisor([stubborn], say=heard.append, grace_seconds=30)
    await supervisor.start()

    stopping = asyncio.create_task(supervisor.stop())
    await asyncio.sleep(0)
    supervisor.hurry()

    await asyncio.wait_for(stopping, timeout=5)
    assert not alive(pids_in(heard[0])[0])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_children_and_grandchildren_end_with_a_killed_owner(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, FAMILY], stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout
        family = pids_in(owner.stdout.readline())
        assert len(family) == 2

        owner.send_signal(number)
        owner.wait()

    asyncio.run(eventually(lambda: not any(map(alive, family))))


async def test_the_death_of_the_last_of_many_forks_is_noticed(heard: list[str]) -> None:
    def live() -> int:
        os.write(1, b"ready %d\n" % os.getpid())
        signal.pause()
        return 0

    many = [replace(shell(FAMILY, name=f"fork {number}"), warm=live) for number in range(40)]

    async with Supervisor(many, say=heard.append):
        last = next(line for line in heard if line.startswith("fork 39 | ready"))
        os.kill(pids_in(last)[-1], signal.SIGKILL)
        await eventually(lambda: any("fork 39 was killed by signal 9" in line for line in heard))
