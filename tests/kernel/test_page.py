"""A page lets in nothing from elsewhere, is kept as it says, and explains what went wrong."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from litestar.testing import RequestFactory

from banyan.kernel.assets import Assets, folder
from banyan.kernel.page import PRIVATE, Pages, seen_elsewhere
from banyan.kernel.refusal import NotFound

TEMPLATES = {
    "hello.html": '<link href="{{ asset("style.css") }}"><h1>Hello {{ name }}</h1>',
    "trouble.html": "<h1>{{ status }} {{ code }}</h1>{{ home }} {{ locale }}",
}
KEPT = "public, max-age=15"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """Make a package of pages."""
    root = tmp_path_factory.mktemp("packages")
    (root / "pager" / "templates").mkdir(parents=True)
    (root / "pager" / "__init__.py").touch()
    for name, text in TEMPLATES.items():
        (root / "pager" / "templates" / name).write_text(text)
    sys.path.insert(0, str(root))
    yield Pages("pager", assets=_style(root), around=lambda _: {"home": "/here"})
    sys.path.remove(str(root))
    sys.modules.pop("pager", None)


def _style(root: Path) -> Assets:
    (root / "static").mkdir()
    (root / "static" / "style.css").write_text("")
    return Assets("/files", folder(root / "static"))


def _policy(headers: dict[str, str]) -> dict[str, str]:
    rules = headers["content-security-policy"].split("; ")
    return {name: told for name, _, told in (rule.partition(" ") for rule in rules)}


def test_a_page_is_filled_and_says_its_language(pages: Pages) -> None:
    page = pages.show("hello.html", locale="de", name="<Ada>")

    assert b"<h1>Hello &lt;Ada&gt;</h1>" in page.content
    assert page.headers["content-language"] == "de"
    assert page.media_type == "text/html"


def test_a_page_lets_in_nothing_from_elsewhere(pages: Pages) -> None:
    policy = _policy(pages.show("hello.html", locale="en", name="Ada").headers)

    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'"
    assert policy["frame-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"


def test_a_page_shows_and_leads_to_what_is_named(pages: Pages) -> None:
    bank = "https://bank.example"

    page = pages.show("hello.html", locale="en", name="Ada", frames=[bank], leads=[bank])

    policy = _policy(page.headers)
    assert policy["frame-src"] == bank
    assert policy["form-action"] == f"'self' {bank}"


def test_nobody_keeps_a_page_that_does_not_say_so(pages: Pages) -> None:
    page = pages.show("hello.html", locale="en", name="Ada")

    assert page.headers["cache-control"] == PRIVATE
    assert "etag" not in page.headers


def test_a_page_that_is_kept_is_known_by_its_content(pages: Pages) -> None:
    ada, again, bob = (
        pages.show("hello.html", locale="en", name=name, cache=KEPT).headers["etag"]
        for name in ("Ada", "Ada", "Bob")
    )

    assert ada == again
    assert ada != bob


def test_what_went_wrong_has_a_page_for_people(pages: Pages) -> None:
    request = RequestFactory().get(headers={"accept": "text/html", "accept-language": "de-AT, en"})

    page = pages.trouble(request, NotFound())

    assert page.status_code == 404
    assert page.content == b"<h1>404 not_found</h1>/here de-at"


def test_what_went_wrong_is_a_problem_for_programs(pages: Pages) -> None:
    request = RequestFactory().get(headers={"accept": "application/json"})

    answer = pages.trouble(request, NotFound())

    assert answer.status_code == 404
    assert answer.media_type == "application/problem+json"


def test_after_something_was_done_a_browser_looks_elsewhere() -> None:
    answer = seen_elsewhere("/cart")

    assert (answer.status_code, answer.headers["location"]) == (303, "/cart")
