"""The law of stock: a level is the sum of its movements, and reserved the sum of open reservations."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

COUNTED = ("on_hand", "reserved", "damaged", "incoming", "safety")
"""what a level counts, under the names that movements have for it"""


class Trust(StrEnum):
    """Which book is right where two disagree. Reserved always follows the open reservations."""

    MOVEMENTS = "movements"
    """every unit in them has a cause"""
    LEVEL = "level"
    """what was sold from since; the movements get the difference"""


@dataclass(frozen=True)
class Books:
    """What the three books say of a level; ``level`` and ``moved`` by the names of COUNTED."""

    level: Mapping[str, int]
    moved: Mapping[str, int]
    promised: int

    @property
    def agree(self) -> bool:
        """Whether nothing has to be repaired."""
        return dict(self.level) == dict(self.moved) and self.level["reserved"] == self.promised

    def repaired(self, trust: Trust) -> dict[str, int]:
        """What level and movements should come to."""
        right = self.moved if trust is Trust.MOVEMENTS else self.level
        return {**right, "reserved": self.promised}

    @property
    def disagreement(self) -> str:
        """A sentence that tells every difference."""
        parts = [
            f"{name}: the level says {self.level[name]}, its movements {self.moved[name]}"
            for name in COUNTED
            if self.level[name] != self.moved[name]
        ]
        if self.promised not in (self.level["reserved"], self.moved["reserved"]) or not parts:
            parts.append(f"open reservations hold {self.promised}, the level says {self.level['reserved']}")
        elif self.level["reserved"] != self.moved["reserved"]:
            parts.append(f"open reservations hold {self.promised}")
        return "; ".join(parts)
