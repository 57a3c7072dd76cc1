"""Who asks whom: read from what constructors ask for, so that it cannot be out of date."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import get_type_hints

from banyan.kernel.contract import is_contract
from banyan.kernel.module import Module, Plugin
from banyan.kernel.settings import Misconfigured


def at_home(plugin: Plugin, modules: Iterable[Module]) -> bool:
    """Tell whether a plugin has its place beside some of these modules: whose ports it fills."""
    packages = [
        kind.__module__.partition(".service")[0] for one in modules for kind in one.offers.values()
    ]
    ports = [port.__module__ for port in plugin.fills]
    return not ports or any(
        port == package or port.startswith(f"{package}.") for package in packages for port in ports
    )


def needs(module: Module) -> dict[type[object], str]:
    """List the contracts that a module's services and sagas ask for, with who asks."""
    return {
        hint: kind.__name__
        for kind in (*module.offers.values(), *module.sagas)
        if kind.__init__ is not object.__init__
        for hint in get_type_hints(kind.__init__).values()
        if is_contract(hint)
    }


def graph(
    modules: Iterable[Module], *, elsewhere: Container[type[object]] = ()
) -> dict[str, set[str]]:
    """Tell which module asks which, apart from contracts that are answered elsewhere."""
    modules = list(modules)
    owner = {protocol: module.name for module in modules for protocol in module.offers}
    asked: dict[str, set[str]] = {}
    for module in modules:
        for contract, who in needs(module).items():
            if contract in elsewhere:
                continue
            if contract not in owner:
                raise Misconfigured(
                    f"{who} in {module.name} asks for {contract.__name__}, which no module offers"
                )
            asked.setdefault(module.name, set()).add(owner[contract])
    return {module.name: asked.get(module.name, set()) for module in modules}


def in_order(modules: Iterable[Module], *, elsewhere: Container[type[object]] = ()) -> list[Module]:
    """Put those who are asked before those who ask; a cycle of synchronous calls is refused."""
    by_name = {module.name: module for module in modules}
    asks = graph(by_name.values(), elsewhere=elsewhere)
    placed: dict[str, Module] = {}

    def place(name: str, way: tuple[str, ...]) -> None:
        if name in way:
            circle = " → ".join((*way[way.index(name) :], name))
            raise Misconfigured(f"modules ask each other in a circle: {circle}; tell an event")
        if name not in placed:
            for asked in sorted(asks[name]):
                place(asked, (*way, name))
            placed[name] = by_name[name]

    for name in sorted(by_name):
        place(name, ())
    return list(placed.values())
