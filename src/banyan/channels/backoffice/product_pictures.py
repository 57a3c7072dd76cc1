"""The pictures of a product, and the words that stand for them in each language."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta
from msgspec.structs import replace

from banyan.channels.backoffice.product_parts import PRODUCT, ProductPart, languages
from banyan.channels.backoffice.sheet import Sheet
from banyan.kernel.contract import Value
from banyan.modules.catalog.contract import Picture, Product, ProductText
from banyan.vocabulary import VISIBLE, Locale


class PictureRow(Value, frozen=True, kw_only=True):
    """A picture; `words` say in other languages what is on it."""

    url: Annotated[str, Meta(pattern=f"^(https?://|/){VISIBLE}*$", max_length=2000)]
    alt: Annotated[str, Meta(max_length=500)] = ""
    words: dict[str, str] = {}  # noqa: RUF012 - a value is never changed


class Pictures(Value, frozen=True, kw_only=True):
    """The pictures of a product, the first of which stands for it in lists."""

    pictures: tuple[PictureRow, ...] = ()


class ProductPicturesPage(ProductPart):
    """What a product looks like."""

    path = f"{PRODUCT}/pictures"
    template = "product_pictures.html"
    kind = Pictures

    def part(self, product: Product) -> Pictures:
        """Take the pictures out of a product, each with what it is called in other languages."""
        return Pictures(
            pictures=tuple(
                PictureRow(
                    url=one.url,
                    alt=one.alt,
                    words={
                        locale: text.words[one.alt]
                        for locale, text in product.translations.items()
                        if one.alt in text.words
                    },
                )
                for one in product.pictures
            )
        )

    async def merged(self, product: Product, part: Pictures) -> Product:
        """Put the pictures back."""
        texts = dict(product.translations)
        for row in part.pictures:
            for locale in texts.keys() | {Locale(one) for one in row.words} if row.alt else ():
                text, said = texts.get(locale, ProductText()), row.words.get(locale)
                words = {word: one for word, one in text.words.items() if word != row.alt}
                words |= {row.alt: said} if said else {}
                texts[locale] = replace(text, words=words)
        pictures = tuple(Picture(url=row.url, alt=row.alt) for row in part.pictures)
        return replace(product, pictures=pictures, translations=texts)

    async def around(self, product: Product, sheet: Sheet[Any]) -> dict[str, Any]:  # noqa: ARG002
        """Tell the languages of the markets."""
        return {"locales": languages(product, await self.pricing.markets())}


routes = [ProductPicturesPage]
