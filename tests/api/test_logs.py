"""Logs: one JSON object a line, and nothing that a customer typed."""

import json
import subprocess
import sys

PROGRAM = """
import logging
import structlog
from runtime.logs import configure_logs

configure_logs("info")
structlog.get_logger("waybill").info("order_accepted", order_id="17")
logging.getLogger("uvicorn.error").debug("too quiet to be told")
try:
    raise ValueError("margaret.ellery@example.com")
except ValueError:
    logging.getLogger("library").exception("it failed")
"""


def test_logs_are_json_without_the_texts_of_errors() -> None:
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    accepted, failed = (json.loads(line) for line in run.stdout.splitlines())
    assert (accepted["event"], accepted["order_id"], accepted["level"]) == ("order_accepted", "17", "info")
    assert (failed["event"], failed["error"], failed["logger"]) == ("it failed", "ValueError", "library")
    assert "margaret" not in run.stdout + run.stderr
