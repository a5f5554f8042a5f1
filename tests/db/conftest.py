"""The shop in a real database."""

from tests.activities.world import database, shop_url, world

__all__ = ["database", "shop_url", "world"]
