"""What a letter says."""

from __future__ import annotations

from datetime import UTC
from html.parser import HTMLParser
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from banyan.modules.notifications import model
from banyan.modules.notifications.contract import Preview
from banyan.modules.notifications.model import ORDER_CONFIRMED, Letter
from banyan.modules.ordering.contract import Order
from banyan.vocabulary import Locale, Money
from tests.modules.notifications.examples import ADDRESS, LAMP, ORDER

MESSAGE = UUID(int=9)


class Reader(HTMLParser):
    """Reads a page: its text, and which elements and addresses are in it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.addresses: list[str] = []
        self.attributes: set[str] = set()
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href"}]

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        """All text, with every gap as one space."""
        return " ".join(" ".join(self.words).split())


def letter(order: Order = ORDER) -> Letter:
    return model.confirmation(MESSAGE, order)


def written(order: Order = ORDER, *, shop: str = "Lamps & Co") -> Preview:
    return model.write(letter(order), shop=shop, timezone=UTC)


def in_locale(locale: str) -> Preview:
    return written(replace(ORDER, locale=Locale(locale)))


@pytest.mark.parametrize(
    ("locale", "subject", "amount", "date"),
    [
        ("en", "Your order 1042 at Lamps & Co", "€2,473.90", "January 1, 2026"),
        ("en-GB", "Your order 1042 at Lamps & Co", "€2,473.90", "1 January 2026"),
        ("de", "Ihre Bestellung 1042 bei Lamps & Co", "2.473,90 €", "1. Januar 2026"),
        ("de-CH", "Ihre Bestellung 1042 bei Lamps & Co", "2’473.90", "1. Januar 2026"),
        ("fr", "Your order 1042 at Lamps & Co", "€2,473.90", "January 1, 2026"),
        ("de-QQ", "Ihre Bestellung 1042 bei Lamps & Co", "2.473,90 €", "1. Januar 2026"),
    ],
)
def test_a_letter_is_written_as_its_reader_writes(
    locale: str, subject: str, amount: str, date: str
) -> None:
    said = in_locale(locale)

    assert said.subject == subject
    for body in (said.text, Reader(said.html).text):
        plain = body.replace("\N{NO-BREAK SPACE}", " ")
        assert amount in plain
        assert date in plain


def test_the_day_is_that_of_the_shop() -> None:
    said = model.write(letter(), shop="Lamps", timezone=ZoneInfo("Europe/Berlin"))

    assert "January 2, 2026" in said.text.replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize("language", model.languages(ORDER_CONFIRMED))
def test_text_and_html_say_the_same_in_every_language(language: str) -> None:
    said = in_locale(language)

    page = Reader(said.html).text
    for word in ("Lamp", "Red", "1042", "Jo Doe", "Main Street 5", "10115 Berlin", "Lamps & Co"):
        assert word in said.text
        assert word in page
    assert f'<html lang="{language}">' in said.html


def test_english_and_german_are_spoken() -> None:
    assert {"de", "en"} <= {*model.languages(ORDER_CONFIRMED)}


@pytest.mark.parametrize(
    ("inclusive", "told"), [(True, "Tax included: €394.99"), (False, "Tax: €394.99")]
)
def test_the_tax_is_told_as_the_market_shows_it(told: str, *, inclusive: bool) -> None:
    said = written(replace(ORDER, totals=replace(ORDER.totals, tax_inclusive=inclusive)))

    assert told in said.text


def test_an_american_address_stands_as_it_does_there() -> None:
    address = replace(ADDRESS, city="Juneau", region="AK", postal_code="99801", country="US")

    said = written(replace(ORDER, shipping_address=address))

    assert "Juneau, AK 99801\n  United States" in said.text


def test_a_region_elsewhere_stands_behind_the_town() -> None:
    address = replace(ADDRESS, city="Roma", region="RM", postal_code="00184", country="IT")

    said = written(replace(ORDER, shipping_address=address))

    assert "00184 Roma RM\n  Italy" in said.text


def test_what_one_unit_costs_is_told_where_there_are_several() -> None:
    single = replace(LAMP, quantity=1, title="Vase", unit_price=LAMP.subtotal)

    said = written(replace(ORDER, lines=(LAMP, single)))

    assert said.text.count(" each)") == 1
    assert Reader(said.html).text.count("€1,234.50 each") == 1


def test_shipping_for_nothing_is_called_free() -> None:
    totals = replace(ORDER.totals, shipping=Money(amount=0, currency="EUR"))

    said = written(replace(ORDER, totals=totals))

    assert "Shipping: Free" in said.text
    assert "Shipping Free" in Reader(said.html).text


def test_a_letter_whose_reader_was_forgotten_can_still_be_read() -> None:
    forgotten = replace(letter(), recipient=None)

    said = model.write(forgotten, shop="Lamps", timezone=UTC)

    assert "1042" in said.text
    assert "Jo Doe" not in said.text + said.html
    assert "Berlin" not in said.text + said.html


def test_nothing_is_loaded_from_elsewhere() -> None:
    page = Reader(written().html)

    assert page.addresses == []
    assert not {"img", "link", "script", "iframe"} & {*page.elements}
    assert "url(" not in written().html


@given(
    evil=st.text(min_size=1, max_size=30).filter(str.strip)  # A blank name has no line.
    | st.just("<script>alert(1)</script>")
    | st.just('"><img src=x>')
)
def test_nobody_writes_html_into_a_letter(evil: str) -> None:
    line = replace(LAMP, title=evil, options={"Color": evil})
    address = replace(ADDRESS, name=evil, street=evil)

    said = written(replace(ORDER, lines=(line,), shipping_address=address), shop=evil)

    plain, evil_page = Reader(written().html), Reader(said.html)
    assert evil_page.elements == plain.elements
    assert evil_page.attributes == plain.attributes
    assert len(said.subject.splitlines()) == 1


def test_money_without_decimals_has_none() -> None:
    totals = replace(ORDER.totals, total=Money(amount=247_390, currency="JPY"))

    assert "¥247,390" in written(replace(ORDER, totals=totals)).text
