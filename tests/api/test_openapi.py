"""The API's description: complete, tidy, and true to its examples."""

import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from api.schemas.orders import ORDER_EXAMPLE
from tests.api.conftest import Api


@pytest.fixture
async def document(api: Api) -> dict[str, Any]:
    found: dict[str, Any] = (await api.http.get("/openapi.json")).json()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def schema_of(content: dict[str, Any]) -> str:
    """The name of what a body or an answer is."""
    schema: dict[str, Any] = content["schema"]
    if "anyOf" in schema:  # a body that may be left out
        schema = next(option for option in schema["anyOf"] if "$ref" in option)
    return str(schema["$ref"].rpartition("/")[2])


def assert_examples(name: str, document: dict[str, Any]) -> None:
    schema = document["components"]["schemas"][name]
    examples = schema.get("examples", [])
    assert examples, f"{name} has no example"
    validator = jsonschema_rs.validator_for({**schema, "components": document["components"]})
    for example in examples:
        validator.validate(example)


async def test_every_body_and_every_answer_has_an_example_that_fits(document: dict[str, Any]) -> None:
    told = set()  # by name: most are the problems that every operation may answer with
    for _, operation in operations(document):
        if "requestBody" in operation:
            told.add(schema_of(operation["requestBody"]["content"]["application/json"]))
        for answer in operation["responses"].values():
            for kind in ("application/json", "application/problem+json"):
                if kind in answer.get("content", {}):
                    told.add(schema_of(answer["content"][kind]))
    for name in sorted(told):
        assert_examples(name, document)


async def test_every_operation_is_named_described_tagged_and_guarded(document: dict[str, Any]) -> None:
    tags = {tag["name"] for tag in document["tags"]}
    for name, operation in operations(document):
        assert operation["summary"], name
        assert len(operation["description"]) > 20, name
        assert set(operation["tags"]) <= tags, name
        if "/v1/" in name:
            ((scopes,),) = [list(entry.values()) for entry in operation["security"]]
            assert len(scopes) == 1, name
            assert {"401", "403", "422", "503"} <= set(operation["responses"]), name


async def test_every_parameter_is_described_or_speaks_for_itself(document: dict[str, Any]) -> None:
    plain = {"channel", "sku", "warehouse", "kind", "provider", "key"}
    for name, operation in operations(document):
        for parameter in operation.get("parameters", []):
            assert "description" in parameter or parameter["name"] in plain, f"{name}: {parameter['name']}"


async def test_no_answer_has_fields_that_may_be_left_out(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        if name.endswith("Out") or name == "Problem":
            assert set(schema["properties"]) == set(schema["required"]), name


async def test_the_order_of_the_description_can_be_placed(api: Api) -> None:
    line = {**ORDER_EXAMPLE["lines"][0], "sku": "KETTLE"}
    response = await api.http.post("/v1/orders", json={**ORDER_EXAMPLE, "lines": [line]})
    assert response.status_code == 202, response.text


async def test_the_description_is_shown_with_nothing_from_elsewhere(api: Api) -> None:
    page = await api.http.get("/docs")
    assert page.status_code == 200
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert addresses
    for address in addresses:
        assert "//" not in address
        assert (await api.http.get(f"/{address}")).status_code == 200
    nonce = page.headers["content-security-policy"].split("'nonce-")[1].split("'")[0]
    assert f'<script nonce="{nonce}">' in page.text
    assert (await api.http.get("/docs/other.js")).status_code == 404
