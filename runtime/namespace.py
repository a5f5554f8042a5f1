"""Make a namespace of Temporal fit for orders: `python -m runtime.namespace` registers what search attributes it lacks.

It needs the settings of Temporal alone. Running it again changes nothing.
"""

import asyncio
import sys
from collections.abc import Mapping

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.service import RPCError

from runtime.endings import leave
from runtime.plugin import connect_bare
from runtime.search_attributes import SEARCH_ATTRIBUTES
from runtime.settings import SettingsError, TemporalSettings, load_temporal_settings


class NamespaceError(Exception):
    """The namespace cannot be used for orders; the text says why and what to do."""


async def register(settings: TemporalSettings, search_attributes: Mapping[str, str] = SEARCH_ATTRIBUTES) -> None:
    """Add the search attributes that the namespace lacks. Raises NamespaceError."""
    address, namespace = settings.temporal_address, settings.temporal_namespace
    wanted = {name: _kind(kind) for name, kind in search_attributes.items()}
    try:
        client = await connect_bare(settings)
        request = ListSearchAttributesRequest(namespace=namespace)
        known = (await client.operator_service.list_search_attributes(request)).custom_attributes
    except (RPCError, RuntimeError) as error:
        raise NamespaceError(f"Temporal at {address} (TEMPORAL_ADDRESS) cannot be used: {error}") from error
    wrong = [name for name, kind in wanted.items() if known.get(name, kind) != kind]
    if wrong:
        raise NamespaceError(f"{', '.join(wrong)}: of other types in namespace {namespace}; use another namespace.")
    missing = {name: kind for name, kind in wanted.items() if name not in known}
    if not missing:
        return
    try:
        await client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(namespace=namespace, search_attributes=missing)
        )
    except (RPCError, RuntimeError) as error:
        raise NamespaceError(
            f"Namespace {namespace} lacks {', '.join(missing)}, and Temporal does not let us register them ({error}); "
            "docs/guide.md says how to."
        ) from error


def _kind(name: str) -> "IndexedValueType.ValueType":
    spelled = "".join(f"_{letter}" if letter.isupper() else letter.upper() for letter in name)
    return IndexedValueType.Value(f"INDEXED_VALUE_TYPE{spelled}")


def main() -> int:
    """Status 2 where the settings do not allow it, 1 where Temporal does not."""
    try:
        asyncio.run(register(load_temporal_settings()))
    except (SettingsError, NamespaceError) as error:
        sys.stderr.write(f"{error}\n")
        return 2 if isinstance(error, SettingsError) else 1
    return 0


if __name__ == "__main__":
    leave(main())
