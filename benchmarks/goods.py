"""A range of goods of any size, always the same: what every platform is measured with."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import NamedTuple

CATEGORIES = 20
SIZES = ("S", "M", "L")
STOCK = 100_000

_KINDS = (
    *("Lamp", "Chair", "Table", "Shelf", "Vase", "Bowl", "Plate", "Mug", "Carafe", "Blanket"),
    *("Cushion", "Curtain", "Basket", "Clock", "Mirror", "Candle", "Tray", "Stool", "Bench", "Rug"),
)
_STUFFS = (
    *("Oak", "Walnut", "Linen", "Wool", "Cotton", "Steel", "Brass", "Glass", "Clay", "Porcelain"),
    *("Bamboo", "Cork", "Leather", "Paper", "Rattan", "Marble", "Ash", "Felt", "Velvet", "Copper"),
)
_MANNERS = (
    *("Plain", "Round", "Tall", "Low", "Wide", "Folding", "Hanging", "Nordic", "Rustic", "Modern"),
    *("Quiet", "Bright", "Warm", "Early", "Late", "Small", "Grand", "Soft", "Light", "Heavy"),
)


class Article(NamedTuple):
    """A product with a variant of each size."""

    number: int
    slug: str
    title: str
    text: str
    category: str
    amount: int

    def skus(self) -> Iterator[tuple[str, str, int]]:
        """List its variants: SKU, size and price in minor units."""
        for step, size in enumerate(SIZES):
            yield f"SKU-{self.number:07}-{size}", size, self.amount + 500 * step


def category(number: int) -> str:
    """Name one of the categories."""
    return f"category-{number % CATEGORIES:02}"


def articles(count: int) -> Iterator[Article]:
    """Make so many articles; a larger range begins with the smaller one."""
    chance = random.Random("banyan")
    for number in range(count):
        manner, stuff, kind = (chance.choice(words) for words in (_MANNERS, _STUFFS, _KINDS))
        title = f"{manner} {stuff} {kind}"
        yield Article(
            number=number,
            slug=f"{title.lower().replace(' ', '-')}-{number}",
            title=f"{title} {number}",
            text=" ".join(_sentences(chance, manner, stuff, kind)),
            category=category(number),
            amount=chance.randrange(900, 90_000),
        )


def _sentences(chance: random.Random, manner: str, stuff: str, kind: str) -> Iterator[str]:
    for _ in range(3):
        other = chance.choice(_KINDS).lower()
        yield f"A {manner.lower()} {kind.lower()} of {stuff.lower()} that goes with any {other}."
