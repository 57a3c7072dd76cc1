"""What an operator may turn in search."""

from __future__ import annotations

from banyan.kernel.settings import Settings


class SearchSettings(Settings, frozen=True, kw_only=True):
    """How much shoppers are told, and how much is looked at for it.

    `few`: up to so many units, a product page says how many are left. `counted`: where there
    is a query or a filter, facets are counted among the first so many products of the list, so that
    it costs the same however long it is.
    `rebuilt_at_once`: how many documents a rebuild makes in one transaction.
    """

    few: int = 5
    counted: int = 10_000
    rebuilt_at_once: int = 500
