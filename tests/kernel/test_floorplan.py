"""Whoever looks after the shop may call the roll, and nobody else."""

from __future__ import annotations

from banyan.kernel.subjects import permissions


def test_only_who_tends_modules_may_call_the_roll() -> None:
    office = permissions("office", hosts=(), asks=("pond",), tends=("pond",))
    neighbor = permissions("neighbor", hosts=("frogs",), asks=("pond",))

    assert "$SRV.PING" in office.publish
    assert "$SRV.PING" not in neighbor.publish
