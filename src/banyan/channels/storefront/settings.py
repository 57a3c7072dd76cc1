"""What an operator may turn of the storefront."""

from __future__ import annotations

from banyan.kernel.settings import Settings


class StorefrontSettings(Settings, frozen=True, kw_only=True):
    """How the shop presents itself.

    `url` is where the world finds it, such as `https://shop.example`: what search engines are told.
    Without it, they are told the address at which they asked.
    """

    name: str = "Banyan"
    url: str = ""
