"""The wiring: constructors say what they need, and what is missing is named."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import pytest

from banyan.kernel.app import App, House
from banyan.kernel.contract import contract, query
from banyan.kernel.graph import graph, in_order
from banyan.kernel.module import Module, Plugin
from banyan.kernel.settings import Misconfigured, Settings


@contract("hen")
class Hen(Protocol):
    """Lays eggs."""

    @query
    async def lay(self) -> str:
        """Lay an egg."""
        ...


@contract("egg")
class Egg(Protocol):
    """Becomes a hen."""

    @query
    async def hatch(self) -> str:
        """Hatch."""
        ...


class Nest(Protocol):
    """Where eggs lie; a plugin builds it."""

    def straw(self) -> str:
        """Say what it is made of."""
        ...


class Twigs(Nest):
    def straw(self) -> str:
        return "twigs"


class HenSettings(Settings, frozen=True, kw_only=True):
    eggs: int = 1


class Shy(Hen):
    def __init__(self, settings: HenSettings, nests: Mapping[str, Nest]) -> None:
        self.settings = settings
        self.nests = nests

    async def lay(self) -> str:
        return f"{self.settings.eggs} in {self.nests['twigs'].straw()}"


class Fussy(Hen):
    def __init__(self, nest: Nest) -> None:
        self.nest = nest

    async def lay(self) -> str:
        return self.nest.straw()


class FromEgg(Hen):
    def __init__(self, egg: Egg) -> None:
        self.egg = egg

    async def lay(self) -> str:
        return await self.egg.hatch()


class FromHen(Egg):
    def __init__(self, hen: Hen) -> None:
        self.hen = hen

    async def hatch(self) -> str:
        return await self.hen.lay()


TWIGS = Plugin(name="twigs", fills={Nest: Twigs})


def house(hen: type[Hen], *plugins: Plugin, folder: Path) -> App:
    return App(
        House(modules=[Module(name="hen", offers={Hen: hen})], plugins=list(plugins)),
        dsn=lambda _: "postgresql://nowhere",
        folder=folder,
        configured={"hen": {"eggs": 3}},
    )


async def test_settings_and_plugins_are_handed_to_whoever_names_them(tmp_path: Path) -> None:
    app = house(Shy, TWIGS, folder=tmp_path)

    assert await app.ask(Hen).lay() == "3 in twigs"


async def test_a_port_is_filled_by_the_one_plugin_that_fits(tmp_path: Path) -> None:
    assert await house(Fussy, TWIGS, folder=tmp_path).ask(Hen).lay() == "twigs"


@pytest.mark.parametrize("plugins", [(), (TWIGS, Plugin(name="moss", fills={Nest: Twigs}))])
def test_a_port_that_no_plugin_or_more_than_one_fills_is_named(
    plugins: tuple[Plugin, ...], tmp_path: Path
) -> None:
    with pytest.raises(Misconfigured, match=r"Fussy\(nest\) needs Nest"):
        house(Fussy, *plugins, folder=tmp_path)


def test_a_contract_that_nobody_offers_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="FromEgg in hen asks for Egg"):
        house(FromEgg, folder=tmp_path)


def test_modules_that_ask_each_other_in_a_circle_are_refused() -> None:
    hen = Module(name="hen", offers={Hen: FromEgg})
    egg = Module(name="egg", offers={Egg: FromHen})

    with pytest.raises(Misconfigured, match="egg → hen → egg"):
        in_order([hen, egg])


def test_those_who_are_asked_come_before_those_who_ask() -> None:
    hen = Module(name="hen", offers={Hen: FromEgg})
    egg = Module(name="egg", offers={Egg: Hatching})

    assert [module.name for module in in_order([hen, egg])] == ["egg", "hen"]
    assert graph([hen, egg]) == {"hen": {"egg"}, "egg": set()}


def test_a_service_answers_the_contract_that_it_is_declared_for() -> None:
    with pytest.raises(TypeError, match="must derive from Egg"):
        Module(name="egg", offers={Egg: Shy})


class Hatching(Egg):
    async def hatch(self) -> str:
        return "a hen"
