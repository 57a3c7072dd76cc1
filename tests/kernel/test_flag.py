"""A flag says what its file says, follows it when it changes, and has a default otherwise."""

import io
import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from banyan.kernel import telemetry
from banyan.kernel.clock import FixedClock
from banyan.kernel.flag import Audience, Flags

Write = Callable[[object], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a flag file that nobody can take for the one before."""
    file = tmp_path / "flags.json"
    versions = iter(range(1, 1000))

    def written(content: object) -> Path:
        file.write_text(content if isinstance(content, str) else json.dumps(content))
        stamp = next(versions)
        os.utime(file, (stamp, stamp))
        return file

    return written


def flagd(targeting: object = None, default: str = "on", **variants: object) -> dict[str, Any]:
    flag = {
        "state": "ENABLED",
        "variants": variants or {"on": True, "off": False},
        "defaultVariant": default,
        "targeting": targeting or {},
    }
    return {"flags": {"new": flag}}


def is_new(flags: Flags, audience: Audience | None = None) -> bool:
    return flags.boolean("new", default=False, audience=audience or Audience())


def test_without_a_file_every_flag_has_its_default(tmp_path: Path) -> None:
    flags = Flags(tmp_path / "absent.json", clock=FixedClock())

    assert flags.boolean("new", default=True) is True
    assert flags.string("color", default="red") == "red"
    assert flags.integer("limit", default=7) == 7
    assert flags.number("share", default=0.5) == 0.5


def test_every_type_of_flag_is_read(write: Write) -> None:
    def on(value: object) -> dict[str, Any]:
        return {"state": "ENABLED", "variants": {"v": value}, "defaultVariant": "v"}

    flags = Flags(
        write(
            {"flags": {"b": on(value=True), "s": on(value="x"), "i": on(value=3), "n": on(value=2)}}
        ),
        clock=FixedClock(),
    )

    assert flags.boolean("b", default=False) is True
    assert flags.string("s", default="") == "x"
    assert flags.integer("i", default=0) == 3
    assert flags.number("n", default=0.5) == 2.0


def test_a_disabled_flag_and_an_unknown_one_have_their_defaults(write: Write) -> None:
    document = flagd()
    document["flags"]["new"]["state"] = "DISABLED"
    flags = Flags(write(document), clock=FixedClock())

    assert is_new(flags) is False
    assert flags.boolean("unheard-of", default=True) is True


def test_a_flag_is_targeted_by_what_is_known_of_its_audience(write: Write) -> None:
    rule = {"if": [{"==": [{"var": "market"}, "eu"]}, "on", "off"]}
    flags = Flags(write(flagd(rule)), clock=FixedClock())

    assert is_new(flags, Audience(key="a", attributes={"market": "eu"})) is True
    assert is_new(flags, Audience(key="a", attributes={"market": "us"})) is False
    assert is_new(flags) is False


def test_a_share_is_drawn_by_the_audience_s_id_and_stays(write: Write) -> None:
    rule = {"fractional": [["on", 25], ["off", 75]]}
    flags = Flags(write(flagd(rule)), clock=FixedClock())
    people = [Audience(key=f"visitor-{n}") for n in range(2000)]

    first = [is_new(flags, who) for who in people]
    second = [is_new(flags, who) for who in people]

    assert first == second
    assert 400 < Counter(first)[True] < 600


def test_a_change_is_seen_after_a_second_and_not_looked_for_before(write: Write) -> None:
    clock = FixedClock()
    flags = Flags(write(flagd(default="off")), clock=clock)
    before = is_new(flags)

    write(flagd(default="on"))
    clock.advance(0.9)
    meanwhile = is_new(flags)
    clock.advance(0.1)

    assert (before, meanwhile, is_new(flags)) == (False, False, True)


def test_a_file_that_appears_is_read_and_one_that_goes_is_forgotten(write: Write) -> None:
    clock = FixedClock()
    file = write(flagd())
    file.unlink()
    flags = Flags(file, clock=clock)
    absent = is_new(flags)

    write(flagd())
    clock.advance(1)
    present = is_new(flags)
    file.unlink()
    clock.advance(1)

    assert (absent, present, is_new(flags)) == (False, True, False)


BROKEN = [
    '{"flags": {"new": ',
    "[]",
    "5",
    '"flags"',
    '{"flags": []}',
    '{"flags": {"new": 5}}',
    '{"flags": {"new": {"state": "MAYBE", "variants": {"on": true}}}}',
    '{"flags": {"new": {"state": "ENABLED"}}}',
    '{"flags": {"new": {"state": "ENABLED", "variants": {"a": 1}, "surprise": 1}}}',
    '{"metadata": 5, "flags": {}}',
]


@pytest.mark.parametrize("broken", BROKEN)
def test_of_a_broken_file_nothing_is_taken_and_it_is_told_once(write: Write, broken: str) -> None:
    stream = io.StringIO()
    telemetry.configure("shop", "w1", telemetry.TelemetrySettings(), stream=stream)
    clock = FixedClock()
    flags = Flags(write(flagd()), clock=clock)
    before = is_new(flags)

    write(broken)
    after = []
    for _ in range(3):
        clock.advance(1)
        after.append(is_new(flags))
    telemetry.close()

    assert (before, after) == (True, [True, True, True])
    (line,) = (json.loads(line) for line in stream.getvalue().splitlines())
    assert line["event"] == "flag file is broken, the last good one holds"


@pytest.mark.parametrize(
    "document",
    [
        flagd(default="absent"),
        flagd({"no_such_operator": [1]}),
        flagd({"if": [True, "absent"]}),
        flagd(default="a", a="text"),
        flagd(default="a", a=1),
    ],
)
def test_a_flag_that_cannot_be_evaluated_has_its_default_and_is_told_once(
    write: Write, document: object
) -> None:
    stream = io.StringIO()
    telemetry.configure("shop", "w1", telemetry.TelemetrySettings(), stream=stream)
    flags = Flags(write(document), clock=FixedClock())

    answers = [flags.boolean("new", default=True) for _ in range(5)]
    telemetry.close()

    assert answers == [True] * 5
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["flag"] for line in lines if line["logger"] == "banyan.kernel.flag"] == ["new"]


def test_two_houses_in_one_process_have_flags_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text(json.dumps(flagd(default="on")))
    (tmp_path / "two.json").write_text(json.dumps(flagd(default="off")))

    one = Flags(tmp_path / "one.json", clock=FixedClock())
    two = Flags(tmp_path / "two.json", clock=FixedClock())

    assert (is_new(one), is_new(two)) == (True, False)
