"""The demonstration's supplier, who takes orders through a portal alone: where there is a browser to visit it with."""

import asyncio
import importlib.util
import json
import os
import shutil
from pathlib import Path
from typing import Any

import httpx2

from local.catalogue import SampleSku, SampleWarehouse

PORTAL = "northgate"
NORTHGATE = SampleWarehouse(
    "NGT", "Northgate Supplies", "2200 Harvey Way", "Long Beach", "CA", "90808", "+1 562 555 0158", 40
)
SUPPLIED = SampleSku("OUT-TENT-2", "Two-person tent, 1.9 kg", 1900, (480, 180, 180), 24900, (NORTHGATE.code,))
"""what only the supplier has"""
QUICK = {"picking_seconds": 0.2, "dispatched_seconds": 0.2, "delivered_seconds": 0.2}
"""dials of the portal with which a tent travels in moments"""
_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
_BUYER = {
    "username": "buyer@shop.example",
    "password": "northgate-sandbox",
    "totp": "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP",
}
"""an account that the sandbox has for everybody"""


def missing() -> str:
    """What is not there that a portal is visited with; nothing if all of it is."""
    if importlib.util.find_spec("playwright") is None:
        return "the Python package playwright"
    return "" if any(map(shutil.which, _CHROMIUM)) else "Chromium"


def settings(sandbox: str, folder: Path) -> dict[str, str]:
    """What Waybill's processes need to know of the portal. Log-ins are kept in ``folder``."""
    account = {
        "name": PORTAL,
        "adapter": "northgate",
        "base_url": f"{sandbox}/portal",
        "settles_within": "PT10S",
        "concurrency": 2,
        **_BUYER,
    }
    return {
        "PORTALS": json.dumps([account]),
        "PORTAL_SESSIONS_DIR": str(folder),
        "CHECK_PORTAL_EVERY": "PT1S",
        "CHROMIUM_SANDBOX": "off" if os.geteuid() == 0 else "on",
    }


async def pictures(client: httpx2.AsyncClient, order: dict[str, Any], folder: Path) -> int:
    """Keep the pictures of an order's visits as files; how many there are."""
    await asyncio.to_thread(folder.mkdir, mode=0o700, parents=True, exist_ok=True)
    kept = 0
    for fulfilment in order["fulfilments"]:
        listed = (await client.get(fulfilment["links"]["evidence"])).raise_for_status().json()["items"]
        for piece in (piece for piece in listed if piece["kind"] == "picture"):
            content = (await client.get(f"{fulfilment['links']['evidence']}/{piece['id']}")).raise_for_status().content
            kept += 1
            step = "".join(letter if letter.isalnum() else "-" for letter in piece["step"])
            await asyncio.to_thread((folder / f"{kept:02d}-{piece['job']}-{step}.png").write_bytes, content)
    return kept
