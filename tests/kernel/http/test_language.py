"""A language is found that is offered and comes closest to what is wished for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from banyan.kernel.language import Visit, choose, lookup, negotiate, visit_of

OFFERED = ("en", "de", "zh-Hant")


@pytest.mark.parametrize(
    ("wishes", "language"),
    [
        ("", "en"),
        ("*", "en"),
        ("de", "de"),
        ("DE-at", "de"),
        ("fr, de;q=0.5", "de"),
        ("en;q=0.4, de;q=0.8", "de"),
        ("de;q=0, en", "en"),
        ("de;q=0", "en"),
        ("fr", "en"),
        ("zh-Hant-CN-x-private1-private2", "zh-Hant"),
        ("zh", "en"),
        ("q=;;, de", "de"),
    ],
)
def test_the_closest_language_is_found(wishes: str, language: str) -> None:
    assert negotiate(wishes, OFFERED, "en") == language


def test_a_wish_is_shortened_to_what_contains_it() -> None:
    assert lookup(("zh-Hant-TW", "de")) == ("zh-hant-tw", "zh-hant", "zh", "de")
    assert lookup(("zh-Hant-x-private",)) == ("zh-hant-x-private", "zh-hant", "zh")


@pytest.mark.parametrize("wishes", [(), ("fr",), ("fr-CA", "pl")])
def test_nobody_is_told_a_language_that_they_have_not_wished_for(wishes: tuple[str, ...]) -> None:
    assert choose(wishes, OFFERED) is None


def test_a_visitor_tells_their_wishes_best_first() -> None:
    asked, headers = {"locale": "fr"}, {"accept-language": "de-AT;q=0.8, *;q=0.1, pl"}

    assert visit_of(asked, headers) == Visit(market=None, wishes=("fr", "pl", "de-at"))
    assert visit_of({}, {}) == Visit(market=None, wishes=())


@given(st.text())
def test_whatever_is_wished_something_offered_is_found(wishes: str) -> None:
    assert negotiate(wishes, OFFERED, "en") in OFFERED
