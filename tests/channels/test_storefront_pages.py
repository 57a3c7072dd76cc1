"""The pages of the storefront, as a program reads them: no browser is needed for these truths."""

from __future__ import annotations

import json
import re
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree as ET

import httpx
import pytest

HOME = "/eu/en"
LIST = "/eu/en/categories/living"
PRODUCT = "/eu/en/products/market-basket"
BROWSED = (HOME, LIST, "/eu/en/search?q=lamp", PRODUCT)
PLACES = ("/eu/en", "/eu/de", "/us/en")
MOST_BYTES = 60_000

XML = {"s": "http://www.sitemaps.org/schemas/sitemap/0.9", "x": "http://www.w3.org/1999/xhtml"}


@pytest.mark.parametrize(
    ("wishes", "home"),
    [("de-AT,de;q=0.9", "/eu/de"), ("en-US", "/eu/en"), ("fr", "/eu/en"), ("", "/eu/en")],
)
def test_visitors_are_led_to_their_language(client: httpx.Client, wishes: str, home: str) -> None:
    led = client.get("/", headers={"accept-language": wishes})

    assert (led.status_code, led.headers["location"]) == (303, home)
    assert "Accept-Language" in led.headers["vary"]


@pytest.mark.parametrize("path", BROWSED)
def test_pages_of_browsing_are_small_and_kept_by_anybody(client: httpx.Client, path: str) -> None:
    page = client.get(path)
    again = client.get(path, headers={"if-none-match": page.headers["etag"]})

    assert page.status_code == 200
    assert len(page.content) < MOST_BYTES
    assert page.headers["cache-control"] == "public, max-age=15, stale-while-revalidate=60"
    assert "set-cookie" not in page.headers
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", BROWSED)
def test_a_page_says_its_language_and_has_one_heading(client: httpx.Client, path: str) -> None:
    german = client.get(path.replace("/eu/en", "/eu/de"))

    assert '<html lang="de">' in german.text
    assert german.headers["content-language"] == "de"
    assert german.text.count("<h1") == 1


def test_a_product_is_known_in_all_places(client: httpx.Client) -> None:
    page = client.get(PRODUCT).text
    base = str(client.base_url).rstrip("/")

    alternates = dict(re.findall(r'hreflang="([^"]+)"\s+href="(http[^"]+)"', page))
    canonical = re.findall(r'rel="canonical" href="([^"]+)"', page)

    product = PRODUCT.removeprefix(HOME)
    assert alternates == {
        "en": base + "/eu/en" + product,
        "de": base + "/eu/de" + product,
        "en-US": base + "/us/en" + product,
        "x-default": base + "/eu/en" + product,
    }
    assert canonical == [base + PRODUCT]


def test_what_was_picked_does_not_make_another_page(client: httpx.Client) -> None:
    page = client.get(PRODUCT, params={"option-1": "Rust"}).text

    assert f'rel="canonical" href="{client.base_url.join(PRODUCT)}"' in page


def test_a_product_tells_search_engines_what_it_costs(client: httpx.Client) -> None:
    found = re.search(
        r'<script type="application/ld\+json">(.*?)</script>', client.get(PRODUCT).text
    )
    assert found

    product, crumbs = json.loads(found[1])["@graph"]

    assert "<" not in found[1]
    assert product["name"] == "Market Basket"
    assert "<p>" not in product["description"]
    assert {offer["sku"]: offer["price"] for offer in product["offers"]}[
        "MARKET-NATURAL-LARGE"
    ] == "69.00"
    assert [one["name"] for one in crumbs["itemListElement"]] == ["Living", "Tables & Storage"]


@pytest.mark.parametrize(
    ("place", "wording"),
    [
        ("/eu/en", "incl. VAT, plus shipping"),
        ("/eu/de", "inkl. MwSt., zzgl. Versand"),
        ("/us/en", "plus sales tax and shipping"),
    ],
)
def test_a_price_is_told_as_its_market_tells_it(
    client: httpx.Client, place: str, wording: str
) -> None:
    assert wording in client.get(f"{place}/products/market-basket").text


def test_a_reduction_is_told_in_words(client: httpx.Client) -> None:
    page = client.get(f"{HOME}/products/drum-pouf").text

    assert re.search(r'<span class="unseen">Before</span>\s*€', page)


def test_options_lead_to_their_variant(client: httpx.Client) -> None:
    page = client.get(PRODUCT, params={"option-1": "Rust", "option-2": "Large"}).text

    assert 'name="sku" value="MARKET-RUST-LARGE"' in page


def test_what_was_never_offered_picks_what_can_be_bought(client: httpx.Client) -> None:
    page = client.get(PRODUCT, params={"option-1": "Tartan", "sku": "NOTHING"}).text

    assert 'name="sku" value="MARKET-NATURAL-MEDIUM"' in page


def test_what_is_sold_out_cannot_be_put_into_a_cart(client: httpx.Client) -> None:
    page = client.get(f"{HOME}/products/evening-turntable").text

    assert "Sold out" in page
    assert "/cart/lines" not in page
    assert 'href="#alike"' in page


