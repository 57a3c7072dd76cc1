"""A long list is told page by page, each item once."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from banyan.kernel.paging import BadCursor, Page, after, cursor, page

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@given(texts, st.uuids())
def test_a_place_comes_back_from_its_cursor(name: str, toy: UUID) -> None:
    assert after(cursor((name, toy)), tuple[str, UUID]) == (name, toy)


@given(st.text())
def test_a_made_up_cursor_is_refused(text: str) -> None:
    with pytest.raises(BadCursor):
        after(text, tuple[str, UUID])


def test_a_cursor_cannot_bring_in_what_a_database_refuses() -> None:
    for place in ((2**63,), ("\0",)):
        with pytest.raises(BadCursor):
            after(cursor(place), tuple[int | str])


def test_without_a_cursor_a_list_begins_at_its_beginning() -> None:
    assert after(None, tuple[str]) is None


def test_the_last_page_leads_nowhere() -> None:
    full = page([1, 2], limit=2, place=lambda item: item)
    empty = page([], limit=2, place=lambda item: item)

    assert full == Page(items=(1, 2))
    assert empty == Page(items=())


def test_a_page_before_the_last_leads_on_from_its_last_item() -> None:
    first = page([1, 2, 3], limit=2, place=lambda item: [item])

    assert first.items == (1, 2)
    assert after(first.next, tuple[int]) == (2,)
