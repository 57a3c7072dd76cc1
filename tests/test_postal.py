"""Addresses, as countries write them."""

from __future__ import annotations

import pytest
from babel import Locale

from banyan.postal import country_name, read, rules, written
from banyan.vocabulary import Address

ADA = {
    "name": "Ada Lovelace",
    "street": "Lindenstraße 12",
    "postal_code": "10969",
    "city": "Berlin",
}
MARKETS = ("DE", "AT", "BE", "CZ", "DK", "ES", "FR", "IE", "IT", "LU", "NL", "PL", "PT", "SE", "US")


@pytest.mark.parametrize(
    ("country", "fields"),
    [
        ("DE", "name company street street2 postal_code city"),
        ("US", "name company street street2 city region postal_code"),
        ("IE", "name company street street2 city region postal_code"),
        ("AT", "name company street street2 postal_code city"),
    ],
)
def test_a_form_has_the_fields_of_its_country_in_its_order(country: str, fields: str) -> None:
    assert [field.name for field in rules(country).fields] == fields.split()


@pytest.mark.parametrize("country", MARKETS)
def test_every_example_of_a_postal_code_is_one(country: str) -> None:
    by = rules(country)
    example = next(field.example for field in by.fields if field.name == "postal_code")

    _, flaws = read({**ADA, "postal_code": example}, country)

    assert "postal_code" not in flaws


def test_a_postal_code_belongs_to_its_state() -> None:
    told = {**ADA, "city": "San Francisco", "region": "CA"}

    assert read({**told, "postal_code": "94103"}, "US")[1] == {}
    assert read({**told, "postal_code": "10001"}, "US")[1] == {"postal_code": "invalid"}


@pytest.mark.parametrize(
    ("country", "typed", "kept"),
    [("SE", "SE-123 45", "123 45"), ("IE", "d02 af30", "D02 AF30"), ("DE", "10 969", "10969")],
)
def test_a_postal_code_is_spelled_as_the_country_does(country: str, typed: str, kept: str) -> None:
    found, flaws = read({**ADA, "postal_code": typed}, country)

    assert not flaws
    assert found
    assert found.postal_code == kept


def test_what_is_missing_or_too_long_is_told_by_field() -> None:
    _, flaws = read({"name": "A" * 201, "street": "  ", "region": "Utopia"}, "US")

    assert flaws == {
        "name": "invalid",
        "street": "missing",
        "city": "missing",
        "region": "invalid",
        "postal_code": "missing",
    }


@pytest.mark.parametrize(
    ("country", "more", "lines"),
    [
        ("DE", {}, ["Ada Lovelace", "Lindenstraße 12", "10969 Berlin", "Germany"]),
        (
            "US",
            {"city": "San Francisco", "region": "CA", "postal_code": "94103"},
            ["Ada Lovelace", "Lindenstraße 12", "San Francisco, CA 94103", "United States"],
        ),
        (
            "IT",
            {"company": "Motori", "postal_code": "20121", "city": "Milano", "region": "MI"},
            ["Ada Lovelace", "Motori", "Lindenstraße 12", "20121 Milano MI", "Italy"],
        ),
    ],
)
def test_an_address_is_written_as_on_a_letter(
    country: str, more: dict[str, str], lines: list[str]
) -> None:
    found, _ = read({**ADA, **more}, country)

    assert found
    assert list(written(found, "en")) == lines


def test_a_field_stays_on_its_line() -> None:
    spread = Address(name="Ada\nLovelace", street="Main 5", city="Berlin \r\n", country="DE")

    assert written(spread, "en") == ("Ada Lovelace", "Main 5", "Berlin", "Germany")


def test_every_country_can_be_written_to() -> None:
    countries = [code for code in map(str, Locale("en").territories) if code.isalpha()]

    for country in countries:
        written_there = " ".join(written(Address(**ADA, country=country), "en"))
        assert ADA["name"] in written_there
        assert ADA["street"] in written_there


def test_a_street_may_stand_within_a_line() -> None:
    assert [field.name for field in rules("GN").fields][-2:] == ["city", "street2"]


@pytest.mark.parametrize(
    ("locale", "name"), [("de-XX", "Deutschland"), ("de-CH", "Deutschland"), ("xx", "Germany")]
)
def test_a_country_has_a_name_in_every_language(locale: str, name: str) -> None:
    assert country_name("DE", locale) == name
