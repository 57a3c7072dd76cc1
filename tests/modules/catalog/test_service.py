"""The catalog on a real database: what it tells, what it costs, who waits for whom."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from msgspec.structs import replace

from banyan.kernel.link import Link
from banyan.kernel.testing import Bench, Server, bench
from banyan.modules.catalog.contract import (
    AttributesChanged,
    Catalog,
    CategoriesChanged,
    InvalidAttribute,
    InvalidCategory,
    InvalidProduct,
    ProductPublished,
    ProductRetired,
    StaleProduct,
    Taken,
)
from banyan.modules.catalog.module import module
from tests.modules.catalog.examples import CLOTHES, MATERIAL, SHIRT, SHIRTS, product


@pytest.fixture
async def shop(server: Server, tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench(server, [module], folder=tmp_path) as made:
        yield made


async def test_shoppers_hear_of_a_product_over_any_link(
    server: Server, link: Link, tmp_path: Path
) -> None:
    async with bench(server, [module], folder=tmp_path, link=link) as shop:
        catalog = shop.ask(Catalog)
        await catalog.save(products=(SHIRT,))
        published = await catalog.publish(product=SHIRT.id)
        (changed,) = await catalog.save(products=(replace(SHIRT, title="Blue shirt"),))
        await catalog.retire(product=SHIRT.id)

        told = await shop.told(ProductPublished)
        (gone,) = await shop.told(ProductRetired)

    assert [event.product for event in told] == [published, changed]
    assert gone == ProductRetired(
        product=SHIRT.id,
        slug="shirt",
        skus=tuple(variant.sku for variant in SHIRT.variants),
        version=4,
    )


async def test_a_draft_is_nobodys_business(shop: Bench) -> None:
    catalog = shop.ask(Catalog)

    await catalog.save(products=(SHIRT,))
    await catalog.save(products=(replace(SHIRT, title="Blue shirt"),))

    assert not await shop.told(ProductPublished)


async def test_what_does_not_change_is_not_told(shop: Bench) -> None:
    catalog = shop.ask(Catalog)
    seen = replace(SHIRT, state="published")
    for _ in range(2):
        await catalog.save(products=(seen,))
        await catalog.publish(product=SHIRT.id)
        await catalog.save_category(category=CLOTHES)
        await catalog.save_attribute(attribute=MATERIAL)

    assert len(await shop.told(ProductPublished)) == 1
    assert len(await shop.told(CategoriesChanged)) == 1
    assert len(await shop.told(AttributesChanged)) == 1


async def test_a_refused_change_is_not_told(shop: Bench) -> None:
    catalog = shop.ask(Catalog)
    bad = replace(product(2), state="published", categories=("nowhere",))

    with pytest.raises(InvalidProduct):
        await catalog.save(products=(replace(SHIRT, state="published"), bad))

    assert not await shop.told(ProductPublished)


async def test_the_whole_tree_is_told_with_each_change(shop: Bench) -> None:
    catalog = shop.ask(Catalog)
    await catalog.save_category(category=CLOTHES)
    await catalog.save_category(category=SHIRTS)
    await catalog.remove_category(category="shirts")

    told = await shop.told(CategoriesChanged)

    assert [[c.slug for c in event.categories] for event in told] == [
        ["clothes"],
        ["clothes", "shirts"],
        ["clothes"],
    ]
    assert told[0].version < told[1].version < told[2].version


async def test_all_attributes_are_told_with_each_change(shop: Bench) -> None:
    catalog = shop.ask(Catalog)
    await catalog.save_attribute(attribute=MATERIAL)
    await catalog.save_attribute(attribute=replace(MATERIAL, code="cloth"))
    await catalog.remove_attribute(attribute="material")

    told = await shop.told(AttributesChanged)

    assert [[a.code for a in event.attributes] for event in told] == [
        ["material"],
        ["cloth", "material"],
        ["cloth"],
    ]
    assert told[0].version < told[1].version < told[2].version


async def cost(shop: Bench, size: int, *, title: str) -> int:
    """Count the statements that a save of so many products takes."""
    batch = tuple(
        replace(product(n), title=title, state="published", categories=("clothes",))
        for n in range(1, size + 1)
    )
    run = shop.watch()
    await shop.ask(Catalog).save(products=batch)
    return len(run)


async def test_a_batch_costs_as_many_statements_as_one_product(shop: Bench) -> None:
    await shop.ask(Catalog).save_category(category=CLOTHES)

    new = await cost(shop, 1, title="New")
    one = await cost(shop, 1, title="One")
    thousand = await cost(shop, 1000, title="Thousand")
    unchanged = await cost(shop, 1000, title="Thousand")

    assert one == thousand == 8
    assert unchanged == 5
    assert new == 7  # What nobody has claimed before, clashes with nothing.
    assert len(await shop.told(ProductPublished)) == 1002


async def test_two_who_create_the_same_product_at_once_make_it_once(shop: Bench) -> None:
    catalog = shop.ask(Catalog)
    seen = replace(SHIRT, state="published")

    answers = await asyncio.gather(*(catalog.save(products=(seen,)) for _ in range(8)))

    assert {saved.version for (saved,) in answers} == {1}
    assert len(await shop.told(ProductPublished)) == 1


async def test_of_two_products_that_want_a_sku_at_once_one_gets_it(shop: Bench) -> None:
    catalog = shop.ask(Catalog)
    rivals = [replace(product(n), variants=product(1).variants) for n in range(1, 9)]

    answers = await asyncio.gather(
        *(catalog.save(products=(rival,)) for rival in rivals), return_exceptions=True
    )

    assert sum(isinstance(answer, tuple) for answer in answers) == 1
    assert sum(isinstance(answer, Taken) for answer in answers) == 7
    assert len(await catalog.products()) == 1


async def test_an_id_that_two_use_at_once_for_different_products_is_given_once(
    shop: Bench,
) -> None:
    catalog = shop.ask(Catalog)
    rivals = [replace(product(n), id=SHIRT.id) for n in range(1, 9)]

    answers = await asyncio.gather(
        *(catalog.save(products=(rival,), expected=0) for rival in rivals), return_exceptions=True
    )

    assert sum(isinstance(answer, tuple) for answer in answers) == 1
    assert sum(isinstance(answer, StaleProduct) for answer in answers) == 7


async def test_of_two_editors_who_save_at_once_one_is_told_to_look_again(shop: Bench) -> None:
    catalog = shop.ask(Catalog)
    await catalog.save(products=(SHIRT,))

    answers = await asyncio.gather(
        *(
            catalog.save(products=(replace(SHIRT, title=f"Title {n}"),), expected=1)
            for n in range(8)
        ),
        return_exceptions=True,
    )

    assert sum(isinstance(answer, tuple) for answer in answers) == 1
    assert sum(isinstance(answer, StaleProduct) for answer in answers) == 7


async def test_batches_in_any_order_do_not_block_each_other(shop: Bench) -> None:
    catalog = shop.ask(Catalog)
    batch = tuple(product(n) for n in range(1, 51))
    turned = tuple(replace(one, title="Turned") for one in reversed(batch))

    await asyncio.gather(*(catalog.save(products=p) for p in (batch, turned) * 4))

    versions = {one.version for one in await catalog.products(limit=100)}
    assert versions <= set(range(1, 9))


@pytest.mark.parametrize("turn", range(3))
async def test_a_category_never_goes_while_a_product_comes(shop: Bench, turn: int) -> None:
    catalog = shop.ask(Catalog)
    await catalog.save_category(category=CLOTHES)
    here = tuple(replace(product(n), categories=("clothes",)) for n in range(1, 1 + 40 * turn))

    answers = await asyncio.gather(
        catalog.save(products=(replace(SHIRT, id=product(999).id, categories=("clothes",)), *here)),
        catalog.remove_category(category="clothes"),
        return_exceptions=True,
    )

    refused = [answer for answer in answers if isinstance(answer, Exception)]
    assert len(refused) == 1
    assert isinstance(refused[0], InvalidProduct | InvalidCategory)


@pytest.mark.parametrize("turn", range(3))
async def test_an_attribute_never_narrows_while_a_product_says_more(shop: Bench, turn: int) -> None:
    catalog = shop.ask(Catalog)
    await catalog.save_attribute(attribute=MATERIAL)
    many = tuple(
        replace(product(n), attributes={"material": "linen"}) for n in range(1, 2 + 40 * turn)
    )

    answers = await asyncio.gather(
        catalog.save(products=many),
        catalog.save_attribute(attribute=replace(MATERIAL, choices=("cotton",))),
        return_exceptions=True,
    )

    refused = [answer for answer in answers if isinstance(answer, Exception)]
    assert len(refused) == 1
    assert isinstance(refused[0], InvalidProduct | InvalidAttribute)


async def test_two_moves_that_would_make_a_circle_together_do_not(shop: Bench) -> None:
    catalog = shop.ask(Catalog)
    shoes = replace(CLOTHES, slug="shoes")
    await catalog.save_category(category=CLOTHES)
    await catalog.save_category(category=shoes)

    answers = await asyncio.gather(
        catalog.save_category(category=replace(CLOTHES, parent="shoes")),
        catalog.save_category(category=replace(shoes, parent="clothes")),
        return_exceptions=True,
    )

    assert sum(isinstance(answer, InvalidCategory) for answer in answers) == 1
    assert len(await catalog.categories()) == 2


FORBIDDEN = (
    "DELETE FROM products",
    "DELETE FROM claims",
    "UPDATE claims SET product = gen_random_uuid()",
    "DELETE FROM revisions",
    "TRUNCATE categories CASCADE",
    "ALTER TABLE products ADD COLUMN color text",
)
IMPOSSIBLE = (
    "UPDATE products SET slug = 'Shirt'",
    "UPDATE products SET state = 'lost'",
    "UPDATE products SET version = 0",
    "UPDATE products SET state = 'published', variants = '[]'",
    "UPDATE categories SET parent = slug",
    "UPDATE categories SET parent = 'nowhere'",
    "UPDATE attributes SET choices = '{}'",
    "INSERT INTO claims VALUES ('slug', 'x', gen_random_uuid())",
    "INSERT INTO claims SELECT * FROM claims",
)


async def refusal(shop: Bench, sql: str) -> type[Exception] | None:
    """Try some SQL with the rights of the module, and tell how the database refuses it."""
    try:
        async with shop.app.rooms["catalog"].database.begin() as tx:
            await tx.execute(sql)
    except asyncpg.PostgresError as no:
        return type(no)
    return None


async def test_neither_the_module_nor_a_mistake_unmakes_what_is_so(shop: Bench) -> None:
    catalog = shop.ask(Catalog)
    await catalog.save_category(category=CLOTHES)
    await catalog.save_attribute(attribute=MATERIAL)
    await catalog.save(products=(SHIRT,))

    forbidden = {sql: await refusal(shop, sql) for sql in FORBIDDEN}
    impossible = {sql: await refusal(shop, sql) for sql in IMPOSSIBLE}

    assert set(forbidden.values()) == {asyncpg.InsufficientPrivilegeError}, forbidden
    assert all(
        no and issubclass(no, asyncpg.IntegrityConstraintViolationError)
        for no in impossible.values()
    ), impossible


async def test_the_doctor_finds_products_that_name_what_is_not_there(shop: Bench) -> None:
    catalog = shop.ask(Catalog)
    await catalog.save_category(category=CLOTHES)
    await catalog.save_attribute(attribute=MATERIAL)
    await catalog.save(
        products=(replace(SHIRT, categories=("clothes",), attributes={"material": "linen"}),)
    )
    room = shop.app.rooms["catalog"]
    (check,) = module.checks
    service = room.services[Catalog]
    healthy = await check.look(service)
    async with room.database.begin() as tx:
        await tx.execute("DELETE FROM categories")
        await tx.execute("DELETE FROM attributes")
        await tx.execute("UPDATE products SET slug = 'tunic'")

    findings = await check.look(service)

    assert not healthy
    assert [finding.split(", which")[0] for finding in findings] == [
        "product tunic names the attribute material",
        "product tunic names the category clothes",
        "product tunic names the slug tunic",
    ]
