"""Texts with gaps, in files that lie beside the code which fills them."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import jinja2
from jinja2.ext import Extension

from banyan.kernel.words import Words


class Templates:
    """The files in `templates/` of a package, filled by name.

    In HTML every value is escaped. A gap that nobody fills is a fault, never an empty place: better
    no letter than one that begins with "Dear ,".
    """

    def __init__(
        self,
        package: str,
        *,
        filters: Mapping[str, Callable[..., Any]] | None = None,
        words: Words | None = None,
    ) -> None:
        """Find the files of a package; `filters` are what they may apply to a value, by name.

        With `words`, files speak the language that the value `locale` names, by `{{ _("…") }}` and
        `{% trans %}`.
        """
        self._environment = jinja2.Environment(
            loader=jinja2.PackageLoader(package),
            autoescape=jinja2.select_autoescape(["html", "xml", "svg"]),
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            auto_reload=False,
            extensions=[_Flat, *(["jinja2.ext.i18n"] if words else ())],
        )
        self._environment.policies["ext.i18n.trimmed"] = True
        self._environment.filters.update(filters or {})
        if words:
            self._speak(words)

    def names(self) -> list[str]:
        """List the files, so that a caller can check at its start that none is missing."""
        return sorted(self._environment.list_templates())

    def render(self, name: str, /, **values: Any) -> str:
        """Fill the gaps of one file."""
        return self._environment.get_template(name).render(values)

    def _speak(self, words: Words) -> None:
        @jinja2.pass_context
        def one(context: jinja2.runtime.Context, text: str) -> str:
            return words.of(context["locale"]).gettext(text)

        @jinja2.pass_context
        def many(context: jinja2.runtime.Context, one: str, more: str, count: int) -> str:
            return words.of(context["locale"]).ngettext(one, more, count)

        install: Any = getattr(self._environment, "install_gettext_callables")  # noqa: B009
        install(one, many, newstyle=True)


class _Flat(Extension):
    """Makes one space of how a line of HTML is indented: a browser needs no more between words."""

    def preprocess(
        self,
        source: str,
        name: str | None,
        filename: str | None = None,  # noqa: ARG002 - as the base class has it
    ) -> str:
        html = name is not None and name.endswith(".html")
        return re.sub(r"(?m)^[ \t]+", " ", source) if html else source
