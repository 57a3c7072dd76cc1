"""Draws a floorplan: boxes for processes, parts in layers within, and lines for who asks whom."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Literal

from banyan.kernel.contract import Value
from banyan.kernel.floorplan import Plan, Site

NODE_WIDTH, NODE_HEIGHT = 140, 42
GAP, BETWEEN = 40, 78
PAD, TITLE = 24, 34
WIDEST = 1120


class Node(Value, frozen=True, kw_only=True):
    """A module or a channel, and where it stands."""

    name: str
    channel: bool
    x: int
    y: int


class Box(Value, frozen=True, kw_only=True):
    """A process around its parts."""

    site: Site
    x: int
    y: int
    width: int
    height: int
    nodes: tuple[Node, ...]


class Edge(Value, frozen=True, kw_only=True):
    """A line from who asks to who is asked or, of events, from who tells to who hears."""

    source: str
    target: str
    kind: Literal["asks", "hears"]
    path: str
    says: str
    from_channel: bool = False


class Drawing(Value, frozen=True, kw_only=True):
    """The whole picture."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]


def draw(plan: Plan) -> Drawing:
    """Lay a plan out from top to bottom: whoever asks stands above whom it asks."""
    layer = layers(plan.asks)
    boxes = list(_placed([_box(site, layer, plan.asks) for site in plan.sites], layer))
    width = max(box.x + box.width for box in boxes) + PAD
    height = max(box.y + box.height for box in boxes) + PAD
    nodes = {node.name: node for box in boxes for node in box.nodes}
    edges = tuple(_edges(plan, nodes))
    return Drawing(width=width, height=height, boxes=tuple(boxes), edges=edges)


def layers(asks: Mapping[str, Iterable[str]]) -> dict[str, int]:
    """Put each part one layer below the lowest of those who ask it; nobody asks in a circle."""
    found: dict[str, int] = {}

    def place(name: str) -> int:
        if name not in found:
            askers = [one for one, asked in asks.items() if name in asked]
            found[name] = max((place(one) + 1 for one in askers), default=0)
        return found[name]

    for name in asks:
        place(name)
    return found


def _box(site: Site, layer: Mapping[str, int], asks: Mapping[str, Iterable[str]]) -> Box:
    """Arrange the parts of a process in rows, each below the middle of those who ask it."""
    parts = sorted((*site.channels, *site.modules), key=lambda name: (layer[name], name))
    rows = [list(row) for _, row in groupby(parts, key=lambda name: layer[name])]
    widest = max(len(row) for row in rows)
    width = widest * (NODE_WIDTH + GAP) - GAP + 2 * PAD
    place: dict[str, float] = {}
    nodes: list[Node] = []
    for depth, row in enumerate(rows):
        row.sort(key=lambda name: (_middle(name, asks, place), name))
        left = (width - len(row) * (NODE_WIDTH + GAP) + GAP) // 2
        for number, name in enumerate(row):
            x, y = left + number * (NODE_WIDTH + GAP), TITLE + depth * (NODE_HEIGHT + BETWEEN)
            place[name] = x
            nodes.append(Node(name=name, channel=name in site.channels, x=x, y=y))
    height = TITLE + len(rows) * (NODE_HEIGHT + BETWEEN) - BETWEEN + PAD
    return Box(site=site, x=0, y=0, width=width, height=height, nodes=tuple(nodes))


def _middle(name: str, asks: Mapping[str, Iterable[str]], place: Mapping[str, float]) -> float:
    above = [place[one] for one, asked in asks.items() if name in asked and one in place]
    return sum(above) / len(above) if above else 0.0


def _placed(boxes: Sequence[Box], layer: Mapping[str, int]) -> Iterator[Box]:
    """Put boxes into rows by their highest part, as many side by side as fit."""
    rows: list[list[Box]] = []
    by_rank = sorted(boxes, key=lambda box: min(layer[node.name] for node in box.nodes))
    for _, ranked in groupby(by_rank, key=lambda box: min(layer[n.name] for n in box.nodes)):
        rows.append([])
        for box in ranked:
            if rows[-1] and _width([*rows[-1], box]) > WIDEST:
                rows.append([])
            rows[-1].append(box)
    whole = max(_width(row) for row in rows)
    y = PAD
    for row in rows:
        x = PAD + (whole - _width(row)) // 2
        for box in row:
            yield _moved(box, x, y)
            x += box.width + GAP
        y += max(box.height for box in row) + BETWEEN


def _width(row: Sequence[Box]) -> int:
    return sum(box.width for box in row) + GAP * (len(row) - 1)


def _moved(box: Box, x: int, y: int) -> Box:
    nodes = tuple(
        Node(name=node.name, channel=node.channel, x=node.x + x, y=node.y + y) for node in box.nodes
    )
    return Box(site=box.site, x=x, y=y, width=box.width, height=box.height, nodes=nodes)


def _edges(plan: Plan, nodes: Mapping[str, Node]) -> Iterator[Edge]:
    for name, asked in plan.asks.items():
        for one in asked:
            yield Edge(
                source=name,
                target=one,
                kind="asks",
                path=_path(nodes[name], nodes[one], -6),
                says=f"{name} asks {one}",
                from_channel=nodes[name].channel,
            )
    for name, tellers in plan.hears.items():
        for teller, events in tellers.items():
            if teller in nodes and name in nodes:
                says = f"{name} hears {', '.join(events)} of {teller}"
                path = _path(nodes[teller], nodes[name], 6)
                yield Edge(source=teller, target=name, kind="hears", path=path, says=says)


def _path(one: Node, other: Node, shift: int) -> str:
    """Draw a curve from one to another; what is asked and what is heard goes a little apart."""
    x, to_x = one.x + NODE_WIDTH // 2 + 3 * shift, other.x + NODE_WIDTH // 2 + 3 * shift
    if one.y == other.y:
        y = one.y + NODE_HEIGHT
        return f"M{x} {y}C{x} {y + BETWEEN} {to_x} {y + BETWEEN} {to_x} {y + 4}"
    if one.y < other.y:
        y, to_y = one.y + NODE_HEIGHT, other.y - 4
    else:
        y, to_y = one.y, other.y + NODE_HEIGHT + 4
    return f"M{x} {y}C{x} {(y + to_y) // 2} {to_x} {(y + to_y) // 2} {to_x} {to_y}"
