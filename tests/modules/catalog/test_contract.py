"""What the catalog promises, of the service over every link and of the fake alike."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from banyan.modules.catalog.contract import (
    Attribute,
    Catalog,
    InvalidAttribute,
    InvalidCategory,
    InvalidProduct,
    StaleAttribute,
    StaleCategory,
    StaleProduct,
    Taken,
    UnknownAttribute,
    UnknownCategory,
    UnknownProduct,
)
from banyan.vocabulary import Sku
from tests.modules.catalog.examples import (
    CLOTHES,
    EN,
    GERMAN_MATERIAL,
    GERMAN_SHIRT,
    MATERIAL,
    NOBODY,
    SHIRT,
    SHIRTS,
    product,
)


async def test_a_product_is_returned_as_it_was_saved(catalog: Catalog) -> None:
    (saved,) = await catalog.save(products=(GERMAN_SHIRT,))

    assert saved == replace(GERMAN_SHIRT, version=1)
    assert await catalog.product(product=SHIRT.id) == saved


async def test_an_unknown_product_is_a_problem(catalog: Catalog) -> None:
    with pytest.raises(UnknownProduct):
        await catalog.product(product=NOBODY)
    with pytest.raises(UnknownProduct):
        await catalog.publish(product=NOBODY)
    with pytest.raises(UnknownProduct):
        await catalog.retire(product=NOBODY)


async def test_a_batch_is_saved_in_its_order_or_not_at_all(catalog: Catalog) -> None:
    many = tuple(product(number) for number in (3, 1, 2))

    saved = await catalog.save(products=many)
    with pytest.raises(InvalidProduct) as refused:
        await catalog.save(products=(product(4), replace(product(5), tags=("a", "a"))))

    assert [one.id for one in saved] == [one.id for one in many]
    assert refused.value.product == product(5).id
    assert not await catalog.find(slugs=("product-4",))


async def test_a_second_save_of_the_same_changes_nothing(catalog: Catalog) -> None:
    rich = replace(
        SHIRT, attributes={"length": 70}, description="<script></script>Plain & simple<p>"
    )
    await catalog.save_attribute(
        attribute=Attribute(code="length", title={EN: "Length"}, kind="number")
    )

    first = await catalog.save(products=(rich,))
    second = await catalog.save(products=(rich,))

    assert second == first
    assert first[0].version == 1


async def test_a_change_makes_a_version_and_an_outdated_one_is_refused(catalog: Catalog) -> None:
    await catalog.save(products=(SHIRT,))

    (changed,) = await catalog.save(products=(replace(SHIRT, title="Blue shirt"),), expected=1)
    with pytest.raises(StaleProduct) as refused:
        await catalog.save(products=(replace(SHIRT, title="Red shirt"),), expected=1)

    assert changed.version == 2
    assert refused.value.version == 2


async def test_an_import_may_create_what_shoppers_see_at_once(catalog: Catalog) -> None:
    (saved,) = await catalog.save(products=(replace(SHIRT, state="published"),))
    (saved_again,) = await catalog.save(products=(replace(SHIRT, state="draft"),))

    assert saved.state == "published"
    assert saved_again == saved


async def test_a_product_is_published_and_retired_once(catalog: Catalog) -> None:
    await catalog.save(products=(SHIRT,))

    published = await catalog.publish(product=SHIRT.id, expected=1)
    again = await catalog.publish(product=SHIRT.id)
    retired = await catalog.retire(product=SHIRT.id, expected=2)
    gone = await catalog.retire(product=SHIRT.id)

    assert (published.state, published.version) == ("published", 2)
    assert again == published
    assert (retired.state, retired.version) == ("retired", 3)
    assert gone == retired


async def test_what_is_retired_is_retired_for_good(catalog: Catalog) -> None:
    await catalog.save(products=(SHIRT,))
    retired = await catalog.retire(product=SHIRT.id)

    with pytest.raises(InvalidProduct):
        await catalog.publish(product=SHIRT.id)
    with pytest.raises(InvalidProduct):
        await catalog.save(products=(replace(SHIRT, title="Other"),))

    assert await catalog.save(products=(SHIRT,)) == (retired,)


async def test_the_state_of_an_outdated_version_does_not_change(catalog: Catalog) -> None:
    await catalog.save(products=(SHIRT,))

    with pytest.raises(StaleProduct):
        await catalog.publish(product=SHIRT.id, expected=2)
    with pytest.raises(StaleProduct):
        await catalog.retire(product=SHIRT.id, expected=2)


async def test_a_slug_belongs_to_one_product_for_good(catalog: Catalog) -> None:
    await catalog.save(products=(SHIRT,))
    await catalog.save(products=(replace(SHIRT, slug="tunic"),))
    other = product(2)

    for slug in ("shirt", "tunic"):
        with pytest.raises(Taken) as refused:
            await catalog.save(products=(replace(other, slug=slug),))
        assert refused.value.fields() == {"what": "slug", "value": slug, "product": other.id}
    (back,) = await catalog.save(products=(SHIRT,))

    assert (back.slug, back.version) == ("shirt", 3)


async def test_a_sku_belongs_to_one_product_for_good(catalog: Catalog) -> None:
    await catalog.save(products=(SHIRT,))
    await catalog.save(products=(replace(SHIRT, variants=SHIRT.variants[:1]),))
    await catalog.retire(product=SHIRT.id)

    for variant in SHIRT.variants:
        with pytest.raises(Taken) as refused:
            await catalog.save(products=(replace(SHIRT, id=product(2).id, slug="other"),))
        assert refused.value.what == "sku"
        assert refused.value.value in {one.sku for one in SHIRT.variants}, variant


async def test_a_sku_is_not_given_to_two_products_of_a_batch(catalog: Catalog) -> None:
    twin = replace(product(2), variants=product(1).variants)

    with pytest.raises(Taken):
        await catalog.save(products=(product(1), twin))

    assert not await catalog.products()


async def test_products_are_listed_by_id_in_pages(catalog: Catalog) -> None:
    await catalog.save(products=tuple(product(number) for number in (5, 3, 1, 4, 2)))

    first = await catalog.products(limit=2)
    second = await catalog.products(limit=2, after=first[-1].id)
    third = await catalog.products(limit=2, after=second[-1].id)

    assert [one.title for one in (*first, *second, *third)] == [f"Product {n}" for n in range(1, 6)]


async def test_products_are_found_by_a_part_of_title_or_sku(catalog: Catalog) -> None:
    await catalog.save(products=(SHIRT, replace(product(2), title="100% linen_tunic")))

    async def titles(q: str) -> list[str]:
        return [one.title for one in await catalog.products(q=q)]

    assert await titles("SHIR") == ["Shirt"]
    assert await titles("irt-m") == ["Shirt"]
    assert await titles("100%") == ["100% linen_tunic"]
    assert await titles("%") == ["100% linen_tunic"]
    assert await titles("n_t") == ["100% linen_tunic"]
    assert await titles("\\") == []


async def test_products_are_listed_by_state(catalog: Catalog) -> None:
    await catalog.save(products=(product(1), product(2), product(3)))
    await catalog.publish(product=product(2).id)

    drafts = await catalog.products(state="draft")
    published = await catalog.products(state="published", q="product")

    assert [one.slug for one in drafts] == ["product-1", "product-3"]
    assert [one.slug for one in published] == ["product-2"]


async def test_products_are_found_by_the_slugs_and_skus_that_they_have(catalog: Catalog) -> None:
    await catalog.save(products=(SHIRT, product(2), product(3)))
    await catalog.save(products=(replace(SHIRT, slug="tunic", variants=SHIRT.variants[:1]),))

    found = await catalog.find(slugs=("product-2",), skus=(Sku("shirt-s"), Sku("nothing")))

    assert [one.slug for one in found] == ["tunic", "product-2"]
    assert not await catalog.find(slugs=("shirt",), skus=(Sku("shirt-m"),))
    assert not await catalog.find()


async def test_a_product_may_only_be_where_there_is_a_category(catalog: Catalog) -> None:
    await catalog.save_category(category=CLOTHES)
    here, there = replace(SHIRT, categories=("clothes",)), replace(SHIRT, categories=("shirts",))

    await catalog.save(products=(here,))
    with pytest.raises(InvalidProduct) as refused:
        await catalog.save(products=(there,))

    assert refused.value.pointer == "/categories/0"


async def test_the_tree_lists_parents_before_children(catalog: Catalog) -> None:
    await catalog.save_category(category=CLOTHES)
    await catalog.save_category(category=SHIRTS)
    await catalog.save_category(category=replace(CLOTHES, slug="books", position=1))

    assert [one.slug for one in await catalog.categories()] == ["clothes", "shirts", "books"]


async def test_a_category_has_versions(catalog: Catalog) -> None:
    first = await catalog.save_category(category=CLOTHES, expected=0)
    again = await catalog.save_category(category=CLOTHES)
    second = await catalog.save_category(category=replace(CLOTHES, position=4), expected=1)

    assert (first.version, again.version, second.version) == (1, 1, 2)
    for expected in (0, 1):
        with pytest.raises(StaleCategory) as refused:
            await catalog.save_category(category=CLOTHES, expected=expected)
        assert refused.value.version == 2
    with pytest.raises(StaleCategory):
        await catalog.remove_category(category="clothes", expected=1)


async def test_the_tree_has_no_circles(catalog: Catalog) -> None:
    await catalog.save_category(category=CLOTHES)
    await catalog.save_category(category=SHIRTS)

    with pytest.raises(InvalidCategory):
        await catalog.save_category(category=replace(CLOTHES, parent="shirts"))


async def test_a_category_goes_when_nothing_hangs_on_it(catalog: Catalog) -> None:
    await catalog.save_category(category=CLOTHES)
    await catalog.save_category(category=SHIRTS)
    await catalog.save(products=(replace(SHIRT, categories=("shirts",)),))

    for slug in ("clothes", "shirts"):
        with pytest.raises(InvalidCategory):
            await catalog.remove_category(category=slug)
    await catalog.retire(product=SHIRT.id)
    await catalog.remove_category(category="shirts")
    await catalog.remove_category(category="clothes", expected=1)

    assert await catalog.categories() == ()
    with pytest.raises(UnknownCategory):
        await catalog.remove_category(category="clothes")


async def test_what_a_product_says_of_an_attribute_fits_it(catalog: Catalog) -> None:
    await catalog.save_attribute(attribute=MATERIAL)

    await catalog.save(products=(replace(SHIRT, attributes={"material": "linen"}),))
    for wrong in ({"material": "wool"}, {"material": 2.0}, {"length": 2.0}):
        with pytest.raises(InvalidProduct) as refused:
            await catalog.save(products=(replace(SHIRT, attributes=wrong),))
        assert refused.value.pointer == f"/attributes/{next(iter(wrong))}"


async def test_an_attribute_keeps_what_products_say(catalog: Catalog) -> None:
    await catalog.save_attribute(attribute=MATERIAL)
    await catalog.save(products=(replace(SHIRT, attributes={"material": "linen"}),))

    await catalog.save_attribute(attribute=replace(MATERIAL, choices=("linen", "wool")))
    await catalog.save_attribute(attribute=replace(MATERIAL, kind="text", choices=()))
    for narrower in (
        replace(MATERIAL, choices=("cotton",)),
        replace(MATERIAL, kind="number", choices=()),
    ):
        with pytest.raises(InvalidAttribute) as refused:
            await catalog.save_attribute(attribute=narrower)
        assert "linen" in refused.value.reason

    assert [one.kind for one in await catalog.attributes()] == ["text"]


async def test_an_attribute_has_versions(catalog: Catalog) -> None:
    first = await catalog.save_attribute(attribute=GERMAN_MATERIAL, expected=0)
    again = await catalog.save_attribute(attribute=GERMAN_MATERIAL)
    second = await catalog.save_attribute(attribute=replace(MATERIAL, facet=True), expected=1)

    assert (first.version, again.version, second.version) == (1, 1, 2)
    with pytest.raises(StaleAttribute):
        await catalog.save_attribute(attribute=MATERIAL, expected=1)
    with pytest.raises(StaleAttribute):
        await catalog.remove_attribute(attribute="material", expected=1)


async def test_an_attribute_goes_when_no_product_uses_it(catalog: Catalog) -> None:
    await catalog.save_attribute(attribute=MATERIAL)
    await catalog.save_attribute(attribute=Attribute(code="age", title={EN: "Age"}, kind="number"))
    await catalog.save(products=(replace(SHIRT, attributes={"material": "linen"}),))

    with pytest.raises(InvalidAttribute):
        await catalog.remove_attribute(attribute="material")
    await catalog.remove_attribute(attribute="age", expected=1)
    with pytest.raises(UnknownAttribute):
        await catalog.remove_attribute(attribute="age")

    assert [one.code for one in await catalog.attributes()] == ["material"]
