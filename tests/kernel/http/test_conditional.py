"""An ETag says which version somebody has seen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from banyan.kernel.answer import tagged
from banyan.kernel.conditional import NO_VERSION, etag, expected_version, unchanged
from banyan.kernel.refusal import BadRequest


@given(st.integers(min_value=1, max_value=10**17))
def test_a_version_comes_back_from_its_tag(version: int) -> None:
    assert expected_version(etag(version)) == version
    assert unchanged(etag(version), etag(version))


@pytest.mark.parametrize(
    ("if_match", "version"),
    [
        (None, None),
        ("*", None),
        ('"3", "4"', 4),
        ('"4","3"', 4),
        ('W/"9", "3"', 3),
        ('W/"9"', NO_VERSION),
        ('"abc"', NO_VERSION),
        ('""', NO_VERSION),
        ('"99999999999999999999"', NO_VERSION),
    ],
)
def test_a_writer_expects_the_newest_version_that_can_match(
    if_match: str | None, version: int | None
) -> None:
    assert expected_version(if_match) == version


@pytest.mark.parametrize("if_match", ["", "3", '"3', '"3" "4"', '"3",', "*, *"])
def test_what_is_no_tag_is_refused(if_match: str) -> None:
    with pytest.raises(BadRequest):
        expected_version(if_match)


@pytest.mark.parametrize(
    ("if_none_match", "same"),
    [(None, False), ("*", True), ('"1", W/"3"', True), ('"1"', False), ("3", False)],
)
def test_a_reader_is_spared_what_they_have(if_none_match: str | None, *, same: bool) -> None:
    assert unchanged(if_none_match, '"3"') is same


def test_what_everybody_may_keep_says_for_how_long() -> None:
    assert tagged("page", 3).headers["cache-control"] == "private, no-cache"
    assert tagged("page", 3, public_seconds=60).headers["cache-control"] == "public, max-age=60"
