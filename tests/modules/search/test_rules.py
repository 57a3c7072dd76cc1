"""The rules of search."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from banyan.kernel.paging import BadCursor
from banyan.modules.catalog.contract import Category
from banyan.modules.search import model
from banyan.modules.search.contract import BadFilter, FacetValue, ProductCard, Sort
from banyan.modules.search.model import Asked, Chosen, Counted, FacetAttribute, Hit, Listed
from banyan.vocabulary import Locale, MarketCode

SORTS: tuple[Sort, ...] = ("newest", "price", "-price", "title", "relevance")
CARD = ProductCard(
    slug="lamp",
    title="Lamp",
    image="",
    image_alt="",
    price=None,
    compare_at=None,
    price_varies=False,
    available=True,
)


def asked(*, q: str = "", sort: Sort | None = None, limit: int = 2) -> Asked:
    return model.ask(q, None, {}, sort=sort, market=None, wishes=(), limit=limit)


def listed(
    *counted: Counted, hits: int = 0, key: str = "7", attribute: FacetAttribute | None = None
) -> Listed:
    return Listed(
        market=MarketCode("eu"),
        locale=Locale("en"),
        currency="EUR",
        tax_inclusive=True,
        category=None,
        hits=tuple(Hit(card=CARD, key=key, product=UUID(int=n + 1)) for n in range(hits)),
        counted=counted,
        attributes=(attribute,) if attribute else (),
        options={},
    )


def counted(code: str, **values: int) -> tuple[Counted, ...]:
    return tuple(
        Counted(code=code, value=value.strip("_").lower(), label=value.strip("_"), count=count)
        for value, count in values.items()
    )


def test_a_query_is_answered_by_relevance_and_everything_else_newest_first() -> None:
    chosen = [asked(q=" "), asked(q="lamp"), asked(sort="relevance"), asked(q="x", sort="title")]

    assert [one.sort for one in chosen] == ["newest", "relevance", "newest", "title"]


def test_a_page_has_at_least_one_and_at_most_a_hundred_products() -> None:
    assert [asked(limit=limit).limit for limit in (-1, 0, 1, 100, 10**9)] == [1, 1, 1, 100, 100]


@given(st.dictionaries(st.text(), st.lists(st.text()).map(tuple)))
def test_a_filter_is_understood_or_refused(filters: dict[str, tuple[str, ...]]) -> None:
    try:
        chosen = model.choose(filters)
    except BadFilter:
        return

    assert {one.code for one in chosen} == {code.lower() for code, some in filters.items() if some}
    assert all(one.choices for one in chosen)


@given(st.integers(0, 10**14), st.integers(0, 10**14))
def test_a_range_of_prices_includes_its_lower_end_only(one: int, other: int) -> None:
    least, below = sorted((one, other))

    assert model.choose({"price": (f"{least}-{below}", f"{least}-", f"-{below}")}) == (
        Chosen(
            code="price",
            choices=tuple(sorted((f"[{least},{below})", f"[{least},)", f"[,{below})"))),
        ),
    )


@given(st.text(max_size=50), st.sampled_from(SORTS), st.integers(1, 9), st.integers(0, 10))
def test_a_cursor_leads_to_where_the_page_ended(q: str, sort: Sort, limit: int, hits: int) -> None:
    first = asked(q=q, sort=sort, limit=limit)

    page = model.found(first, listed(hits=hits))
    following = model.turn_to(first, page.next)

    assert len(page.items) == min(hits, limit)
    assert (page.next is not None) == (hits > limit)
    if following.after:
        assert (following.after.key, following.after.product) == ("7", UUID(int=limit))


@given(st.text(max_size=40))
def test_a_cursor_that_is_made_up_is_refused(cursor: str) -> None:
    with pytest.raises(BadCursor):
        model.turn_to(asked(), cursor)


@pytest.mark.parametrize(
    ("sort", "same"), [("newest", True), ("price", True), ("title", False), ("relevance", False)]
)
def test_a_list_goes_on_in_another_language_unless_words_order_it(
    sort: Sort, *, same: bool
) -> None:
    first = asked(q="lamp", sort=sort)

    assert (model.name_of(replace(first, wishes=("de",))) == model.name_of(first)) == same


def test_a_cursor_with_a_key_of_another_kind_is_refused() -> None:
    by_title = model.found(asked(sort="price"), listed(hits=3, key="lamp")).next

    with pytest.raises(BadCursor):
        model.turn_to(asked(sort="price"), by_title)


@given(st.integers(1, 10**12))
def test_every_price_lies_in_a_step_of_the_ladder(amount: int) -> None:
    power = 10 ** (len(str(amount)) - 1)
    least = max(step * power for step in (1, 2, 5) if step * power <= amount)

    assert least <= amount < model.price_step_above(least)
    assert str(model.price_step_above(least)).strip("0") in ("1", "2", "5")


def test_facets_of_ours_come_first_and_others_by_title() -> None:
    made = model.facets(
        listed(
            *counted("size", m=1),
            *counted("color", red=1),
            *counted("brand", acme=1),
            *counted("price", **{"1000": 1}),
        )
    )

    assert [(facet.code, facet.title) for facet in made] == [
        ("price", "Price"),
        ("brand", "Brand"),
        ("color", "Color"),
        ("size", "Size"),
    ]


def test_values_come_in_the_order_that_people_expect() -> None:
    frequent = model.facets(listed(*counted("color", Red=1, Blue=7, Green=7)))
    numbers = model.facets(listed(*counted("height", _9=1, _100=7, _40=2)))
    wood = FacetAttribute(code="wood", title="Wood", unit="", choices=("Oak", "Ash"))
    choices = model.facets(listed(*counted("wood", Ash=9, Oak=1), attribute=wood))

    shown = [[value.title for value in facet.values] for (facet,) in (frequent, numbers, choices)]
    assert shown == [["Blue", "Green", "Red"], ["9", "40", "100"], ["Oak", "Ash"]]


def test_a_number_is_told_with_its_unit_and_a_price_with_its_currency() -> None:
    height = FacetAttribute(code="height", title="Height", unit="cm", choices=())

    (price, tall) = model.facets(
        listed(*counted("price", _2000=3), *counted("height", _40=2), attribute=height)
    )

    assert price.values == (FacetValue(value="2000-5000", title="€20.00 – €50.00", count=3),)
    assert tall.values == (FacetValue(value="40", title="40 cm", count=2),)


@pytest.mark.parametrize("language", ["en", "de-AT", "zh-Hant-TW", "tlh", "x", "not a language"])
def test_a_price_can_be_told_in_every_language(language: str) -> None:
    assert "10" in model.price_range(10, 20, "JPY", language)


def test_a_path_leads_from_the_root_to_a_category() -> None:
    tree = [
        Category(slug="home", title={Locale("en"): "Home"}),
        Category(slug="lamps", title={Locale("en"): "Lamps"}, parent="home"),
        Category(slug="desk", title={Locale("en"): "Desk"}, parent="lamps"),
        Category(slug="lost", title={Locale("en"): "Lost"}, parent="nowhere"),
        Category(slug="egg", title={Locale("en"): "Egg"}, parent="hen"),
        Category(slug="hen", title={Locale("en"): "Hen"}, parent="egg"),
    ]

    assert model.paths(tree) == {
        "home": ("home",),
        "lamps": ("home", "lamps"),
        "desk": ("home", "lamps", "desk"),
        "lost": ("lost",),
        "egg": ("hen", "egg"),
        "hen": ("egg", "hen"),
    }
