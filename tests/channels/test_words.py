"""Every text of the storefront is translated, and no translation is of a text that is gone."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from importlib import resources

import pytest
from babel.messages import Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

STOREFRONT = resources.files("banyan.channels.storefront")
CATALOGS = [file for file in (STOREFRONT / "words").iterdir() if file.name.endswith(".po")]
TEMPLATES = "**/templates/**.html"
METHODS = [("**.py", "python"), (TEMPLATES, "jinja2")]
OPTIONS = {TEMPLATES: {"trimmed": "true"}}
GAP = re.compile(r"%\((\w+)\)s")

Key = str | tuple[str, ...]


@pytest.fixture(params=CATALOGS, ids=lambda file: file.name)
def catalog(request: pytest.FixtureRequest) -> dict[Key, Message]:
    language = request.param.name.removesuffix(".po")
    read = read_po(io.BytesIO(request.param.read_bytes()), locale=language)
    return {_key(one.id): one for one in read if one.id}


def test_every_text_is_translated_and_no_other(catalog: dict[Key, Message]) -> None:
    found = extract_from_dir(str(STOREFRONT), METHODS, OPTIONS)
    said = {_key(text) for _, _, text, _, _ in found}

    assert said == catalog.keys(), "run `make words` and translate what is new"
    assert [key for key, one in catalog.items() if not all(_texts(one.string))] == []


def test_no_translation_is_a_guess(catalog: dict[Key, Message]) -> None:
    assert [key for key, one in catalog.items() if one.fuzzy] == []


def test_a_translation_has_the_gaps_of_its_text(catalog: dict[Key, Message]) -> None:
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
