"""The demo shop, as the application sees it."""

from __future__ import annotations

from banyan.kernel.module import Plugin
from banyan.plugins.demo import shop
from banyan.plugins.demo.pictures import Pictures

plugin = Plugin(name="demo", routes=[Pictures], seed=shop.seed)
