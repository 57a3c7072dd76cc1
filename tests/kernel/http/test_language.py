"""A language is found that is offered and comes closest to what is wished for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from banyan.kernel.language import negotiate

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


@given(st.text())
def test_whatever_is_wished_something_offered_is_found(wishes: str) -> None:
    assert negotiate(wishes, OFFERED, "en") in OFFERED
