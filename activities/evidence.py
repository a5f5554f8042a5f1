"""Evidence is not kept for ever: it shows customers' addresses."""

from datetime import UTC, datetime, timedelta

from db import evidence
from db.base import Database

_BATCH = 200


class EvidenceSweep:
    """Deletes what is older than it has to be ``kept``."""

    def __init__(self, database: Database, kept: timedelta) -> None:
        self._database, self._kept = database, kept

    async def sweep(self) -> int:
        """Delete some of the oldest; how many. Harmless for several at once, and to repeat."""
        async with self._database.transaction() as connection:
            return await evidence.sweep(connection, before=datetime.now(UTC) - self._kept, limit=_BATCH)
