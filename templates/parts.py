"""What several of the texts show."""

from dataclasses import dataclass

from domain.money import Money


@dataclass(frozen=True)
class PricedLine:
    """One line of an order as its reader sees it: ``total`` is for all units, after discount and with tax."""

    name: str
    sku: str
    quantity: int
    total: Money
