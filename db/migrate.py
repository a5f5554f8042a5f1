"""Bring the database to the newest schema: `python -m db.migrate`, with DATABASE_URL set or in a file (SECRETS_DIR)."""

import sys
from pathlib import Path

from alembic import command
from alembic.config import Config

from db.settings import setting


def migrate(dsn: str) -> None:
    """Apply every migration that the database at ``dsn`` lacks; several at once wait for each other."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["dsn"] = dsn
    command.upgrade(config, "head")


def main() -> int:
    """Migrate the database that DATABASE_URL names."""
    dsn = setting("DATABASE_URL")
    if not dsn:
        sys.stderr.write("DATABASE_URL is not set: which database should be migrated?\n")
        return 2
    migrate(dsn)
    return 0


if __name__ == "__main__":
    sys.exit(main())
