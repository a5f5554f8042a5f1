"""The kinds of portals that there are, by name. A new one is one new folder and one line here."""

from collections.abc import Mapping
from typing import Protocol

from integrations.portals.account import PortalAccount
from integrations.portals.desk import Desk, Manners
from integrations.portals.northgate.adapter import Northgate
from integrations.portals.portal import Portal


class Adapter(Protocol):
    """The class of an adapter."""

    name: str
    manners: Manners

    def __call__(self, desk: Desk, account: PortalAccount) -> Portal:
        """A visit at a desk."""


ADAPTERS: Mapping[str, Adapter] = {Northgate.name: Northgate}
"""Name -> adapter. The name is what `adapter` of an account says."""


def adapter(name: str) -> Adapter:
    """The adapter called ``name``. Raises ValueError for an unknown one."""
    found = ADAPTERS.get(name)
    if found is None:
        raise ValueError(f"no portal adapter is called {name!r}; there are: {', '.join(ADAPTERS)}")
    return found
