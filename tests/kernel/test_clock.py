"""Time is told in UTC, and stands still for those who ask it to."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from banyan.kernel.clock import FixedClock, SystemClock


def test_the_system_clock_knows_its_zone() -> None:
    moment = SystemClock().now()

    assert moment.utcoffset() == timedelta()


def test_the_system_clock_never_counts_backwards() -> None:
    clock = SystemClock()

    readings = [clock.monotonic() for _ in range(100)]

    assert readings == sorted(readings)


def test_a_fixed_clock_moves_only_when_advanced() -> None:
    clock = FixedClock(datetime(2026, 3, 1, 12, tzinfo=UTC))
    before = clock.monotonic()

    clock.advance(90.5)

    assert clock.now() == datetime(2026, 3, 1, 12, 1, 30, 500_000, tzinfo=UTC)
    assert clock.now() == clock.now()
    assert clock.monotonic() - before == 90.5


def test_a_fixed_clock_tells_utc_wherever_it_was_set() -> None:
    clock = FixedClock(datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=2))))

    assert clock.now().isoformat() == "2026-03-01T10:00:00+00:00"


def test_a_fixed_clock_refuses_a_start_without_a_zone() -> None:
    naive = datetime(2026, 3, 1)  # noqa: DTZ001 - what is to be refused

    with pytest.raises(ValueError, match="no time zone"):
        FixedClock(naive)


def test_time_does_not_run_backwards() -> None:
    clock = FixedClock()

    with pytest.raises(ValueError, match="backwards"):
        clock.advance(-1)
