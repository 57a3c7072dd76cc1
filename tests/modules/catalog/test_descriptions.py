"""Descriptions are reduced to harmless tags, once and for all."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from banyan.modules.catalog import model
from banyan.modules.catalog.contract import ProductText
from tests.modules.catalog.examples import DE, SHIRT

TAGS = (
    "p",
    "b",
    "ul",
    "li",
    "table",
    "td",
    "tr",
    "a",
    "script",
    "svg",
    "style",
    "pre",
    "h1",
    "math",
)
PIECES = st.one_of(
    st.sampled_from([f"<{tag}>" for tag in TAGS] + [f"</{tag}>" for tag in TAGS]),
    st.sampled_from(
        ["<img src=x onerror=alert(1)>", "<a href='javascript:alert(1)'>", "<!--", "-->", "&lt;"]
    ),
    st.text(alphabet="<>&\"' \n/ab", max_size=5),
)
HTML = st.lists(PIECES, max_size=25).map("".join)


@given(HTML)
def test_what_is_clean_stays_as_it_is(html: str) -> None:
    clean = model.clean(html)

    assert model.clean(clean) == clean


@given(HTML)
def test_only_harmless_tags_are_left(html: str) -> None:
    clean = model.clean(html)

    assert set(re.findall(r"</?([a-z0-9]+)", clean)) <= model.HARMLESS_TAGS
    assert not re.search(r"<[^>]*(onerror|javascript:)", clean)


@pytest.mark.parametrize(
    ("entangled", "clean"),
    [
        ("<dd><table><dt>x", "<dd></dd><dt>x</dt><table></table>"),
        (
            (
                "<a><dd><p><ul><li><ul><ul><ul><p><ul><table><td><tr><td><tr><table><tr><li><p><dt>"
                "<ul>x<a></li><p><dd><dt><b><tr><table></dd><table>y<b><dt><li><ul></table>"
            ),
            "xy",
        ),
    ],
)
def test_entangled_tags_are_cleaned_for_good(entangled: str, clean: str) -> None:
    assert model.clean(entangled) == clean
    assert model.clean(clean) == clean


@pytest.mark.parametrize(
    ("html", "clean"),
    [
        ("<p onclick='x()'>Hello</p>", "<p>Hello</p>"),
        ("<script>alert(1)</script>Hello", "Hello"),
        ("<h1>Big</h1>", "Big"),
        ("Salt & pepper", "Salt &amp; pepper"),
        ("<img src='https://elsewhere.example/pixel'>", ""),
        (
            "<a href='https://a.example'>a</a>",
            '<a href="https://a.example" rel="noopener nofollow">a</a>',
        ),
    ],
)
def test_a_description_is_reduced_to_harmless_tags(html: str, clean: str) -> None:
    assert model.clean(html) == clean


def test_every_description_is_cleaned() -> None:
    dirty = replace(
        SHIRT,
        description="<script></script><p>Shirt",
        translations={DE: ProductText(description="<b onclick=x>Hemd")},
    )

    (tidy,) = model.tidy([dirty])

    assert tidy.description == "<p>Shirt</p>"
    assert tidy.translations[DE].description == "<b>Hemd</b>"
