"""A neighbor that one can do without: asked for as `Bell | None`, and not missed."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import pytest

from banyan.kernel.app import App, House
from banyan.kernel.contract import contract, query
from banyan.kernel.graph import graph, in_order
from banyan.kernel.module import Module
from banyan.kernel.settings import Misconfigured


@contract("bell")
class Bell(Protocol):
    """Rings."""

    @query
    async def ring(self) -> str:
        """Ring."""
        ...


@contract("door")
class Door(Protocol):
    """Opens."""

    @query
    async def open_up(self) -> str:
        """Open, or tell why not."""
        ...


class Brass(Bell):
    async def ring(self) -> str:
        return "ding"


class Curious(Bell):
    def __init__(self, door: Door) -> None:
        self.door = door

    async def ring(self) -> str:
        return await self.door.open_up()


class Wooden(Door):
    def __init__(self, bell: Bell | None) -> None:
        self.bell = bell

    async def open_up(self) -> str:
        return await self.bell.ring() if self.bell else "knock"


class Mistaken(Door):
    def __init__(self, bell: str | None) -> None:
        self.bell = bell

    async def open_up(self) -> str:
        return "never"


BELL = Module(name="bell", offers={Bell: Brass})
DOOR = Module(name="door", offers={Door: Wooden})


@pytest.mark.parametrize(("modules", "told"), [([DOOR], "knock"), ([DOOR, BELL], "ding")])
async def test_it_is_there_if_it_is_installed(
    modules: list[Module], told: str, tmp_path: Path
) -> None:
    app = App(House(modules=modules), dsn=lambda _: "postgresql://nowhere", folder=tmp_path)

    assert await app.ask(Door).open_up() == told


def test_who_may_be_asked_is_a_neighbor() -> None:
    assert graph([DOOR]) == {"door": set()}
    assert graph([DOOR, BELL]) == {"door": {"bell"}, "bell": set()}
    assert [module.name for module in in_order([DOOR, BELL])] == ["bell", "door"]


def test_a_circle_is_one_even_if_somebody_can_do_without() -> None:
    with pytest.raises(Misconfigured, match="bell → door → bell"):
        in_order([DOOR, Module(name="bell", offers={Bell: Curious})])


def test_only_a_contract_may_be_missing(tmp_path: Path) -> None:
    mistaken = House(modules=[Module(name="door", offers={Door: Mistaken})])

    with pytest.raises(Misconfigured, match=r"Mistaken\(bell\) needs"):
        App(mistaken, dsn=lambda _: "postgresql://nowhere", folder=tmp_path)
