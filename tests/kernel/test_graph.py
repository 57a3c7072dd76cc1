"""The graph shows who asks whom, who hears whom and where, as declarations say it."""

from __future__ import annotations

import re
from typing import Protocol

import pytest

from banyan.kernel.contract import contract, query
from banyan.kernel.event import Event, on
from banyan.kernel.graph import as_mermaid, as_text, graph, hears
from banyan.kernel.module import Module
from banyan.kernel.settings import Misconfigured
from banyan.kernel.topology import Engines, Process, Topology


class Ripened(Event):
    """A fruit may be picked."""


class Fallen(Event):
    """A fruit lies in the grass."""


# Whose they are is read from where they stand, and here all stand in one file.
Ripened.module = Fallen.module = "orchard"


@contract("orchard")
class Orchard(Protocol):
    """What grows."""

    @query
    async def ripe(self) -> int:
        """Count what may be picked."""
        ...


@contract("kitchen")
class Kitchen(Protocol):
    """What is cooked."""

    @query
    async def jars(self) -> int:
        """Count what is cooked."""
        ...


class OrchardService(Orchard):
    """Trees."""

    async def ripe(self) -> int:
        return 1


class KitchenService(Kitchen):
    """Pots."""

    def __init__(self, orchard: Orchard) -> None:
        self.orchard = orchard

    async def jars(self) -> int:
        return 1

    async def cook(self, event: Event) -> None:
        """Make jam."""


ORCHARD = Module(name="orchard", offers={Orchard: OrchardService})
KITCHEN = Module(
    name="kitchen",
    offers={Kitchen: KitchenService},
    reactions=[on(Ripened, KitchenService.cook), on(Fallen, KitchenService.cook)],
)
HOUSE = [KITCHEN, ORCHARD]
APART = Topology(
    engines=Engines(nats="embedded"),
    processes=(
        Process(name="garden", modules=("orchard",), channels=(), replicas=2),
        Process(name="end", modules=("*",), channels=()),
    ),
    settings={},
)


def test_who_asks_is_read_from_constructors_and_who_hears_from_reactions() -> None:
    assert graph(HOUSE) == {"kitchen": {"orchard"}, "orchard": set()}
    assert hears(HOUSE) == {"kitchen": {"orchard": ["Fallen", "Ripened"]}, "orchard": {}}


def test_people_read_it_by_process() -> None:
    assert as_text(HOUSE, APART).splitlines() == [
        "process garden × 2",
        "  orchard",
        "process end",
        "  kitchen",
        "    asks orchard",
        "    hears orchard: Fallen, Ripened",
    ]


def test_mermaid_draws_a_box_for_each_process_and_dashes_for_events() -> None:
    assert as_mermaid(HOUSE, APART).splitlines() == [
        "flowchart LR",
        '    subgraph process1["garden × 2"]',
        '        module_orchard["orchard"]',
        "    end",
        '    subgraph process2["end"]',
        '        module_kitchen["kitchen"]',
        "    end",
        "    module_kitchen --> module_orchard",
        '    module_orchard -. "Fallen<br/>Ripened" .-> module_kitchen',
    ]


def test_a_contract_that_nobody_offers_is_refused_with_who_asks() -> None:
    with pytest.raises(
        Misconfigured, match=re.escape("KitchenService in kitchen asks for Orchard")
    ):
        graph([KITCHEN])
