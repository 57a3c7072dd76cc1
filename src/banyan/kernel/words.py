"""What pages say in each language: gettext catalogs, as translators write them."""

from __future__ import annotations

import io
from functools import lru_cache
from gettext import GNUTranslations, NullTranslations
from importlib import resources

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from banyan.kernel.language import lookup

ENGLISH = "en"
"""The language in which the code itself speaks."""


class Words:
    """The files `words/<language>.po` of a package; English needs none.

    A catalog is read as its translator wrote it, so nothing has to be built. What is not translated
    is said in English.
    """

    def __init__(self, package: str) -> None:
        folder = resources.files(package) / "words"
        self._spoken: dict[str, NullTranslations] = {ENGLISH: NullTranslations()}
        for file in folder.iterdir() if folder.is_dir() else ():
            language, _, kind = file.name.rpartition(".")
            if kind == "po":
                compiled = io.BytesIO()
                write_mo(compiled, read_po(io.BytesIO(file.read_bytes()), locale=language))
                compiled.seek(0)
                self._spoken[language.lower()] = GNUTranslations(compiled)
        self.languages = tuple(self._spoken)
        self.of = lru_cache(maxsize=256)(self._of)

    def _of(self, locale: str) -> NullTranslations:
        """Find the words for a locale: those of de for de-AT, and English if there are none."""
        found = next((self._spoken[tag] for tag in lookup([locale]) if tag in self._spoken), None)
        return found or self._spoken[ENGLISH]
