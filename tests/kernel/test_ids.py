"""Ids are unguessable, sorted by birth, and of the seventh version."""

from datetime import UTC, datetime, timedelta
from uuid import RFC_4122, UUID

from hypothesis import given
from hypothesis import strategies as st

from banyan.kernel.clock import FixedClock
from banyan.kernel.ids import Ids, SeededIds, dated, derived

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

moments = st.timedeltas(timedelta(), timedelta(days=2_000_000)).map(lambda since: EPOCH + since)


def milliseconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(milliseconds=1)


@given(moments)
def test_an_id_says_its_version_and_its_millisecond(moment: datetime) -> None:
    made = Ids(FixedClock(moment)).new()

    assert made.version == 7
    assert made.variant == RFC_4122
    assert made.int >> 80 == milliseconds(moment)


@given(moments, moments)
def test_ids_sort_by_the_millisecond_of_their_birth(one: datetime, other: datetime) -> None:
    first, second = Ids(FixedClock(one)).new(), Ids(FixedClock(other)).new()

    if milliseconds(one) != milliseconds(other):
        assert (first < second) == (one < other)
        assert (str(first) < str(second)) == (one < other)


def test_ids_of_one_millisecond_are_all_different() -> None:
    ids = Ids(FixedClock())

    made = {ids.new() for _ in range(20_000)}

    assert len(made) == 20_000


def test_every_bit_that_is_free_is_left_to_chance() -> None:
    ids = Ids(FixedClock())
    made = [ids.new().int for _ in range(200)]

    ever_set, always_set = 0, -1
    for one in made:
        ever_set |= one
        always_set &= one

    # Chance leaves a free bit alone in 200 ids once in 2^199 runs.
    assert (ever_set ^ always_set).bit_count() == 74


def test_neighbors_of_one_millisecond_do_not_follow_each_other() -> None:
    ids = Ids(FixedClock())

    gaps = {abs(ids.new().int - ids.new().int) for _ in range(100)}

    assert min(gaps) > 2**32


@given(st.integers(min_value=0, max_value=2**32))
def test_a_seed_gives_the_same_ids_again(seed: int) -> None:
    one, again = SeededIds(seed), SeededIds(seed)

    assert [one.new() for _ in range(3)] == [again.new() for _ in range(3)]
    assert one.new() != one.new()


def test_a_derived_id_is_found_again_by_what_it_was_made_from() -> None:
    order = UUID("01a203ff-0f59-728a-9231-0131fcfd07e0")

    assert derived(order, "capture") == derived(order, "capture")
    assert derived("tax-class", "books") == derived("tax-class", "books")


@given(st.text(), st.text(), st.text(), st.text())
def test_different_things_derive_different_ids(a: str, b: str, c: str, d: str) -> None:
    if (a, b) != (c, d):
        assert derived(a, b) != derived(c, d)


@given(moments, st.text(), st.text())
def test_a_dated_id_sorts_by_its_date_and_stays_its_own(
    moment: datetime, one: str, other: str
) -> None:
    first, second = (dated(derived("demo", name), moment) for name in (one, other))

    assert (first == second) == (one == other)
    assert (first.version, first.variant) == (8, RFC_4122)
    assert first.int >> 80 == milliseconds(moment)
