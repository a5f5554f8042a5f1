"""Lists, pages and expansion. Source: docs.stripe.com/api/pagination and /api/expanding_objects."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from integrations.sandbox.books import UnknownObject
from integrations.sandbox.provider import Answer, Call, Object
from integrations.sandbox.stripe.errors import invalid, missing
from integrations.sandbox.stripe.form import Params
from integrations.sandbox.stripe.till import Till, public

_DEFAULT_LIMIT = 10
_MOST = 100
_EXPANDABLE = {
    "latest_charge": "charge",
    "charge": "charge",
    "payment_intent": "payment_intent",
    "payment_method": "payment_method",
    "customer": "customer",
}
_CLAUSE = re.compile(r"""\s*(metadata\[["'](?P<key>[^"']+)["']\]|(?P<field>\w+))\s*:\s*["'](?P<value>[^"']*)["']\s*""")
_BOUNDS = ("gt", "gte", "lt", "lte")


def show(till: Till, obj: Object, expand: Sequence[str]) -> Object:
    """The object as the vendor shows it, with the named fields expanded. Raises `Refused` on a bad path."""
    shown = public(obj)
    for path in expand:
        name, _, rest = path.partition(".")
        if name == "refunds" and shown["object"] == "charge":
            shown["refunds"] = _refunds(till, shown["id"])
        elif name in _EXPANDABLE and name in shown:
            shown[name] = _expanded(till, shown[name], _EXPANDABLE[name], rest)
        else:
            raise invalid(f"This property cannot be expanded ({path}).", param="expand")
    return shown


def _expanded(till: Till, value: Any, kind: str, rest: str) -> Any:
    if value is None:
        return None
    # A second path into the same object meets what the first has already put there.
    inner = value if isinstance(value, dict) else till.load(kind, value)
    return show(till, inner, [rest] if rest else [])


def _refunds(till: Till, charge_id: str) -> Object:
    data = [public(refund) for refund in till.books.find("refund", charge=charge_id)]
    return {"object": "list", "data": data, "has_more": False, "url": f"/v1/charges/{charge_id}/refunds"}


class Pages:
    """Answers list requests."""

    def __init__(self, till: Till) -> None:
        self._till = till

    def answer(self, call: Call, kind: str, *, filters: Sequence[str] = ()) -> Answer:
        """One page of a kind, filtered by the parameters that name its top-level fields."""
        params = Params(call, ("limit", "starting_after", "ending_before", "created", *filters))
        equals = {name: value for name in filters if (value := params.text(name)) is not None}
        since, until = bounds(params)
        found, more = read_page(
            self._till,
            kind,
            limit=limit_of(params),
            starting_after=params.text("starting_after"),
            ending_before=params.text("ending_before"),
            since=since,
            until=until,
            **equals,
        )
        inner = [path.removeprefix("data.") for path in params.expand]
        return page_of(call, [show(self._till, obj, inner) for obj in found], more=more)


def read_page(till: Till, kind: str, *, limit: int = _MOST, **where: Any) -> tuple[list[Object], bool]:
    """One page off the books. Raises `Refused` (400) where it is to start at an object that does not exist."""
    try:
        return till.books.list(kind, limit=limit, **where)
    except UnknownObject as unknown:
        raise missing(kind, unknown.object_id, status=400, param="starting_after") from unknown


def page_of(call: Call, data: list[Object], *, more: bool) -> Answer:
    """A list object."""
    url = call.path.removeprefix("/stripe")
    return Answer(body={"object": "list", "url": url, "has_more": more, "data": data})


def limit_of(params: Params) -> int:
    """The page's size, 1 to 100."""
    limit = params.integer("limit", least=1)
    if limit is not None and limit > _MOST:
        raise invalid(f"This value must be less than or equal to {_MOST}.", param="limit")
    return limit or _DEFAULT_LIMIT


def bounds(params: Params) -> tuple[float | None, float | None]:
    """What ``created`` allows, both ends inclusive; it is a number, or an object of gt, gte, lt, lte."""
    if "created" not in params:
        return None, None
    exact = None if params.is_mapping("created") else params.text("created")
    named = {"gte": exact, "lte": exact} if exact is not None else params.mapping("created") or {}
    values: dict[str, int] = {}
    for name, value in named.items():
        if name not in _BOUNDS or not str(value).isdigit():
            raise invalid(f"Invalid timestamp: created[{name}]", param="created")
        values[name] = int(value)
    since = max((values[name] + step for name, step in (("gt", 1), ("gte", 0)) if name in values), default=None)
    until = min((values[name] - step for name, step in (("lt", 1), ("lte", 0)) if name in values), default=None)
    return since, until


def search_terms(query: str) -> Callable[[Object], bool]:
    """What a search query asks for: ``status:'x' AND metadata['k']:'v'``. Raises `Refused` on other syntax.

    Source: docs.stripe.com/search.
    """
    wanted: list[tuple[str | None, str, str]] = []
    for clause in re.split(r"\s+AND\s+", query):
        match = _CLAUSE.fullmatch(clause)
        if match is None:
            raise invalid(f"We were unable to parse your search query near: {clause}", param="query")
        wanted.append((match["key"], match["field"] or "", match["value"]))

    def matches(obj: Object) -> bool:
        found = (obj["metadata"].get(key) if key else obj.get(field) for key, field, _ in wanted)
        return all(str(has) == value for has, (_, _, value) in zip(found, wanted, strict=True))

    return matches
