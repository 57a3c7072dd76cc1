"""The catalog, as the application sees it."""

from __future__ import annotations

from banyan.kernel.module import Module, check
from banyan.modules.catalog import http
from banyan.modules.catalog.contract import Catalog
from banyan.modules.catalog.service import CatalogService

module = Module(
    name="catalog",
    offers={Catalog: CatalogService},
    routes=http.routes,
    checks=[check("products own their slugs and SKUs and name what exists", CatalogService.audit)],
)
