"""Record the histories that `test_replay` replays: `python -m tests.workflows.record [name …]`.

Run it after a change that orders in flight can stand, to add the shapes that it makes possible. A recorded history is
replaced only where no order that began before can still be in flight; otherwise it is given another name and kept.
"""

import asyncio
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from db.migrate import migrate
from local.postgres import Postgres
from runtime.logs import configure_logs
from tests.ground import open_ground
from tests.house import open_house
from tests.street import open_street
from tests.workflows.scrubbing import scrubbed
from tests.workflows.stories import STORIES

_KIND = re.compile(r"(transfer|return|claim|exchange|refund|money-check|stock-check)-")
HISTORIES = Path(__file__).with_name("histories")


def main(names: Sequence[str]) -> None:
    """Record these stories."""
    configure_logs("ERROR")
    with tempfile.TemporaryDirectory(prefix="waybill-record-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # as root PostgreSQL runs as another user, who must reach its data
        asyncio.run(record(names, folder))


async def record(names: Sequence[str], folder: Path) -> None:
    """Tell each story to a house of its own and keep what Temporal stored of it."""
    async with Postgres(folder / "postgres", durable=False) as postgres, open_street(folder / "street") as street:
        for story in names:
            url = await postgres.create_database(f"story_{story}")
            await asyncio.to_thread(migrate, url)
            async with open_ground(url) as ground, open_house(street, ground) as house:
                name = await STORIES[story](house)
                # An order is named by its id, any other workflow by its own.
                handle = house.client.get_workflow_handle(name) if _KIND.match(name) else house.handle(name)
                history = await scrubbed(await handle.fetch_history())
            await asyncio.to_thread((HISTORIES / f"{story}.json").write_text, history.to_json() + "\n")


if __name__ == "__main__":
    main(sys.argv[1:] or list(STORIES))
