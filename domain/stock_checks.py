"""The law of stock: a level is the sum of its movements, reserved what is promised, incoming what is on its way."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

COUNTED = ("on_hand", "reserved", "damaged", "incoming", "safety")
"""what a level counts, under the names that movements have for it"""


class Trust(StrEnum):
    """Which book is right where two disagree.

    Reserved always follows the open reservations and transfers, and so does what transfers make of incoming.
    """

    MOVEMENTS = "movements"
    """every unit in them has a cause"""
    LEVEL = "level"
    """what was sold from since; the movements get the difference"""


@dataclass(frozen=True)
class Books:
    """What the books say of a level; ``level`` and ``moved`` by the names of COUNTED.

    ``promised`` is held for orders and transfers. Of incoming, ``transferring`` is what movements of transfers made of
    it, and ``on_the_way`` what the open transfers say; the rest was announced.
    """

    level: Mapping[str, int]
    moved: Mapping[str, int]
    promised: int
    transferring: int = 0
    on_the_way: int = 0

    @property
    def agree(self) -> bool:
        """Whether nothing has to be repaired."""
        kept = dict(self.level) == dict(self.moved) and self.level["reserved"] == self.promised
        return kept and self.transferring == self.on_the_way

    def repaired(self, trust: Trust) -> dict[str, int]:
        """What level and movements should come to."""
        right = self.moved if trust is Trust.MOVEMENTS else self.level
        announced = max(0, right["incoming"] - self.transferring)
        return {**right, "reserved": self.promised, "incoming": announced + self.on_the_way}

    @property
    def disagreement(self) -> str:
        """A sentence that tells every difference."""
        parts = [
            f"{name}: the level says {self.level[name]}, its movements {self.moved[name]}"
            for name in COUNTED
            if self.level[name] != self.moved[name]
        ]
        if self.transferring != self.on_the_way:
            parts.append(f"open transfers bring {self.on_the_way}, their movements say {self.transferring}")
        if self.promised not in (self.level["reserved"], self.moved["reserved"]) or not parts:
            parts.append(f"open reservations hold {self.promised}, the level says {self.level['reserved']}")
        elif self.level["reserved"] != self.moved["reserved"]:
            parts.append(f"open reservations hold {self.promised}")
        return "; ".join(parts)
