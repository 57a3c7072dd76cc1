"""A template escapes in HTML, misses nothing silently, and fills its gaps with what it is given."""

import sys
from collections.abc import Iterator

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from banyan.kernel.template import Templates

FILES = {
    "letter.txt": "Dear {{ name }},\n{% for line in lines %}\n- {{ line }}\n{% endfor %}\nBye\n",
    "letter.html": "<p>Dear {{ name }}</p>",
    "framed.html": '{% extends "frame.html" %}{% block body %}{{ name }}{% endblock %}',
    "frame.html": "<main>{% block body %}{% endblock %}</main>",
    "indented.html": "<ul>\n  {% for one in lines %}\n   <li>{{ one }}</li>\n  {% endfor %}\n</ul>",
    "sum.txt": "{{ amount | money }}",
    "deep.txt": "{{ person.nickname }}",
}


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Make a package with templates of its own that can be imported."""
    root = tmp_path_factory.mktemp("packages")
    folder = root / "letters_to_nobody" / "templates"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").touch()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    sys.path.insert(0, str(root))
    yield "letters_to_nobody"
    sys.path.remove(str(root))
    sys.modules.pop("letters_to_nobody", None)


def test_a_text_is_filled_and_its_blocks_leave_no_empty_lines(package: str) -> None:
    text = Templates(package).render("letter.txt", name="Jane <3", lines=["a", "b"])

    assert text == "Dear Jane <3,\n- a\n- b\nBye\n"


def test_how_html_is_indented_is_not_sent_but_what_is_shown_is(package: str) -> None:
    page = Templates(package).render("indented.html", lines=["a\n  b"])

    assert page == "<ul>\n <li>a\n  b</li>\n</ul>"


@given(st.text())
def test_nothing_that_a_person_typed_becomes_markup(package: str, typed: str) -> None:
    page = Templates(package).render("letter.html", name=typed)

    inside = page.removeprefix("<p>Dear ").removesuffix("</p>")
    assert not set("<>\"'") & set(inside)


def test_a_template_inside_another_is_escaped_too(package: str) -> None:
    page = Templates(package).render("framed.html", name="<b>")

    assert page == "<main>&lt;b&gt;</main>"


@pytest.mark.parametrize(
    ("name", "values"), [("letter.html", {}), ("deep.txt", {"person": {"name": "Jane"}})]
)
def test_a_gap_that_nobody_fills_is_a_fault(
    package: str, name: str, values: dict[str, object]
) -> None:
    with pytest.raises(jinja2.UndefinedError):
        Templates(package).render(name, **values)


def test_a_caller_brings_its_own_filters(package: str) -> None:
    templates = Templates(package, filters={"money": lambda amount: f"{amount / 100:.2f} EUR"})

    assert templates.render("sum.txt", amount=1999) == "19.99 EUR"


def test_a_filter_that_nobody_brought_is_a_fault(package: str) -> None:
    with pytest.raises(jinja2.TemplateAssertionError, match="money"):
        Templates(package).render("sum.txt", amount=1)


def test_the_files_of_a_package_are_listed(package: str) -> None:
    assert Templates(package).names() == sorted(FILES)


def test_only_files_of_the_package_are_read(package: str) -> None:
    with pytest.raises(jinja2.TemplateNotFound):
        Templates(package).render("../__init__.py")
    with pytest.raises(jinja2.TemplateNotFound):
        Templates(package).render("absent.txt")


def test_a_package_without_templates_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="templates"):
        Templates("banyan.kernel")
