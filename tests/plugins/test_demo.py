"""The demo shop: its data is sound, and its pictures are drawn."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import msgspec
import pytest

from banyan.kernel.http import build
from banyan.kernel.security import TokenGate
from banyan.plugins.demo import articles, pictures
from banyan.plugins.demo.plugin import plugin
from banyan.plugins.demo.shop import Setup
from banyan.vocabulary import Locale, Sku

SVG = "{http://www.w3.org/2000/svg}"
LARGEST_PICTURE = 4096
SOFA = Sku("HARBOR-SKY-TWOSEATS")

ARTICLES = {article.slug: article for article in articles.articles()}
PRODUCTS = articles.products()
SETUP = msgspec.toml.decode((articles.DATA / "shop.toml").read_bytes(), type=Setup)
CURRENCIES = {one.code: one.currency for one in SETUP.price_lists}


def test_there_are_120_products_in_12_categories_each_of_which_is_in_the_tree() -> None:
    used = Counter(category for product in PRODUCTS for category in product.categories)

    assert (len(PRODUCTS), len(used)) == (120, 12)
    assert set(used) <= {category.slug for category in SETUP.categories}


def test_nothing_is_there_twice() -> None:
    skus = [variant.sku for product in PRODUCTS for variant in product.variants]
    names = [view.name for article in ARTICLES.values() for view in article.views()]

    for words in (skus, names, [p.slug for p in PRODUCTS], [p.title for p in PRODUCTS]):
        assert [word for word, times in Counter(words).items() if times > 1] == []


def test_every_value_of_an_option_can_be_picked_and_whatever_costs_more_is_one() -> None:
    for product in PRODUCTS:
        for option in product.options:
            picked = {variant.options[option.name] for variant in product.variants}
            assert picked == set(option.values), product.slug
    for article in ARTICLES.values():
        assert set(article.extra) <= set(itertools.chain(*article.options.values())), article.slug


def test_every_attribute_is_known_and_used() -> None:
    used = {code for product in PRODUCTS for code in product.attributes}

    assert used == {attribute.code for attribute in SETUP.attributes}


def test_everything_that_shoppers_read_is_there_in_each_language_of_the_markets() -> None:
    languages = {locale for market in SETUP.markets for locale in market.locales}

    titles = [one.title for one in SETUP.categories] + [one.title for one in SETUP.attributes]
    assert all(set(title) == languages for title in titles)
    for product in PRODUCTS:
        assert {Locale("en"), *product.translations} == languages, product.slug
        for text in product.translations.values():
            assert text.title, product.slug
            assert text.description.count("<p>") == product.description.count("<p>") == 2


def test_whatever_is_picked_or_read_of_a_product_is_said_in_german() -> None:
    texts = {one.code for one in SETUP.attributes if one.kind == "text"} - {"designer"}
    read = set()
    for product in PRODUCTS:
        own = {picture.alt for picture in product.pictures}
        own |= {word for one in product.options for word in (one.name, *one.values)}
        own |= {str(value) for code, value in product.attributes.items() if code in texts}
        said = set(product.translations[Locale("de")].words)
        # A size such as XL or 60 cm has no word of three small letters.
        assert {word for word in own if re.search("[a-z]{3}", word)} <= said, product.slug
        read |= own

    assert set(articles.glossary()) <= read


def test_every_choice_but_the_size_of_paper_is_said_in_german() -> None:
    for attribute in SETUP.attributes:
        said = attribute.words.get(Locale("de"), {})
        assert attribute.code == "format" or set(said) == set(attribute.choices), attribute.code


def test_every_variant_has_a_price_in_euros_and_in_dollars() -> None:
    priced = {(one.sku, one.price_list) for one in articles.prices(CURRENCIES) if one.amount > 0}

    assert CURRENCIES == {"eu": "EUR", "us": "USD"}
    assert priced == {
        (variant.sku, code)
        for product in PRODUCTS
        for variant in product.variants
        for code in CURRENCIES
    }


def test_a_former_price_is_higher() -> None:
    reduced = [one for one in articles.prices(CURRENCIES) if one.compare_at is not None]

    assert reduced
    assert all(one.compare_at and one.compare_at > one.amount for one in reduced)


def test_the_shop_shows_what_shops_have_to_deal_with() -> None:
    arrived = {one.sku for one in articles.deliveries(["berlin"])}
    lamp = ARTICLES["arc-floor-lamp"]

    assert len([sku for sku, _ in lamp.variants() if sku in arrived]) > 1
    assert max(len(product.variants) for product in PRODUCTS) >= 40
    assert any(not variant.shippable for product in PRODUCTS for variant in product.variants)
    assert any(article.stock == 0 for article in ARTICLES.values())
    assert SOFA in articles.backordered()


def test_a_misspelled_word_in_the_setup_would_be_noticed() -> None:
    """Values ignore what they do not know, so their fields are compared with the file."""
    written = msgspec.toml.decode((articles.DATA / "shop.toml").read_bytes())

    for name, rows in written.items():
        known = set(getattr(SETUP, name)[0].__struct_fields__)
        assert [key for row in rows for key in row if key not in known] == [], name


def test_every_product_has_a_picture_with_words_for_it() -> None:
    shown = [picture for product in PRODUCTS for picture in product.pictures]

    assert all(product.pictures for product in PRODUCTS)
    assert {one.url for one in shown} == {f"/media/demo/{name}.svg" for name in pictures.views()}
    assert all(picture.alt for picture in shown)


def test_every_picture_is_small_harmless_and_has_a_title() -> None:
    harmless = {f"{SVG}{tag}" for tag in ("svg", "title", "g", "path", "rect", "circle", "ellipse")}

    for name, view in pictures.views().items():
        drawn = pictures.picture(name)
        root = ET.fromstring(drawn)  # noqa: S314 - it is ours
        assert len(drawn) < LARGEST_PICTURE, name
        assert {element.tag for element in root.iter()} == harmless & {e.tag for e in root.iter()}
        assert [
            key for e in root.iter() for key in e.attrib if key[:2] == "on" or "href" in key
        ] == []
        assert root.findtext(f"{SVG}title") == view.title


def test_every_color_is_known_and_every_drawing_is_used() -> None:
    views = pictures.views().values()
    drawings = {file.stem for file in (articles.DATA / "drawings").iterdir()}

    assert {view.color for view in views if view.color} <= set(pictures.colors().options)
    assert {name for view in views for name in view.drawings.split()} == drawings


def test_a_picture_is_the_same_each_time_and_another_in_each_color() -> None:
    names = [view.name for view in ARTICLES["arc-floor-lamp"].views()]
    first = [pictures.picture(name) for name in names]
    pictures.picture.cache_clear()

    assert [pictures.picture(name) for name in names] == first
    assert len(set(first)) == len(names) > 1


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async def ready() -> dict[str, bool]:
        return {}

    app: Any = build(plugin.routes, dependencies={}, gate=TokenGate(""), ready=ready)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://demo") as client:
        yield client


async def test_a_picture_may_be_kept_and_may_do_nothing(client: httpx.AsyncClient) -> None:
    answer = await client.get(
        "/media/demo/arc-floor-lamp-terracotta.svg", headers={"accept": "image/avif,image/*"}
    )

    assert answer.status_code == HTTPStatus.OK
    assert answer.headers["content-type"] == "image/svg+xml"
    assert answer.headers["cache-control"] == "public, max-age=604800, immutable"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.content == pictures.picture("arc-floor-lamp-terracotta")


@pytest.mark.parametrize(
    "file", ["no-such-lamp.svg", "arc-floor-lamp-terracotta", "..%2Fshop.toml"]
)
async def test_of_what_is_not_sold_there_is_no_picture(
    client: httpx.AsyncClient, file: str
) -> None:
    answer = await client.get(f"/media/demo/{file}")

    assert answer.status_code == HTTPStatus.NOT_FOUND
