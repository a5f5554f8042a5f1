"""The record of a claim, as its workflow knows it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.case_records import Case, CaseKind, locked_row
from db import claims as records
from domain.claims import ClaimStatus, OpenClaim, Standing
from domain.exceptions import ExceptionKind
from domain.notifications import NoticeKind

CLAIMS = CaseKind("claim", records.CASES, ExceptionKind.CLAIM_UNTOLD)


@dataclass(frozen=True)
class ClaimCase(Case):
    """A claim, locked together with its order; ``replacement`` is the number of the order that replaces it."""

    kind: ClassVar[CaseKind] = CLAIMS

    replacement: str | None

    @property
    def status(self) -> ClaimStatus:
        """Where it stands."""
        return ClaimStatus(self.row.status)

    @property
    def standing(self) -> Standing:
        """The same for its workflow."""
        return self.standing_with({})

    def standing_with(self, values: Mapping[str, Any]) -> Standing:
        """Where it stands once ``values`` are written."""
        return standing_of({**self.row._mapping, **values}, self.replacement)


def standing_of(row: Mapping[str, Any], replacement: str | None) -> Standing:
    """Where a claim stands, by its record's columns."""
    return Standing(
        status=ClaimStatus(row["status"]),
        since=row["since"],
        patient_since=row["patient_since"],
        replacement=replacement,
        replacements=row["replacements"],
        trouble=None if row["trouble"] is None else ExceptionKind(row["trouble"]),
        letters=tuple(NoticeKind(letter) for letter in row["letters"]),
        revision=row["revision"],
    )


async def open_claim(connection: AsyncConnection, row: Row[Any]) -> OpenClaim:
    """What a claim's workflow starts with, by its record."""
    return OpenClaim(row.id, row.number, row.order_id, standing_of(dict(row._mapping), row.linked_number))


async def find_claim(connection: AsyncConnection, claim_id: str, lock: bool = False) -> ClaimCase:
    """A claim. With ``lock`` nobody else can move it or its order's money until the transaction ends."""
    row = await locked_row(connection, CLAIMS, claim_id, lock=lock)
    return ClaimCase(row, row.linked_number)
