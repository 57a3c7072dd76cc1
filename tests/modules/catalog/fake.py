"""The catalog in memory, for the tests of those who ask it: the same rules, no database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from banyan.modules.catalog import model
from banyan.modules.catalog.contract import (
    Attribute,
    Catalog,
    Category,
    Edited,
    InvalidAttribute,
    Product,
    ProductState,
    StaleAttribute,
    StaleCategory,
    Taken,
    UnknownAttribute,
    UnknownCategory,
    UnknownProduct,
)
from banyan.vocabulary import ProductId, Sku

NOW = datetime(2026, 1, 1, tzinfo=UTC)
"""Nothing takes time here."""


class FakeCatalog(Catalog):
    """Products, categories and attributes in dictionaries; it tells no events."""

    def __init__(self) -> None:
        self._products: dict[ProductId, Product] = {}
        self._claims: dict[tuple[str, str], ProductId] = {}
        self._tree: dict[str, Category] = {}
        self._attributes: dict[str, Attribute] = {}

    async def save(
        self, *, products: tuple[Product, ...], expected: int | None = None
    ) -> tuple[Product, ...]:
        claimed = dict(self._claims)
        after = []
        for wanted in model.tidy(products):
            for what, value, product in model.claims(wanted):
                if claimed.setdefault((what, value), product) != product:
                    raise Taken(what=what, value=value, product=product)
            before = self._products.get(wanted.id)
            now = model.revise(before, wanted, expected=expected)
            if now is not before:
                model.check_references(now, self._attributes, self._tree)
            after.append(now)
        self._claims = claimed
        self._products |= {product.id: product for product in after}
        return tuple(after)

    async def publish(self, *, product: ProductId, expected: int | None = None) -> Product:
        return await self._advance(product, "published", expected)

    async def retire(self, *, product: ProductId, expected: int | None = None) -> Product:
        return await self._advance(product, "retired", expected)

    async def product(self, *, product: ProductId) -> Product:
        if product not in self._products:
            raise UnknownProduct(product=str(product))
        return self._products[product]

    async def products(
        self,
        *,
        after: ProductId | None = None,
        limit: int = 24,
        state: ProductState | None = None,
        q: str = "",
    ) -> tuple[Product, ...]:
        found = [
            product
            for product in self._all()
            if (after is None or product.id > after)
            and state in (None, product.state)
            and any(q.lower() in text.lower() for text in self._texts(product))
        ]
        return tuple(found[:limit])

    async def publish_all(self, *, products: tuple[ProductId, ...]) -> tuple[Product, ...]:
        return await self._advance_all(model.batch(products), "published")

    async def retire_all(self, *, products: tuple[ProductId, ...]) -> tuple[Product, ...]:
        return await self._advance_all(model.batch(products), "retired")

    async def edited(
        self,
        *,
        q: str = "",
        state: ProductState | None = None,
        category: str | None = None,
        before: tuple[datetime, ProductId] | None = None,
        limit: int = 24,
    ) -> tuple[Edited, ...]:
        branch = {slug for slug in self._tree if category in self._path(slug)}
        found = [
            Edited(product=product, at=NOW)
            for product in reversed(self._all())
            if (before is None or product.id < before[1])
            and state in (None, product.state)
            and (category is None or branch.intersection(product.categories))
            and all(
                any(word.lower() in text.lower() for text in [*self._texts(product), product.slug])
                for word in q.split()
            )
        ]
        return tuple(found[:limit])

    async def find(
        self, *, slugs: tuple[str, ...] = (), skus: tuple[Sku, ...] = ()
    ) -> tuple[Product, ...]:
        return tuple(product for product in self._all() if model.has(product, slugs, skus))

    async def save_category(self, *, category: Category, expected: int | None = None) -> Category:
        after = model.revise_category(self._tree, category, expected=expected)
        self._tree[after.slug] = after
        return after

    async def remove_category(self, *, category: str, expected: int | None = None) -> None:
        if category not in self._tree:
            raise UnknownCategory(category=category)
        gone = self._tree[category]
        if expected not in (None, gone.version):
            raise StaleCategory(version=gone.version)
        used = any(category in product.categories for product in self._alive())
        model.check_removal(self._tree, gone, used=used)
        del self._tree[category]

    async def categories(self) -> tuple[Category, ...]:
        return model.in_order(self._tree.values())

    async def save_attribute(
        self, *, attribute: Attribute, expected: int | None = None
    ) -> Attribute:
        before = self._attributes.get(attribute.code)
        after = model.revise_attribute(before, attribute, expected=expected)
        said = [product.attributes.get(after.code) for product in self._alive()]
        model.check_use(after, [value for value in said if value is not None])
        self._attributes[after.code] = after
        return after

    async def remove_attribute(self, *, attribute: str, expected: int | None = None) -> None:
        if attribute not in self._attributes:
            raise UnknownAttribute(attribute=attribute)
        gone = self._attributes[attribute]
        if expected not in (None, gone.version):
            raise StaleAttribute(version=gone.version)
        if any(attribute in product.attributes for product in self._alive()):
            raise InvalidAttribute(pointer="/code", reason="is used by products")
        del self._attributes[attribute]

    async def attributes(self) -> tuple[Attribute, ...]:
        return tuple(self._attributes[code] for code in sorted(self._attributes))

    async def _advance_all(
        self, products: Sequence[ProductId], state: ProductState
    ) -> tuple[Product, ...]:
        known = [await self.product(product=product) for product in products]
        after = {one.id: model.advance(one, state, expected=None) for one in known}
        self._products |= after
        return tuple(after.values())

    def _path(self, slug: str | None) -> list[str]:
        return [slug, *self._path(self._tree[slug].parent)] if slug else []

    async def _advance(
        self, product: ProductId, state: ProductState, expected: int | None
    ) -> Product:
        before = await self.product(product=product)
        self._products[product] = model.advance(before, state, expected=expected)
        return self._products[product]

    def _all(self) -> list[Product]:
        return [self._products[product] for product in sorted(self._products)]

    def _alive(self) -> list[Product]:
        return [product for product in self._all() if product.state != "retired"]

    def _texts(self, product: Product) -> list[str]:
        skus = [value for (_, value), owner in self._claims.items() if owner == product.id]
        return [product.title, *skus]
