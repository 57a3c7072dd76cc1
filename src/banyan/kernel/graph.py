"""Who asks whom: read from what constructors ask for, so that it cannot be out of date."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from inspect import get_annotations, isclass
from types import NoneType
from typing import Any, NamedTuple, get_args, get_type_hints

from banyan.kernel.backstage import Backstages
from banyan.kernel.contract import is_contract
from banyan.kernel.module import Channel, Module, Plugin
from banyan.kernel.settings import Misconfigured
from banyan.kernel.subjects import BACKSTAGE
from banyan.kernel.topology import Topology


def at_home(plugin: Plugin, modules: Iterable[Module]) -> bool:
    """Tell whether a plugin has its place beside some of these modules: whose ports it fills."""
    packages = [
        kind.__module__.partition(".service")[0] for one in modules for kind in one.offers.values()
    ]
    ports = [port.__module__ for port in plugin.fills]
    return not ports or any(
        port == package or port.startswith(f"{package}.") for package in packages for port in ports
    )


class Need(NamedTuple):
    """A contract that a constructor asks for, whose constructor, and whether it must be there."""

    contract: type[object]
    who: str
    vital: bool


def needs(module: Module) -> Iterator[Need]:
    """List what a module's services and sagas ask of others."""
    for kind in (*module.offers.values(), *module.sagas):
        for hint in _wanted(kind):
            if contract := optional(hint):
                yield Need(contract, kind.__name__, vital=False)
            elif is_contract(hint):
                yield Need(hint, kind.__name__, vital=True)


def _wanted(kind: type[object]) -> list[Any]:
    """List the annotations of a constructor."""
    if kind.__init__ is object.__init__:
        return []
    return list(get_type_hints(kind.__init__).values())


def spoken_to(part: Module | Channel, modules: Iterable[Module]) -> set[str]:
    """List the modules to which the controllers of a part speak, and those whom its desk asks.

    One that may go backstage says so by that word.
    """
    offered = {protocol: module.name for module in modules for protocol in module.offers}
    desk = _wanted(part.desk) if isinstance(part, Channel) and part.desk else []
    asked = {offered[kind] for hint in desk if (kind := optional(hint) or hint) in offered}
    named = {
        name
        for route in part.routes
        if isclass(route)
        for kind in route.__mro__
        for name in get_annotations(kind)
        if not hasattr(route, name)
    }
    behind = {BACKSTAGE} if Backstages in desk else named & {BACKSTAGE}
    return asked | behind | named & {*offered.values()}


def optional(hint: Any) -> type[object] | None:
    """Return the contract that may be missing: of `Hen | None` it is `Hen`."""
    told = get_args(hint)
    contracts = [one for one in told if is_contract(one)]
    return contracts[0] if NoneType in told and len(told) - 1 == len(contracts) == 1 else None


def graph(
    modules: Iterable[Module], *, elsewhere: Container[type[object]] = ()
) -> dict[str, set[str]]:
    """Tell which module asks which, apart from contracts that are answered elsewhere."""
    modules = list(modules)
    owner = {protocol: module.name for module in modules for protocol in module.offers}
    asked: dict[str, set[str]] = {}
    for module in modules:
        for contract, who, vital in needs(module):
            if contract in elsewhere:
                continue
            if contract in owner:
                asked.setdefault(module.name, set()).add(owner[contract])
            elif vital:
                raise Misconfigured(
                    f"{who} in {module.name} asks for {contract.__name__}, which no module offers: "
                    "install one that does"
                )
    return {module.name: asked.get(module.name, set()) for module in modules}


def in_order(modules: Iterable[Module], *, elsewhere: Container[type[object]] = ()) -> list[Module]:
    """Put those who are asked before those who ask; a cycle of synchronous calls is refused."""
    by_name = {module.name: module for module in modules}
    asks = graph(by_name.values(), elsewhere=elsewhere)
    try:
        order = TopologicalSorter({name: sorted(asks[name]) for name in sorted(asks)})
        return [by_name[name] for name in order.static_order()]
    except CycleError as found:
        circle = " → ".join(reversed(found.args[1]))
        raise Misconfigured(
            f"modules ask each other in a circle: {circle}; tell an event"
        ) from None


def hears(modules: Iterable[Module]) -> dict[str, dict[str, list[str]]]:
    """Tell which module hears what of which: listener, teller, and the names of events."""
    heard: dict[str, dict[str, list[str]]] = {}
    for module in modules:
        tellers = heard.setdefault(module.name, {})
        for event in sorted({one.event for one in module.reactions}, key=lambda e: e.__name__):
            tellers.setdefault(event.module, []).append(event.__name__)
    return heard


def as_text(modules: Iterable[Module], topology: Topology) -> str:
    """Show the modules to people: where each runs, whom it asks and whom it hears."""
    modules = list(modules)
    asks, heard = graph(modules), hears(modules)
    lines = []
    for title, hosted in _places(modules, topology):
        lines.append(f"process {title}")
        for name in hosted:
            lines.append(f"  {name}")
            if asks[name]:
                lines.append(f"    asks {', '.join(sorted(asks[name]))}")
            lines += [
                f"    hears {of}: {', '.join(what)}" for of, what in sorted(heard[name].items())
            ]
    return "\n".join(lines)


def as_mermaid(modules: Iterable[Module], topology: Topology) -> str:
    """Draw the modules as a Mermaid flowchart: a box for each process, dashed where events go."""
    modules = list(modules)
    lines = ["flowchart LR"]
    for number, (title, hosted) in enumerate(_places(modules, topology), start=1):
        lines.append(f'    subgraph process{number}["{title}"]')
        lines += [f'        {_node(name)}["{name}"]' for name in hosted]
        lines.append("    end")
    for name, asked in sorted(graph(modules).items()):
        lines += [f"    {_node(name)} --> {_node(one)}" for one in sorted(asked)]
    for name, tellers in sorted(hears(modules).items()):
        for teller, events in sorted(tellers.items()):
            told = "<br/>".join(events)
            lines.append(f'    {_node(teller)} -. "{told}" .-> {_node(name)}')
    return "\n".join(lines)


def _places(modules: Iterable[Module], topology: Topology) -> list[tuple[str, list[str]]]:
    """Say of each process how often it runs, and what lives in it."""
    names = [module.name for module in modules]
    return [
        (
            f"{one.name} × {one.replicas}" if one.replicas > 1 else one.name,
            sorted(topology.modules_of(one, names)),
        )
        for one in topology.processes
    ]


def _node(module: str) -> str:
    """Name a module so that it is no word of Mermaid, such as `end`."""
    return f"module_{module}"
