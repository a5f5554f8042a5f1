"""The shop, and the outside world as servers on this machine."""

from tests.activities.world import database, shop_url, world

__all__ = ["database", "shop_url", "world"]
