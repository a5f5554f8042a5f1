"""The API's own description: whatever it allows is answered as it says. To be run after the guide's commands."""

import asyncio
import sys
from pathlib import Path

import pytest

from local.catalogue import SKUS, WAREHOUSES
from local.sample_orders import sample_orders
from local.shop import Shop
from local.stack import Stack

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "unsupported_method",
)
OWN_KEY = "revoke_v1_keys__key__delete"
"""would end the fuzzing's own key, and with it the fuzzing"""


@pytest.mark.parametrize("examples", [2, pytest.param(50, marks=pytest.mark.fuzz)])
async def test_whatever_the_description_of_the_api_allows_is_answered_as_it_says(
    folder: Path, stack: Stack, examples: int
) -> None:
    """Random requests to every operation, and sequences of them: no 5xx, and no answer that was not described."""
    async with Shop(stack.addresses.web, api_key=stack.secrets.api_key) as shop:
        await shop.load_catalogue()
        [order] = sample_orders(1, batch="fuzzed")
        placed = await shop.place(order)
    known = {"order": placed.id, "sku": SKUS[0].sku, "warehouse": WAREHOUSES[0].code}
    told = "".join(f'"path.{name}" = "{value}"\n' for name, value in known.items())
    (folder / "schemathesis.toml").write_text(f"[parameters]\n{told}", encoding="utf-8")
    arguments = [
        *("run", f"{stack.addresses.web}/openapi.json", "--exclude-operation-id", OWN_KEY),
        *("--header", f"Authorization: Bearer {stack.secrets.api_key}", "--checks", ",".join(CHECKS)),
        *("--phases", "fuzzing,stateful" if examples < 10 else "examples,coverage,fuzzing,stateful"),
        *("--max-examples", str(examples), "--generation-database", "none", "--no-color"),
    ]
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("schemathesis")),
        *arguments,
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode(errors="replace")
