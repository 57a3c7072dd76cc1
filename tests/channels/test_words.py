"""Every text of a page is translated, and no translation is of a text that is gone."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from importlib import resources

import pytest
from babel.messages import Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

SPEAKING = ("banyan.channels.storefront", "banyan.plugins.sandbox")
CATALOGS = [
    (package, file)
    for package in SPEAKING
    for file in (resources.files(package) / "words").iterdir()
    if file.name.endswith(".po")
]
TEMPLATES = "**/templates/**.html"
METHODS = [("**.py", "python"), (TEMPLATES, "jinja2")]
OPTIONS = {TEMPLATES: {"trimmed": "true"}}
GAP = re.compile(r"%\((\w+)\)s")

Key = str | tuple[str, ...]


Catalog = dict[Key, Message]


@pytest.fixture(params=CATALOGS, ids=lambda one: f"{one[0]} {one[1].name}")
def spoken(request: pytest.FixtureRequest) -> tuple[str, Catalog]:
    """Read a catalog, and tell whose it is."""
    package, file = request.param
    language = file.name.removesuffix(".po")
    read = read_po(io.BytesIO(file.read_bytes()), locale=language)
    return package, {_key(one.id): one for one in read if one.id}


@pytest.fixture
def catalog(spoken: tuple[str, Catalog]) -> Catalog:
    return spoken[1]


def test_every_text_is_translated_and_no_other(spoken: tuple[str, Catalog]) -> None:
    package, catalog = spoken
    found = extract_from_dir(str(resources.files(package)), METHODS, OPTIONS)
    said = {_key(text) for _, _, text, _, _ in found}

    assert said == catalog.keys(), "run `make words` and translate what is new"
    assert [key for key, one in catalog.items() if not all(_texts(one.string))] == []


def test_no_translation_is_a_guess(catalog: Catalog) -> None:
    assert [key for key, one in catalog.items() if one.fuzzy] == []


def test_a_translation_has_the_gaps_of_its_text(catalog: Catalog) -> None:
    strange = {
        key
        for key, one in catalog.items()
        for text in _texts(one.string)
        if not _gaps(text) <= {gap for said in _texts(one.id) for gap in _gaps(said)}
        or (isinstance(one.id, str) and _gaps(text) != _gaps(one.id))
    }

    assert strange == set()


def _key(told: str | Sequence[str | None]) -> Key:
    texts = tuple(text for text in _texts(told) if text)
    return texts[0] if len(texts) == 1 else texts


def _texts(told: str | Sequence[str | None] | None) -> Iterator[str]:
    yield from (told,) if isinstance(told, str) else (text or "" for text in told or ())


def _gaps(text: str) -> set[str]:
    return set(GAP.findall(text))
