"""Reviews: what shoppers think of products. A shop may be without; tests are told where."""

from __future__ import annotations

from typing import Protocol

from banyan.kernel.contract import Value, contract, query
from banyan.kernel.module import Module
from banyan.vocabulary import ProductId


class Review(Value, frozen=True, kw_only=True):
    """What somebody thinks of a product."""

    stars: int


@contract("reviews")
class Reviews(Protocol):
    """What others may ask of reviews."""

    @query
    async def of(self, *, product: ProductId) -> tuple[Review, ...]:
        """Return what was thought of a product."""
        ...


class ReviewsService(Reviews):
    """A review that everybody agrees on."""

    async def of(self, *, product: ProductId) -> tuple[Review, ...]:
        return (Review(stars=5),)


module = Module(name="reviews", offers={Reviews: ReviewsService})
