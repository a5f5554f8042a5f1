"""No provider is chosen by accident."""

import pytest

from integrations.carriers.registry import carrier
from integrations.http import new_client
from integrations.payments.registry import payment_provider

URL = "https://api.example.com"


async def test_providers_are_found_by_their_names() -> None:
    async with new_client() as client:
        payments = payment_provider("stripe", base_url=URL, api_key="sk_1", webhook_secrets=[], client=client)
        parcels = carrier("easypost", base_url=URL, api_key="EZ1", webhook_secrets=[], client=client)
    assert (payments.name, parcels.name) == ("stripe", "easypost")


@pytest.mark.parametrize("name", ["", "Stripe", "paypal"])
async def test_an_unknown_name_names_those_that_there_are(name: str) -> None:
    async with new_client() as client:
        with pytest.raises(ValueError, match="there are: stripe"):
            payment_provider(name, base_url=URL, api_key="k", webhook_secrets=[], client=client)
        with pytest.raises(ValueError, match="there are: easypost"):
            carrier(name, base_url=URL, api_key="k", webhook_secrets=[], client=client)


async def test_without_a_key_there_is_no_provider() -> None:
    async with new_client() as client:
        with pytest.raises(ValueError, match="API key"):
            payment_provider("stripe", base_url=URL, api_key="", webhook_secrets=[], client=client)
        with pytest.raises(ValueError, match="API key"):
            carrier("easypost", base_url=URL, api_key="", webhook_secrets=[], client=client)
