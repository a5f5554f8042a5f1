"""``python -m runtime.portal_check NAME [--sku SKU] [--pictures FOLDER]``: is the portal still as its adapter knows it?

It logs in and looks at every page that can be seen without ordering, and tells of every part that is used whether it is
there. With a SKU it fills the order form in up to the summary, and stops before the final button. Nothing is ordered,
changed or cancelled; the database and Temporal are not needed. It ends with 0 if everything was there, else with 1.
"""

import argparse
import asyncio
import sys
from pathlib import Path

from domain.portals import EvidenceKind
from integrations.portals.browser import BrowserMissing, Chromium, find_chromium
from integrations.portals.evidence import Exhibit
from integrations.portals.office import Office
from integrations.portals.sessions import Sessions
from runtime.settings import PortalSettings, SettingsError, Switch, load_portal_settings

_CANNOT_START = 2


class Album:
    """Pictures in a folder, numbered; none without one."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._count = 0
        if folder is not None:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    async def keep(self, exhibit: Exhibit) -> None:
        """Fits `integrations.portals.evidence.Keep`."""
        if self._folder is None or exhibit.kind is not EvidenceKind.PICTURE:
            return
        self._count += 1
        name = "".join(letter if letter.isalnum() else "-" for letter in exhibit.name)[:60]
        await asyncio.to_thread((self._folder / f"{self._count:02d}-{name}.png").write_bytes, exhibit.content)


async def check(settings: PortalSettings, portal: str, *, sku: str | None, pictures: Path | None) -> int:
    """Report on a portal. Raises BrowserMissing, LookupError or ValueError where it cannot be visited."""
    chromium = Chromium(find_chromium(settings.chromium_path), sandbox=settings.chromium_sandbox is Switch.ON)
    office = Office(chromium, settings.portals, Sessions())
    office.account(portal)
    async with chromium:
        sightings, ended = await office.survey(portal, sku=sku, keep=Album(pictures).keep)
    step = ""
    for sighting in sightings:
        if sighting.step != step:
            step = sighting.step
            sys.stdout.write(f"{step}\n")
        sys.stdout.write(f"  {'ok     ' if sighting.there else 'MISSING'}  {sighting.mark}\n")
    missing = sum(not sighting.there for sighting in sightings)
    sys.stdout.write(f"{len(sightings) - missing} of {len(sightings)} parts are there.\n")
    if ended:
        sys.stdout.write(f"It ended early: {ended}\n")
    return 1 if missing or ended else 0


def main(arguments: list[str]) -> int:
    """Parse, and report."""
    parser = argparse.ArgumentParser(prog="python -m runtime.portal_check", description="Look at a supplier's portal.")
    parser.add_argument("portal", help="its name in PORTALS")
    parser.add_argument("--sku", help="an item with which the form is filled in, up to the summary")
    parser.add_argument("--pictures", type=Path, help="a folder for a picture of every step")
    options = parser.parse_args(arguments)
    try:
        settings = load_portal_settings()
        return asyncio.run(check(settings, options.portal, sku=options.sku, pictures=options.pictures))
    except (SettingsError, BrowserMissing, LookupError, ValueError) as error:
        sys.stderr.write(f"The portal cannot be looked at:\n{error}\n")
        return _CANNOT_START


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
