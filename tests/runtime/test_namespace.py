"""A namespace that others made becomes fit for orders, or it is said why not."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from local.temporal import find_program
from runtime.namespace import NamespaceError, register
from runtime.search_attributes import SEARCH_ATTRIBUTES
from runtime.settings import TemporalSettings


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    options = ["--search-attribute", "Channel=Keyword"]
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=find_program(), dev_server_extra_args=options
    ) as server:
        yield server.client


@pytest.fixture
def settings(client: Client) -> TemporalSettings:
    return TemporalSettings(temporal_address=client.service_client.config.target_host)


async def test_a_namespace_gets_the_search_attributes_it_lacks(client: Client, settings: TemporalSettings) -> None:
    for _ in range(2):  # the second time there is nothing to add
        await register(settings)
    answer = await client.operator_service.list_search_attributes(ListSearchAttributesRequest(namespace="default"))
    assert answer.custom_attributes.keys() >= SEARCH_ATTRIBUTES.keys()


async def test_the_command_ends_well(settings: TemporalSettings) -> None:
    for _ in range(2):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "runtime.namespace"),
            env={**os.environ, "TEMPORAL_ADDRESS": settings.temporal_address},
            cwd=Path(__file__).parents[2],
        )
        assert await asyncio.wait_for(process.wait(), 60) == 0


async def test_an_attribute_of_another_type_is_named(settings: TemporalSettings) -> None:
    with pytest.raises(NamespaceError, match="Channel: of other types in namespace default"):
        await register(settings, {"Channel": "Int"})


async def test_attributes_that_temporal_does_not_take_are_named(settings: TemporalSettings) -> None:
    with pytest.raises(NamespaceError, match="lacks Text0, Text1, Text2, Text3, and Temporal does not let us register"):
        await register(settings, {f"Text{n}": "Text" for n in range(4)})


async def test_a_server_that_is_away_is_named() -> None:
    with pytest.raises(NamespaceError, match=r"127\.0\.0\.1:1 \(TEMPORAL_ADDRESS\) cannot be used"):
        await register(TemporalSettings(temporal_address="127.0.0.1:1"))
