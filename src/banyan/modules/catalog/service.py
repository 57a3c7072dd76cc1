"""The answers of the catalog: load, decide, save, tell."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from banyan.kernel.clock import Clock
from banyan.kernel.database import Database
from banyan.kernel.transaction import Transaction
from banyan.modules.catalog import model, store
from banyan.modules.catalog.contract import (
    Attribute,
    AttributesChanged,
    Catalog,
    CategoriesChanged,
    Category,
    Edited,
    InvalidAttribute,
    Product,
    ProductState,
    StaleAttribute,
    StaleCategory,
    StaleProduct,
    Taken,
    UnknownAttribute,
    UnknownCategory,
    UnknownProduct,
)
from banyan.vocabulary import ProductId, Sku

BEFORE_ALL = ProductId(UUID(int=0))
LONGEST_PAGE = 1000
MOST_WORDS = 12


class CatalogService(Catalog):
    """Products, categories and attributes, in the schema `catalog`."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self.db = db
        self.clock = clock

    async def save(
        self, *, products: tuple[Product, ...], expected: int | None = None
    ) -> tuple[Product, ...]:
        wanted = model.tidy(products)
        async with self.db.begin() as tx:
            await self._claim(tx, wanted)
            before = await store.lock_products(tx, [product.id for product in wanted])
            after = tuple(
                model.revise(before.get(product.id), product, expected=expected)
                for product in wanted
            )
            await self._write(tx, [now for now in after if now is not before.get(now.id)])
        return after

    async def publish(self, *, product: ProductId, expected: int | None = None) -> Product:
        return (await self._advance([product], "published", expected))[0]

    async def retire(self, *, product: ProductId, expected: int | None = None) -> Product:
        return (await self._advance([product], "retired", expected))[0]

    async def publish_all(self, *, products: tuple[ProductId, ...]) -> tuple[Product, ...]:
        return await self._advance(model.batch(products), "published")

    async def retire_all(self, *, products: tuple[ProductId, ...]) -> tuple[Product, ...]:
        return await self._advance(model.batch(products), "retired")

    async def product(self, *, product: ProductId) -> Product:
        for found in await store.products(self.db, [product]):
            return found
        raise UnknownProduct(product=str(product))

    async def products(
        self,
        *,
        after: ProductId | None = None,
        limit: int = 24,
        state: ProductState | None = None,
        q: str = "",
    ) -> tuple[Product, ...]:
        after, limit = after or BEFORE_ALL, min(limit, LONGEST_PAGE)
        if q:
            return await store.products_like(self.db, q, state, after, limit)
        if state:
            return await store.products_in_state(self.db, state, after, limit)
        return await store.products_after(self.db, after, limit)

    async def edited(
        self,
        *,
        q: str = "",
        state: ProductState | None = None,
        category: str | None = None,
        before: tuple[datetime, ProductId] | None = None,
        limit: int = 24,
    ) -> tuple[Edited, ...]:
        words, limit = q.split()[:MOST_WORDS], min(limit, LONGEST_PAGE)
        return await store.edited(self.db, words, state, category, before, limit)

    async def find(
        self, *, slugs: tuple[str, ...] = (), skus: tuple[Sku, ...] = ()
    ) -> tuple[Product, ...]:
        found = await store.products_with(self.db, slugs, skus)
        return tuple(product for product in found if model.has(product, slugs, skus))

    async def save_category(self, *, category: Category, expected: int | None = None) -> Category:
        async with self.db.begin() as tx:
            revision = await store.revise(tx, "categories")
            tree = await store.categories(tx)
            after = model.revise_category(tree, category, expected=expected)
            if after is not tree.get(after.slug):
                await store.write_category(tx, after)
                self._tell_tree(tx, tree | {after.slug: after}, revision)
        return after

    async def remove_category(self, *, category: str, expected: int | None = None) -> None:
        async with self.db.begin() as tx:
            revision = await store.revise(tx, "categories")
            tree = await store.categories(tx)
            gone = tree.pop(category, None)
            if gone is None:
                raise UnknownCategory(category=category)
            if expected not in (None, gone.version):
                raise StaleCategory(version=gone.version)
            await store.lock_category(tx, category)
            used = await store.is_category_used(tx, category)
            model.check_removal(tree, gone, used=used)
            await store.remove_category(tx, category)
            self._tell_tree(tx, tree, revision)

    async def categories(self) -> tuple[Category, ...]:
        return model.in_order((await store.categories(self.db)).values())

    async def save_attribute(
        self, *, attribute: Attribute, expected: int | None = None
    ) -> Attribute:
        async with self.db.begin() as tx:
            revision = await store.revise(tx, "attributes")
            known = await store.attributes(tx)
            before = known.get(attribute.code)
            after = model.revise_attribute(before, attribute, expected=expected)
            if model.is_narrower(before, after):
                await store.lock_attribute(tx, after.code)
                model.check_use(after, await store.values_of_attribute(tx, after.code))
            if after is not before:
                await store.write_attribute(tx, after)
                self._tell_attributes(tx, known | {after.code: after}, revision)
        return after

    async def remove_attribute(self, *, attribute: str, expected: int | None = None) -> None:
        async with self.db.begin() as tx:
            revision = await store.revise(tx, "attributes")
            known = await store.attributes(tx)
            gone = known.pop(attribute, None)
            if gone is None:
                raise UnknownAttribute(attribute=attribute)
            if expected not in (None, gone.version):
                raise StaleAttribute(version=gone.version)
            await store.lock_attribute(tx, attribute)
            if await store.is_attribute_used(tx, attribute):
                raise InvalidAttribute(pointer="/code", reason="is used by products")
            await store.remove_attribute(tx, attribute)
            self._tell_attributes(tx, known, revision)

    async def attributes(self) -> tuple[Attribute, ...]:
        return tuple((await store.attributes(self.db)).values())

    async def audit(self) -> Sequence[str]:
        """Find products that name what is not theirs or not there."""
        return await store.strays(self.db)

    async def _advance(
        self, products: Sequence[ProductId], state: ProductState, expected: int | None = None
    ) -> tuple[Product, ...]:
        async with self.db.begin() as tx:
            before = await store.lock_products(tx, products)
            if unknown := [product for product in products if product not in before]:
                raise UnknownProduct(product=str(unknown[0]))
            after = {one: model.advance(before[one], state, expected=expected) for one in products}
            await self._write(tx, [now for now in after.values() if now is not before[now.id]])
        return tuple(after.values())

    async def _claim(self, tx: Transaction, products: Sequence[Product]) -> None:
        """Make slugs and SKUs the products' own, before anything is read that depends on it."""
        claims = [claim for product in products for claim in model.claims(product)]
        fresh = await store.claim(tx, claims)
        if fresh < len(claims) and (clash := await store.first_clash(tx, claims)):
            what, value, product = clash
            raise Taken(what=what, value=value, product=product)

    async def _write(self, tx: Transaction, products: Sequence[Product]) -> None:
        """Save what has changed and tell it, if it fits what it refers to."""
        if not products:
            return
        codes = {code for product in products for code in product.attributes}
        slugs = {slug for product in products for slug in product.categories}
        attributes = await store.keep_attributes(tx, list(codes)) if codes else {}
        categories = await store.keep_categories(tx, list(slugs)) if slugs else set()
        for product in products:
            model.check_references(product, attributes, categories)
        if await store.write_products(tx, products, self.clock.now()) != len(products):
            # The same new id, under another slug, in this very moment: so ours is no new one.
            raise StaleProduct(version=1)
        tx.tell(*(event for product in products for event in model.news(product)))

    def _tell_tree(self, tx: Transaction, tree: dict[str, Category], version: int) -> None:
        tx.tell(CategoriesChanged(categories=model.in_order(tree.values()), version=version))

    def _tell_attributes(self, tx: Transaction, known: dict[str, Attribute], version: int) -> None:
        ordered = tuple(known[code] for code in sorted(known))
        tx.tell(AttributesChanged(attributes=ordered, version=version))
