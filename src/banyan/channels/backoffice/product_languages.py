"""A product in other languages, side by side with its own words."""

from __future__ import annotations

from dataclasses import replace as changed
from typing import Annotated, Any

from msgspec import Meta
from msgspec.structs import replace

from banyan.channels.backoffice.product_parts import PRODUCT, ProductPart, languages, words_of
from banyan.channels.backoffice.sheet import Sheet
from banyan.kernel.contract import Value
from banyan.kernel.form import Form
from banyan.modules.catalog.contract import Html, Language, Product, ProductText

SPEAK = "speak "


class WordRow(Value, frozen=True, kw_only=True):
    """A word of the product, and what it is called."""

    word: str
    said: Annotated[str, Meta(max_length=2000)] = ""


class Text(Value, frozen=True, kw_only=True):
    """A product in one language."""

    locale: Language
    title: Annotated[str, Meta(max_length=300)] = ""
    description: Html = ""
    words: tuple[WordRow, ...] = ()


class Texts(Value, frozen=True, kw_only=True):
    """A product in all languages but its own."""

    texts: tuple[Text, ...] = ()


class ProductLanguagesPage(ProductPart):
    """How a product is called elsewhere."""

    path = f"{PRODUCT}/languages"
    template = "product_languages.html"
    kind = Texts

    def part(self, product: Product) -> Texts:
        """Take the translations out of a product."""
        words = words_of(product)
        return Texts(
            texts=tuple(
                Text(
                    locale=locale,
                    title=text.title,
                    description=text.description,
                    words=tuple(
                        WordRow(word=word, said=text.words.get(word, "")) for word in words
                    ),
                )
                for locale, text in sorted(product.translations.items())
            )
        )

    async def merged(self, product: Product, part: Texts) -> Product:
        """Put the translations back."""
        texts = {
            text.locale: ProductText(
                title=text.title,
                description=text.description,
                words={row.word: row.said for row in text.words if row.said},
            )
            for text in part.texts
        }
        said = {locale: text for locale, text in texts.items() if text != ProductText()}
        return replace(product, translations=said)

    def rearranged(self, told: Form[Any], wish: str) -> Sheet[Any]:
        """Show one language more, or one less."""
        sheet = super().rearranged(told, "add texts" if wish.startswith(SPEAK) else wish)
        if not wish.startswith(SPEAK):
            return sheet
        row = sheet.form.rows("texts")[-1]
        said = {**sheet.form.said, f"{row}.locale": [wish.removeprefix(SPEAK)]}
        return changed(sheet, form=changed(sheet.form, said=said))

    async def around(self, product: Product, sheet: Sheet[Any]) -> dict[str, Any]:
        """Tell the words of the product, and the languages that it does not speak yet."""
        there = {sheet.text(f"{row}.locale") for row in sheet.form.rows("texts")}
        known = languages(product, await self.pricing.markets())
        return {
            "words": words_of(product),
            "locales": [locale for locale in known if locale not in there],
        }


routes = [ProductLanguagesPage]
