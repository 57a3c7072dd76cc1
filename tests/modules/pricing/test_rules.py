"""The rules of pricing: which rate decides, what contradicts itself, what is news."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from msgspec.structs import replace

from banyan.modules.pricing import model
from banyan.modules.pricing.contract import (
    InvalidPrice,
    NoTaxRate,
    NotPriced,
    Offer,
    Price,
    PriceList,
    Quote,
    Rounding,
    TaxRate,
)
from banyan.modules.pricing.model import Goods, Terms
from banyan.vocabulary import CurrencyMismatch, Line, Money, Sku
from tests.modules.pricing.fake import EU, dollar_market, euro_market

LAMP = (Line(sku=Sku("lamp"), quantity=1),)


def quoted(terms: Terms, lines: tuple[Line, ...], shipping: Money | None = None) -> Quote:
    return model.quote(terms, lines=lines, shipping=shipping, country="", region="")


def terms_of(*taxes: TaxRate, tax_class: str = "standard", rounding: Rounding = "line") -> Terms:
    return Terms(
        market=replace(dollar_market(), countries=("US", "CA"), rounding=rounding),
        goods=(Goods(sku=Sku("lamp"), amount=10_000, tax_class=tax_class),),
        rates=taxes,
    )


def rate(millionths: int, country: str = "*", region: str = "*", of: str = "standard") -> TaxRate:
    return TaxRate(
        market=dollar_market().code,
        tax_class=of,
        millionths=millionths,
        name="tax",
        country=country,
        region=region,
    )


@pytest.mark.parametrize(
    ("country", "region", "percent"),
    [
        ("US", "CA", 3),
        ("US", "US-CA", 3),
        ("US", "ca", 3),
        ("US", "TX", 2),
        ("US", "", 2),
        ("CA", "", 1),
        ("", "", 2),
    ],
)
def test_the_most_specific_rate_decides(country: str, region: str, percent: int) -> None:
    terms = terms_of(rate(10_000), rate(20_000, "US"), rate(30_000, "US", "CA"))

    quote = model.quote(terms, lines=LAMP, shipping=None, country=country, region=region)

    assert quote.lines[0].tax_millionths == percent * 10_000


def test_a_rate_of_the_whole_market_ends_at_its_borders() -> None:
    with pytest.raises(NoTaxRate) as refused:
        model.quote(terms_of(rate(10_000)), lines=LAMP, shipping=None, country="FR", region="")

    assert refused.value.country == "FR"


def test_a_rate_beyond_the_border_is_taken_when_there_is_one() -> None:
    terms = terms_of(rate(10_000), rate(50_000, "FR"))

    quote = model.quote(terms, lines=LAMP, shipping=None, country="FR", region="")

    assert quote.tax.amount == 500


def test_a_rate_of_zero_is_a_rate() -> None:
    quote = quoted(terms_of(rate(0)), LAMP)

    assert quote.tax.amount == 0


def test_a_class_without_a_rate_is_not_taxed_as_another() -> None:
    with pytest.raises(NoTaxRate) as refused:
        quoted(terms_of(rate(10_000), tax_class="books"), LAMP)

    assert refused.value.tax_class == "books"


def test_shipping_is_taxed_by_its_own_class_or_else_as_standard() -> None:
    five = Money(amount=500, currency="USD")

    as_standard = quoted(terms_of(rate(100_000)), LAMP, five)
    by_its_own = quoted(terms_of(rate(100_000), rate(0, of="shipping")), LAMP, five)

    assert as_standard.shipping_tax.amount == 50
    assert by_its_own.shipping_tax.amount == 0


def test_shipping_in_another_currency_is_refused() -> None:
    with pytest.raises(CurrencyMismatch):
        quoted(terms_of(rate(0)), LAMP, Money(amount=500, currency="EUR"))


def test_an_order_shares_its_tax_with_the_shipping_of_the_same_rate() -> None:
    terms = replace(terms_of(rate(100_000), rounding="order"), goods=(_pin(33), _pin(33, "b")))

    quote = quoted(terms, (_line("a"), _line("b")), Money(amount=33, currency="USD"))

    assert [line.tax.amount for line in quote.lines] == [4, 3]
    assert quote.shipping_tax.amount == 3
    assert quote.tax.amount == 10


def test_all_that_has_no_price_is_named_at_once() -> None:
    terms = replace(terms_of(rate(0)), goods=(_pin(33), _pin(None, "b"), _pin(None, "c")))

    with pytest.raises(NotPriced) as refused:
        quoted(terms, (_line("c"), _line("a"), _line("b"), _line("c")))

    assert refused.value.skus == ("c", "b")


def test_an_empty_cart_costs_nothing() -> None:
    quote = quoted(terms_of(), ())

    assert quote.total == Money.zero("USD")


def _pin(amount: int | None, sku: str = "a") -> Goods:
    return Goods(sku=Sku(sku), amount=amount, tax_class="standard")


def _line(sku: str) -> Line:
    return Line(sku=Sku(sku), quantity=1)


def test_nothing_but_a_change_makes_a_new_version() -> None:
    first = model.revised(None, euro_market())

    same = model.revised(first, replace(euro_market(), version=99))
    second = model.revised(first, replace(euro_market(), title="Elsewhere"))

    assert (first.version, same, second.version) == (1, first, 2)


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"currency": "ZZZ"}, "/currency"),
        ({"countries": ()}, "/countries"),
        ({"countries": ("DE", "AT", "DE")}, "/countries/2"),
        ({"locales": ("en", "en")}, "/locales/1"),
    ],
)
def test_a_market_does_not_contradict_itself(changed: dict[str, object], pointer: str) -> None:
    with pytest.raises(InvalidPrice) as refused:
        model.check_market(replace(euro_market(), **changed))

    assert refused.value.pointer == pointer


NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
SALE = PriceList(code="sale", market=EU, currency="EUR", since=NOON, until=NOON + timedelta(days=1))


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"market": "us"}, "/market"),
        ({"currency": "USD"}, "/currency"),
        ({"until": NOON}, "/until"),
        ({"since": NOON.replace(tzinfo=None)}, "/since"),
        ({"since": NOON.replace(year=1, tzinfo=timezone(timedelta(hours=14)))}, "/since"),
        ({"until": datetime.max.replace(tzinfo=timezone(timedelta(hours=-14)))}, "/until"),
    ],
)
def test_a_price_list_fits_its_market_and_has_a_time(
    changed: dict[str, object], pointer: str
) -> None:
    with pytest.raises(InvalidPrice) as refused:
        model.check_price_list(SALE, replace(SALE, **changed), "EUR")

    assert refused.value.pointer == pointer


def test_a_batch_sets_no_price_twice() -> None:
    price = Price(price_list="sale", sku=Sku("lamp"), amount=1)

    with pytest.raises(InvalidPrice) as refused:
        model.check_prices((price, replace(price, sku=Sku("pin")), replace(price, amount=2)))

    assert refused.value.pointer == "/prices/2"


def test_a_batch_has_an_end() -> None:
    price = Price(price_list="sale", sku=Sku("lamp"), amount=1)

    with pytest.raises(InvalidPrice) as refused:
        model.check_prices([price] * 10_001)

    assert refused.value.pointer == "/prices"


def test_a_region_needs_its_country() -> None:
    with pytest.raises(InvalidPrice) as refused:
        model.check_tax_rate(rate(0, region="CA"))

    assert refused.value.pointer == "/region"


def offer(sku: str, amount: int, market: str = "eu") -> Offer:
    return Offer(
        sku=Sku(sku),
        market=EU if market == "eu" else dollar_market().code,
        price=Money(amount=amount, currency="EUR"),
    )


def test_only_what_costs_something_else_is_news() -> None:
    before = [offer("came", 1), offer("same", 1), offer("went", 1)]
    after = [offer("came", 2), offer("came", 3, "us"), offer("new", 1), offer("same", 1)]

    (told,) = model.news(before, after, version=7)

    assert told.skus == ("came", "new", "went")
    assert told.offers == (after[0], after[1], after[2])
    assert told.version == 7


def test_much_news_is_told_in_portions() -> None:
    after = [offer(f"{number:03}", 1) for number in range(450)]

    told = model.news([], after, version=1)

    assert [len(event.skus) for event in told] == [200, 200, 50]
    assert [one for event in told for one in event.offers] == after
