"""After a restore by hand, before workers start: `python -m db.restored 2026-11-22T18:05:00Z`, with DATABASE_URL set.

The instant is when the backup was begun. Migrations must have run.
"""

import asyncio
import sys
from datetime import UTC, datetime

from db import restores
from db.base import Database
from db.settings import setting


async def restored(dsn: str, made_at: datetime) -> int:
    """Write down that the database at ``dsn`` is what a backup of ``made_at`` held; how many orders are open."""
    database = Database(dsn, pool_size=1, application="waybill-restore")
    try:
        async with database.transaction() as connection:
            return await restores.record(connection, made_at=made_at)
    finally:
        await database.close()


def main() -> int:
    """Status 2 where the instant or the database is not given."""
    made_at, dsn = _instant(sys.argv[1:]), setting("DATABASE_URL")
    if made_at is None or not dsn:
        sys.stderr.write(
            "Set DATABASE_URL, and say when the backup was begun, not in the future and with its offset: "
            "python -m db.restored 2026-11-22T18:05:00Z\n"
        )
        return 2
    count = asyncio.run(restored(dsn, made_at))
    sys.stdout.write(f"{count} open orders go on once the workers run; what the backup forgot is looked for.\n")
    return 0


def _instant(arguments: list[str]) -> datetime | None:
    try:
        [text] = arguments
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    return instant if instant.tzinfo is not None and instant <= datetime.now(UTC) else None


if __name__ == "__main__":
    sys.exit(main())