def test_filters_narrow_a_list_and_can_be_taken_away(client: httpx.Client) -> None:
    everything = client.get(LIST).text
    narrowed = client.get(LIST, params={"filter": ["color:sage"], "most": "100"}).text

    assert _cards(narrowed) < _cards(everything) or _cards(narrowed) == 24
    assert 'value="color:sage" checked' in narrowed
    assert "up to €100.00" in narrowed
    without = f'href="{LIST}?filter=color%3Asage"'
    assert without in narrowed


def test_a_list_goes_on_where_its_page_ends(client: httpx.Client) -> None:
    seen: list[str] = []
    path = LIST
    for _ in range(5):
        page = client.get(path).text
        seen += re.findall(r'<h3 lang="en">\s*<a href="([^"]+)"', page)
        following = re.search(r'rel="next"\s+href="([^"]+)"', page)
        if following is None:
            break
        path = following[1].replace("&amp;", "&")

    assert len(seen) == len(set(seen)) == 50


@pytest.mark.parametrize(
    "nonsense",
    ["least=abc", "sort=upside-down", "filter=nothing", "filter=:", "most=-5", "q=" + "x" * 300],
)
def test_nonsense_in_an_address_asks_for_nothing(client: httpx.Client, nonsense: str) -> None:
    page = client.get(f"{LIST}?{nonsense}")

    assert page.status_code == 200
    assert _cards(page.text) == 24


def test_prices_may_be_said_in_any_order(client: httpx.Client) -> None:
    page = client.get(LIST, params={"least": "100", "most": "50"}).text

    assert "€50.00 – €100.00" in page


def test_a_cursor_that_is_no_more_leads_to_the_first_page(client: httpx.Client) -> None:
    led = client.get(LIST, params={"filter": "color:sage", "cursor": "bm8"})

    assert (led.status_code, led.headers["location"]) == (303, f"{LIST}?filter=color%3Asage")


def test_a_misspelt_query_finds_what_was_meant(client: httpx.Client) -> None:
    page = client.get(f"{HOME}/search", params={"q": "chiar"}).text

    assert "Chair" in page


def test_an_empty_list_tells_what_to_do_next(client: httpx.Client) -> None:
    page = client.get(f"{HOME}/search", params={"q": "qqxxzzqq"}).text

    assert "Nothing fits that yet" in page
    assert f'href="{HOME}/categories/living"' in page


def test_what_is_typed_is_never_read_as_markup(client: httpx.Client) -> None:
    page = client.get(f"{HOME}/search", params={"q": '"><script>alert(1)</script>'}).text

    assert "<script>alert" not in page


@pytest.mark.parametrize(
    ("path", "home", "words"),
    [
        ("/eu/de/nothing/here", "/eu/de", "Diese Seite gibt es nicht"),
        ("/eu/de/products/nothing", "/eu/de", "Diese Seite gibt es nicht"),
        ("/mars/de/products/lamp", "/", "Diese Seite gibt es nicht"),
        ("/nothing", "/", "This page is not here"),
    ],
)
def test_what_is_not_there_has_a_page_with_a_way_on(
    client: httpx.Client, path: str, home: str, words: str
) -> None:
    page = client.get(path, headers={"accept": "text/html", "accept-language": "en"})

    assert page.status_code == 404
    assert words in page.text
    assert f'href="{home}"' in page.text
    assert page.headers["cache-control"] == "private, no-store"


def test_robots_are_told_what_to_leave_alone(client: httpx.Client) -> None:
    told = client.get("/robots.txt")

    assert told.headers["content-type"].startswith("text/plain")
    assert "Disallow: /*/cart" in told.text
    assert "Disallow: /*/search" in told.text
    assert told.text.endswith(f"Sitemap: {client.base_url.join('/sitemap.xml')}\n")


def test_the_sitemap_leads_to_every_product_in_every_place(client: httpx.Client) -> None:
    index = _xml(client, "/sitemap.xml")
    parts = [part.text or "" for part in index.findall("s:sitemap/s:loc", XML)]

    urls = [url for part in parts for url in _xml(client, part).findall("s:url", XML)]

    paths = {urlsplit(url.findtext("s:loc", "", XML)).path for url in urls}
    assert len(paths) == len(urls)
    assert len([path for path in paths if "/products/" in path]) == 120 * len(PLACES)
    assert {f"{place}/categories/living" for place in PLACES} <= paths
    assert all(len(url.findall("x:link", XML)) == len(PLACES) + 1 for url in urls)


def test_suggestions_lead_to_products_and_categories(client: httpx.Client) -> None:
    told = client.get(f"{HOME}/suggestions", params={"q": "light"}).text

    assert f'href="{HOME}/categories/lighting"' in told
    assert f'href="{HOME}/products/' in told


def test_the_next_page_keeps_what_was_chosen(client: httpx.Client) -> None:
    page = client.get(f"{HOME}/search", params={"sort": "price", "most": "200"}).text
    following = re.search(r'rel="next"\s+href="([^"]+)"', page)
    assert following

    asked = parse_qs(urlsplit(following[1].replace("&amp;", "&")).query)

    assert (asked["sort"], asked["most"]) == (["price"], ["200"])


def _xml(client: httpx.Client, path: str) -> ET.Element:
    return ET.fromstring(client.get(path).raise_for_status().text)  # noqa: S314 - our own


def _cards(page: str) -> int:
    return page.count('class="card-picture"')
