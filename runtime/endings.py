"""How one-off commands that have spoken to Temporal end."""

import os
import sys
from typing import NoReturn


def leave(status: int) -> NoReturn:
    """End the process now, with what it said written out.

    The SDK's threads outlive its clients, and on CPython 3.11 an interpreter that takes itself apart beneath them can
    abort: a command that did its work would end as one that failed.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
