"""A position is a text of ours: read as it was written, and nothing if somebody else wrote it."""

from __future__ import annotations

import pytest

from banyan.kernel.seen import Seen


@pytest.mark.parametrize(
    "text", ["", "1", "2", ".", "pond", "1.pond:", "1.pond:x", "1.POND:5", "1.pond:-5", "\xff" * 9]
)
def test_a_position_that_we_did_not_write_counts_for_nothing(text: str) -> None:
    assert Seen.read(text).of("pond") == 0


def test_a_position_is_read_as_it_was_written() -> None:
    seen = Seen({"pond": 2**62, "sea": 7})

    assert Seen.read(str(seen)).of("pond") == 2**62
    assert Seen.read(str(seen)).of("sea") == 7
