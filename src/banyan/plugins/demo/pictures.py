"""Pictures of the demo shop, drawn in the colors that an article comes in.

A drawing in `data/drawings` is a group of SVG shapes. It leaves the colors to the article: `$main`
with its `$dark` and `$light`, `$accent` with its `$shade`, and the inks that all pictures share.
"""

from __future__ import annotations

from functools import lru_cache
from html import escape
from string import Template
from zlib import crc32

import msgspec

from banyan.kernel.http import Answer, Controller, FromPath, get
from banyan.kernel.refusal import NotFound
from banyan.plugins.demo.articles import DATA, View, articles

MEDIA_TYPE = "image/svg+xml"
HEADERS = {
    "cache-control": "public, max-age=604800, immutable",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
}
LEAST_CONTRAST = 90
"""How much a color must differ from the wall behind it, of 765."""


class Colors(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is behind the names of colors, each as `#rrggbb`."""

    options: dict[str, str]
    inks: dict[str, str]
    walls: dict[str, tuple[str, ...]]


class Pictures(Controller):
    """The pictures of the demo shop."""

    path = "/media/demo"
    include_in_schema = False

    @get("/{file:str}", media_type=MEDIA_TYPE)
    async def get_picture(self, file: FromPath[str]) -> Answer[bytes]:
        """Show an article in one of its colors."""
        name = file.removesuffix(".svg")
        if name == file or name not in views():
            raise NotFound
        return Answer(picture(name), media_type=MEDIA_TYPE, headers=HEADERS)


@lru_cache(maxsize=1)
def views() -> dict[str, View]:
    """List all pictures by name."""
    return {view.name: view for article in articles() for view in article.views()}


@lru_cache(maxsize=512)
def picture(name: str) -> bytes:
    """Draw a picture; the same name gives the same picture."""
    view = views()[name]
    inks = _inks(view)
    shapes = "".join(_drawing(one).substitute(inks) for one in view.drawings.split())
    title = escape(view.title, quote=False)
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 400" width="800" height="800" '
        f'role="img"><title>{title}</title>{shapes}</svg>'
    ).encode()


@lru_cache(maxsize=1)
def colors() -> Colors:
    """Read what is behind the names of colors."""
    return msgspec.toml.decode((DATA / "colors.toml").read_bytes(), type=Colors)


def _inks(view: View) -> dict[str, str]:
    """Mix everything that a drawing may ask for."""
    known = colors()
    ink, paper = known.inks["ink"], known.inks["paper"]
    main = known.options.get(view.color, known.inks["wood"])
    accent = known.options[view.accent]
    wall = _wall(view.name, main)
    pale = _distance(main, paper) < LEAST_CONTRAST
    return {
        **known.inks,
        "main": main,
        "dark": _mixed(main, ink, 0.22),
        "light": _mixed(main, paper, 0.35),
        "accent": accent,
        "shade": _mixed(accent, ink, 0.25),
        "wall": wall,
        "halo": _mixed(wall, known.inks["bark"], 0.16) if pale else _mixed(wall, paper, 0.55),
        "floor": _mixed(wall, known.inks["bark"], 0.18),
    }


def _wall(name: str, main: str) -> str:
    """Choose a wall by name, among those that the color stands out from."""
    walls = colors().walls["colors"]
    fit = [wall for wall in walls if _distance(wall, main) >= LEAST_CONTRAST] or walls
    return fit[crc32(name.encode()) % len(fit)]


@lru_cache(maxsize=256)
def _drawing(name: str) -> Template:
    lines = (DATA / "drawings" / f"{name}.svg").read_text().splitlines()
    return Template("".join(line.strip() for line in lines))


def _mixed(one: str, other: str, part: float) -> str:
    pairs = zip(_channels(one), _channels(other), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * part):02x}" for a, b in pairs)


def _distance(one: str, other: str) -> int:
    return sum(abs(a - b) for a, b in zip(_channels(one), _channels(other), strict=True))


def _channels(color: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(color.removeprefix("#"))
    return red, green, blue
