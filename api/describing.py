"""How routes are described in the OpenAPI document."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from api.problems import MEDIA_TYPE, Problem
from api.schemas.base import Input, Output

Responses = dict[int | str, dict[str, Any]]

_REF = {"$ref": "#/components/schemas/Problem"}
_WHEN = {
    400: "The request cannot be read.",
    401: "No valid API key came with the request.",
    403: "The API key lacks the scope.",
    404: "There is no such thing.",
    409: "It contradicts what is already so.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "The request is not valid; `errors` lists every fault.",
    503: "A part that is needed does not answer now; repeat after `Retry-After` seconds.",
}
_ALWAYS = (400, 401, 403, 422, 503)
_WITH_BODY = (413, 415)

TAGS = [
    {"name": "orders", "description": "Place orders, follow them, cancel them."},
    {"name": "ledger", "description": "The money of orders: entries, comparison with the provider."},
    {"name": "refunds", "description": "Money given back: granted, then paid."},
    {
        "name": "fulfilments",
        "description": "What a warehouse does: print labels, hand parcels over, split, move or reject them.",
    },
    {"name": "returns", "description": "What customers send back: by which rules, what came, what becomes of it."},
    {"name": "claims", "description": "What was lost, damaged or missing: refunded, or replaced at no cost."},
    {
        "name": "exchanges",
        "description": "Other goods for what comes back; the difference is paid or refunded.",
    },
    {"name": "exceptions", "description": "What waits for a person, and the decision."},
    {"name": "holds", "description": "Stop an order until somebody has looked, by hand or by rules."},
    {"name": "catalogue", "description": "SKUs and warehouses."},
    {"name": "stock", "description": "What is there, what is promised, and why."},
    {"name": "transfers", "description": "Goods on their way from one warehouse to another."},
    {"name": "routing", "description": "Which warehouse ships what: rules, decisions, simulations."},
    {
        "name": "portals",
        "description": "Suppliers' web sites: whether they are visited, and what the visits left behind.",
    },
    {"name": "keys", "description": "API keys and their scopes."},
    {"name": "webhooks", "description": "Where providers report. Stored first, applied by the worker."},
    {"name": "health", "description": "For load balancers and Prometheus."},
]

DESCRIPTION = """
Every order is one durable workflow that confirms the payment, reserves stock, books the carrier and tells the customer.

* **Money** is an integer of minor units (cents for USD, yen for JPY) with its ISO 4217 currency beside it.
* **Instants** are UTC, ISO 8601.
* **Lists** come in pages: `limit` items, then go on with `next_cursor` as `cursor` until that is null.
* **Errors** are RFC 9457 problem details (`application/problem+json`) with a stable `code`.
* **Repeats** are safe: the same order placed again, with the same body, is the same order.
* `waiting` says in one sentence what an order waits for, on whom, since when, until when, and what happens then.
"""


def problems(*statuses: int, body: bool = False) -> Responses:
    """The errors of a route that needs an API key: those that all such routes have, and ``statuses``."""
    return public_problems(*_ALWAYS, *statuses, body=body)


def public_problems(*statuses: int, body: bool = False) -> Responses:
    """The errors of a route; one with a ``body`` can also be refused for that."""
    wanted = sorted({*statuses, *(_WITH_BODY if body else ())})
    return {status: {"description": _WHEN[status], "content": {MEDIA_TYPE: {"schema": _REF}}} for status in wanted}


def answers(description: str, *media_types: str) -> dict[str, Any]:
    """An answer that is no JSON, in one of these forms."""
    return {"description": description, "content": {form: {"schema": {"type": "string"}} for form in media_types}}


def install(app: FastAPI) -> None:
    """Make ``app`` describe its problems, which no route returns as a model."""

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _openapi(app)
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign] # the way that FastAPI documents


def _openapi(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        tags=app.openapi_tags,
    )
    schemas = document["components"]["schemas"]
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= problem.pop("$defs")
    schemas["Problem"] = problem
    # FastAPI drops every null from the document, also from examples, where a null is an answer.
    for model in (*_made_from(Input), *_made_from(Output)):
        extra = model.model_config.get("json_schema_extra")
        if isinstance(extra, dict) and model.__name__ in schemas:
            schemas[model.__name__] |= extra
    return document


def _made_from(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for made in model.__subclasses__():
        yield made
        yield from _made_from(made)
