"""The HTTP face of the catalog: products, categories and attributes, for the back office only.

What shoppers see is told by the module `search`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, structs

from banyan.kernel.contract import Value
from banyan.kernel.http import (
    Answer,
    Controller,
    Cursor,
    FromPath,
    FromQuery,
    IfMatch,
    JSONBody,
    Limit,
    QueryParameter,
    delete,
    get,
    needs,
    obligatory_match,
    post,
    put,
    tagged,
)
from banyan.kernel.ids import Ids
from banyan.kernel.paging import Page, after, page
from banyan.modules.catalog.contract import (
    Attribute,
    AttributeDetails,
    Catalog,
    Category,
    CategoryDetails,
    Edited,
    InvalidAttribute,
    InvalidCategory,
    Product,
    ProductDetails,
    ProductState,
    Slug,
    StaleAttribute,
    StaleCategory,
    UnknownAttribute,
    UnknownCategory,
)
from banyan.vocabulary import ProductId

NOT_YET = 0
"""The version of what is to be created."""


class NewCategory(CategoryDetails, frozen=True, kw_only=True):
    """A category, and the slug by which it is known for good."""

    slug: Slug


class NewAttribute(AttributeDetails, frozen=True, kw_only=True):
    """An attribute, and the code by which products name it."""

    code: Slug


class Chosen(Value, frozen=True, kw_only=True):
    """The products that something is done with."""

    products: Annotated[tuple[ProductId, ...], Meta(min_length=1, max_length=1000)]


class ProductsAdmin(Controller):
    """Products in any state."""

    path = "/api/admin/products"
    tags = ("catalog (admin)",)
    guards = (needs("catalog:read"),)
    catalog: Catalog
    ids: Ids

    @get()
    async def browse(
        self,
        limit: Limit = 24,
        cursor: Cursor = None,
        q: FromQuery[Annotated[str, Meta(max_length=200)]] = "",
        in_state: Annotated[ProductState | None, QueryParameter(name="state")] = None,
    ) -> Page[Product]:
        """List products by id; `q` is a part of the title, of a slug or of a SKU."""
        found = await self.catalog.products(
            after=after(cursor, ProductId), limit=limit + 1, q=q, state=in_state
        )
        return page(found, limit=limit, place=lambda product: product.id)

    @get("/edited")
    async def browse_edited(
        self,
        limit: Limit = 24,
        cursor: Cursor = None,
        q: FromQuery[Annotated[str, Meta(max_length=200)]] = "",
        in_state: Annotated[ProductState | None, QueryParameter(name="state")] = None,
        category: FromQuery[Slug | None] = None,
    ) -> Page[Edited]:
        """List products, those that changed last first; `q` are words of title, slug or SKU."""
        found = await self.catalog.edited(
            q=q,
            state=in_state,
            category=category,
            before=after(cursor, tuple[datetime, ProductId]),
            limit=limit + 1,
        )
        return page(found, limit=limit, place=lambda edited: (edited.at, edited.product.id))

    @post("/publish", guards=[needs("catalog:write")], status_code=200)
    async def publish_all(self, data: JSONBody[Chosen]) -> Page[Product]:
        """Let shoppers see products, all or none."""
        return Page(items=await self.catalog.publish_all(products=data.products))

    @post("/retire", guards=[needs("catalog:write")], status_code=200)
    async def retire_all(self, data: JSONBody[Chosen]) -> Page[Product]:
        """Take products out of the shop for good, all or none."""
        return Page(items=await self.catalog.retire_all(products=data.products))

    @post(guards=[needs("catalog:write")])
    async def create(self, data: JSONBody[ProductDetails]) -> Answer[Product]:
        """Create a product, which shoppers do not see before it is published."""
        product = Product(id=ProductId(self.ids.new()), **structs.asdict(data))
        (created,) = await self.catalog.save(products=(product,))
        return tagged(created, created.version)

    @get("/{product:str}")
    async def show(self, product: FromPath[ProductId]) -> Answer[Product]:
        """Show a product."""
        found = await self.catalog.product(product=product)
        return tagged(found, found.version)

    @put("/{product:str}", guards=[needs("catalog:write"), obligatory_match])
    async def change(
        self, product: FromPath[ProductId], expected: IfMatch, data: JSONBody[ProductDetails]
    ) -> Answer[Product]:
        """Replace what is said of a product; shoppers who see it see the change."""
        known = await self.catalog.product(product=product)
        wanted = Product(id=known.id, **structs.asdict(data))
        (changed,) = await self.catalog.save(products=(wanted,), expected=expected)
        return tagged(changed, changed.version)

    @post("/{product:str}/publish", guards=[needs("catalog:write")], status_code=200)
    async def publish(self, product: FromPath[ProductId], expected: IfMatch) -> Answer[Product]:
        """Let shoppers see a product."""
        published = await self.catalog.publish(product=product, expected=expected)
        return tagged(published, published.version)

    @post("/{product:str}/retire", guards=[needs("catalog:write")], status_code=200)
    async def retire(self, product: FromPath[ProductId], expected: IfMatch) -> Answer[Product]:
        """Take a product out of the shop for good; its slug and SKUs stay taken."""
        retired = await self.catalog.retire(product=product, expected=expected)
        return tagged(retired, retired.version)


class CategoriesAdmin(Controller):
    """The tree that shoppers browse."""

    path = "/api/admin/categories"
    tags = ("catalog (admin)",)
    guards = (needs("catalog:read"),)
    catalog: Catalog

    @get()
    async def browse(self) -> Page[Category]:
        """List the whole tree, parents before children, by position."""
        return Page(items=await self.catalog.categories())

    @post(guards=[needs("catalog:write")])
    async def create(self, data: JSONBody[NewCategory]) -> Answer[Category]:
        """Create a category."""
        category = Category(**structs.asdict(data))
        try:
            created = await self.catalog.save_category(category=category, expected=NOT_YET)
        except StaleCategory:
            raise InvalidCategory(pointer="/slug", reason="is there already") from None
        return tagged(created, created.version)

    @get("/{category:str}")
    async def show(self, category: FromPath[Slug]) -> Answer[Category]:
        """Show a category."""
        found = await self._find(category)
        return tagged(found, found.version)

    @put("/{category:str}", guards=[needs("catalog:write"), obligatory_match])
    async def change(
        self, category: FromPath[Slug], expected: IfMatch, data: JSONBody[CategoryDetails]
    ) -> Answer[Category]:
        """Change a category, or move it to another place in the tree."""
        known = await self._find(category)
        wanted = Category(slug=known.slug, **structs.asdict(data))
        changed = await self.catalog.save_category(category=wanted, expected=expected)
        return tagged(changed, changed.version)

    @delete("/{category:str}", guards=[needs("catalog:write"), obligatory_match])
    async def remove(self, category: FromPath[Slug], expected: IfMatch) -> None:
        """Remove a category that has neither children nor products."""
        await self.catalog.remove_category(category=category, expected=expected)

    async def _find(self, slug: str) -> Category:
        for category in await self.catalog.categories():
            if category.slug == slug:
                return category
        raise UnknownCategory(category=slug)


class AttributesAdmin(Controller):
    """The typed properties that products may have."""

    path = "/api/admin/attributes"
    tags = ("catalog (admin)",)
    guards = (needs("catalog:read"),)
    catalog: Catalog

    @get()
    async def browse(self) -> Page[Attribute]:
        """List all attributes by code."""
        return Page(items=await self.catalog.attributes())

    @post(guards=[needs("catalog:write")])
    async def create(self, data: JSONBody[NewAttribute]) -> Answer[Attribute]:
        """Create an attribute."""
        attribute = Attribute(**structs.asdict(data))
        try:
            created = await self.catalog.save_attribute(attribute=attribute, expected=NOT_YET)
        except StaleAttribute:
            raise InvalidAttribute(pointer="/code", reason="is there already") from None
        return tagged(created, created.version)

    @get("/{attribute:str}")
    async def show(self, attribute: FromPath[Slug]) -> Answer[Attribute]:
        """Show an attribute."""
        found = await self._find(attribute)
        return tagged(found, found.version)

    @put("/{attribute:str}", guards=[needs("catalog:write"), obligatory_match])
    async def change(
        self, attribute: FromPath[Slug], expected: IfMatch, data: JSONBody[AttributeDetails]
    ) -> Answer[Attribute]:
        """Change an attribute; what products say already must still fit it."""
        known = await self._find(attribute)
        wanted = Attribute(code=known.code, **structs.asdict(data))
        changed = await self.catalog.save_attribute(attribute=wanted, expected=expected)
        return tagged(changed, changed.version)

    @delete("/{attribute:str}", guards=[needs("catalog:write"), obligatory_match])
    async def remove(self, attribute: FromPath[Slug], expected: IfMatch) -> None:
        """Remove an attribute that no product uses."""
        await self.catalog.remove_attribute(attribute=attribute, expected=expected)

    async def _find(self, code: str) -> Attribute:
        for attribute in await self.catalog.attributes():
            if attribute.code == code:
                return attribute
        raise UnknownAttribute(attribute=code)


routes = [ProductsAdmin, CategoriesAdmin, AttributesAdmin]
