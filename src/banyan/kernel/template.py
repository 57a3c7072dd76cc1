"""Texts with gaps, in files that lie beside the code which fills them."""

from collections.abc import Callable, Mapping
from typing import Any

import jinja2


class Templates:
    """The files in `templates/` of a package, filled by name.

    In HTML every value is escaped. A gap that nobody fills is a fault, never an empty place: better
    no letter than one that begins with "Dear ,".
    """

    def __init__(
        self, package: str, *, filters: Mapping[str, Callable[..., Any]] | None = None
    ) -> None:
        """Find the files of a package; `filters` are what they may apply to a value, by name."""
        self._environment = jinja2.Environment(
            loader=jinja2.PackageLoader(package),
            autoescape=jinja2.select_autoescape(["html", "xml", "svg"]),
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        self._environment.filters.update(filters or {})

    def names(self) -> list[str]:
        """List the files, so that a caller can check at its start that none is missing."""
        return sorted(self._environment.list_templates())

    def render(self, name: str, /, **values: Any) -> str:
        """Fill the gaps of one file."""
        return self._environment.get_template(name).render(values)
