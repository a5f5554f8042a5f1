"""How many threads Temporal's SDK has beside Python's own: one, where the environment names no other number.

By itself its runtime, tokio, takes one for each processor. They hand each other what is little work, and wait for the
same interpreter with it.
"""

import os

NUMBER = "TOKIO_WORKER_THREADS"
"""tokio's own variable"""


def spare_threads() -> None:
    """To be called before the SDK is used for the first time, which is when it starts its threads."""
    os.environ.setdefault(NUMBER, "1")
