"""What a back office asks of many products at once, of the service over every link and the fake."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from banyan.kernel.testing import Bench, Server, bench
from banyan.modules.catalog.contract import (
    Catalog,
    Category,
    InvalidProduct,
    ProductPublished,
    ProductRetired,
    UnknownProduct,
)
from banyan.modules.catalog.module import module
from tests.modules.catalog.examples import CLOTHES, EN, NOBODY, SHIRT, SHIRTS, product


@pytest.fixture
async def shop(server: Server, tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench(server, [module], folder=tmp_path) as made:
        yield made


async def titles(catalog: Catalog, **sought: Any) -> list[str]:  # noqa: ANN401 - whatever is sought
    return [one.product.title for one in await catalog.edited(**sought)]


async def test_products_are_found_by_words_of_title_slug_and_sku(catalog: Catalog) -> None:
    linen = replace(product(2), title="100% Linen_Tunic", slug="summer-dress")
    await catalog.save(products=(SHIRT, linen))

    found = {
        q: await titles(catalog, q=q)
        for q in ("shi", "linen tunic", "tunic summer", "irt-m", "shirt linen", "%", "n_t", "\\")
    }

    assert found == {
        "shi": ["Shirt"],
        "linen tunic": ["100% Linen_Tunic"],
        "tunic summer": ["100% Linen_Tunic"],
        "irt-m": ["Shirt"],
        "shirt linen": [],
        "%": ["100% Linen_Tunic"],
        "n_t": ["100% Linen_Tunic"],
        "\\": [],
    }


async def test_products_are_found_by_state_and_by_a_category_with_all_below_it(
    catalog: Catalog,
) -> None:
    for category in (CLOTHES, SHIRTS, Category(slug="other", title={EN: "Other"})):
        await catalog.save_category(category=category)
    there = ("shirts", "clothes", "other")
    made = [replace(product(n), categories=(slug,)) for n, slug in enumerate(there, start=1)]
    await catalog.save(products=tuple(made))
    await catalog.publish(product=made[0].id)

    assert await titles(catalog, category="clothes") == ["Product 2", "Product 1"]
    assert await titles(catalog, category="shirts") == ["Product 1"]
    assert await titles(catalog, category="clothes", state="draft") == ["Product 2"]
    assert await titles(catalog, category="nowhere") == []
    assert await titles(catalog, state="published", q="product") == ["Product 1"]


async def test_pages_tell_every_product_once(catalog: Catalog) -> None:
    await catalog.save(products=tuple(product(number) for number in range(1, 6)))

    page = await catalog.edited(limit=2)
    told = list(page)
    while page and len(told) < 9:
        page = await catalog.edited(limit=2, before=(page[-1].at, page[-1].product.id))
        told += page

    assert [one.product.title for one in told] == [f"Product {n}" for n in range(5, 0, -1)]


async def test_what_changed_last_comes_first_and_what_did_not_change_stays(shop: Bench) -> None:
    catalog = shop.ask(Catalog)
    await catalog.save(products=(product(1), product(2), product(3)))
    shop.clock.advance(60)
    await catalog.save(products=(replace(product(1), title="Changed"), product(2)))

    (last, *rest) = await catalog.edited()

    assert (last.product.title, last.at) == ("Changed", shop.clock.now())
    assert [one.product.title for one in rest] == ["Product 3", "Product 2"]


async def test_many_products_are_published_and_retired_at_once(catalog: Catalog) -> None:
    ids = tuple(product(n).id for n in (3, 1, 2))
    await catalog.save(products=tuple(product(n) for n in (1, 2, 3)))

    published = await catalog.publish_all(products=(*ids, ids[0]))
    again = await catalog.publish_all(products=ids)
    retired = await catalog.retire_all(products=ids[:2])

    assert [(one.id, one.state) for one in published] == [(one, "published") for one in ids]
    assert again == published
    assert [one.state for one in retired] == ["retired", "retired"]
    assert await titles(catalog, state="published") == ["Product 2"]


async def test_products_go_all_together_or_not_at_all(catalog: Catalog) -> None:
    bare = replace(product(2), variants=(), options=())
    await catalog.save(products=(product(1), bare))

    with pytest.raises(InvalidProduct) as refused:
        await catalog.publish_all(products=(product(1).id, bare.id))
    with pytest.raises(UnknownProduct):
        await catalog.retire_all(products=(product(1).id, NOBODY))
    with pytest.raises(InvalidProduct):
        await catalog.retire_all(products=(NOBODY,) * 1001)

    assert refused.value.product == bare.id
    assert await titles(catalog, state="draft") == ["Product 2", "Product 1"]


async def test_many_products_cost_as_many_statements_as_one(shop: Bench) -> None:
    catalog = shop.ask(Catalog)
    many = tuple(product(n) for n in range(1, 40))
    await catalog.save(products=many)

    run = shop.watch()
    await catalog.publish_all(products=(many[0].id,))
    of_one = len(run)
    run = shop.watch()
    await catalog.publish_all(products=tuple(one.id for one in many))

    assert len(run) == of_one
    assert len(await shop.told(ProductPublished)) == 39
    assert await shop.told(ProductRetired) == ()
