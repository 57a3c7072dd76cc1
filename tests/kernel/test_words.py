"""Pages speak the languages of their catalogs as translators wrote them, and else English."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from banyan.kernel.template import Templates
from banyan.kernel.words import Words

GERMAN = """
msgid ""
msgstr "Content-Type: text/plain; charset=utf-8\\n"

msgid "Good morning"
msgstr "Guten Morgen"

msgid "%(count)s apple"
msgid_plural "%(count)s apples"
msgstr[0] "%(count)s Apfel"
msgstr[1] "%(count)s Äpfel"
"""
PAGE = (
    '{{ _("Good morning") }}, {{ _("good night") }}: '
    "{% trans count=many %}{{ count }} apple{% pluralize %}{{ count }} apples{% endtrans %}"
)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Make a package that speaks German."""
    root = tmp_path_factory.mktemp("packages")
    for folder in ("words", "templates"):
        (root / "speaker" / folder).mkdir(parents=True)
    (root / "speaker" / "__init__.py").touch()
    (root / "speaker" / "words" / "de.po").write_text(GERMAN, encoding="utf-8")
    (root / "speaker" / "templates" / "page.html").write_text(PAGE)
    sys.path.insert(0, str(root))
    yield "speaker"
    sys.path.remove(str(root))
    sys.modules.pop("speaker", None)


@pytest.mark.parametrize(
    ("locale", "many", "said"),
    [
        ("de", 1, "Guten Morgen, good night: 1 Apfel"),
        ("de-AT", 2, "Guten Morgen, good night: 2 Äpfel"),
        ("DE", 0, "Guten Morgen, good night: 0 Äpfel"),
        ("en", 1, "Good morning, good night: 1 apple"),
        ("fr", 2, "Good morning, good night: 2 apples"),
        ("", 2, "Good morning, good night: 2 apples"),
    ],
)
def test_a_page_speaks_the_language_that_it_is_told(
    package: str, locale: str, many: int, said: str
) -> None:
    page = Templates(package, words=Words(package)).render("page.html", locale=locale, many=many)

    assert page == said


def test_the_languages_that_are_spoken_are_known(package: str) -> None:
    assert set(Words(package).languages) == {"en", "de"}


def test_a_package_without_words_speaks_english() -> None:
    assert Words("banyan.kernel").languages == ("en",)
