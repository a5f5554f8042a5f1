"""Logs: one JSON object a line, and nothing that a customer typed."""

import json
import subprocess
import sys
from pathlib import Path

import structlog

from tests.api.conftest import Api

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


async def test_the_line_of_a_request_names_its_order_and_that_of_the_next_does_not(api: Api) -> None:
    with structlog.testing.capture_logs([structlog.contextvars.merge_contextvars]) as lines:
        placed = await api.place()
        await api.http.get(f"/v1/orders/{placed['number']}")
        await api.http.get(placed["links"]["page"])
        await api.http.get("/v1/skus")
    asked = [line for line in lines if line["event"] == "request"]
    assert [line.get("order") for line in asked] == [placed["number"]] * 3 + [None]
    assert [line.get("order_id") for line in asked] == [placed["id"]] * 3 + [None]
    assert len({line["request_id"] for line in asked}) == 4


def test_logs_are_json_without_the_texts_of_errors() -> None:
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    accepted, failed = (json.loads(line) for line in run.stdout.splitlines())
    assert (accepted["event"], accepted["order_id"], accepted["level"]) == ("order_accepted", "17", "info")
    assert (failed["event"], failed["error"], failed["logger"]) == ("it failed", "ValueError", "library")
    assert "margaret" not in run.stdout + run.stderr


def test_a_line_that_cannot_be_written_fails_nobody() -> None:
    program = f"{PROGRAM}\nimport os; os.write(2, b'served on'); os._exit(0)"
    with Path("/dev/full").open("wb") as full:
        run = subprocess.run([sys.executable, "-c", program], stdout=full, stderr=subprocess.PIPE, check=True)
    assert run.stderr.endswith(b"served on")
