"""What cannot be read is kept, and shown without what is private."""

from __future__ import annotations

from uuid import UUID

import pytest

from banyan.kernel.letters import Delivery, Letters, Unreadable
from banyan.kernel.testing import Bench

FOUND = UUID("01a203ff-0f59-728a-9231-0131fcfd07e0")


def leapt(data: bytes, *, source: str = "/modules/pond") -> Delivery:
    """Say that a frog has leapt, as it is said between processes."""
    return Delivery(
        subject="banyan.event.pond.leapt.v1",
        headers={
            "ce-id": str(FOUND),
            "ce-source": source,
            "ce-type": "banyan.pond.leapt.v1",
            "ce-time": "2026-01-01T00:00:00+00:00",
        },
        data=data,
    )


@pytest.fixture
def letters(water: Bench) -> Letters:
    return water.app.rooms["pond"].backstage.dead


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (
            b'{"x": "ann@example.com", "shipping_address": {"street": "Pond Lane 1"}}',
            {"data": {"x": "[email]", "shipping_address": "[private]"}},
        ),
        (b'{"street": "Pond Lane 1', {"bytes": 23}),
        pytest.param(b"[" * 10_000, {"bytes": 10_000}, id="deep"),
    ],
)
async def test_a_letter_says_nothing_private(
    water: Bench, letters: Letters, data: bytes, shown: dict[str, object]
) -> None:
    told = leapt(data)
    await letters.keep(FOUND, told, time=water.clock.now(), why=Unreadable("torn"))

    (letter,) = await letters.dead(limit=1)

    assert letter.data == {"headers": told.headers, **shown}


@pytest.mark.parametrize(
    ("data", "source", "readable"),
    [
        (rb'{"name": "\u0000"}', "/modules/pond", False),
        (rb'{"name": "\\\u0000"}', "/modules/pond", False),
        (rb'{"name": "\\u0000"}', "/modules/pond", True),
        (rb"{}", "%00", False),
        pytest.param(b"[" * 10_000, "/modules/pond", False, id="deep"),
    ],
)
def test_what_no_database_keeps_is_not_read(data: bytes, source: str, *, readable: bool) -> None:
    told = leapt(data, source=source)

    if readable:
        assert told.open().source == source
    else:
        with pytest.raises(Unreadable):
            told.open()
