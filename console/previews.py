"""Deeds that are shown before they are done: a form asks, the page tells, and its button does just that, or nothing."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from fastapi.responses import Response

from console.identity import Person
from console.order_view import Id, OrderView, api_of
from domain.identity import Scope
from templates.console_order import Preview


@dataclass(frozen=True)
class Deed:
    """A deed of the API's with a preview. ``wish`` makes of a form what is asked; raises ValueError."""

    name: str
    done: str
    wish: Callable[[Mapping[str, str]], dict[str, Any]]
    shown: Callable[[Mapping[str, Any]], Any]
    """what the page tells of the API's preview"""


async def previewed(view: OrderView, request: Request, order: Id, deed: Deed) -> Response:
    """Show what the deed would do; do it where that was seen, unless the order has moved meanwhile."""

    async def act(person: Person, fields: dict[str, str]) -> Response:
        path = f"{api_of(order)}/{deed.name}"
        if fields.get("version"):
            sure = {**_object(fields.get("wish", "")), "version": fields["version"]}
            answer = await view.calls(person, "POST", path, body=sure, key=fields.get("once", ""))
            return await view.after(person, order, answer, deed.done)
        try:
            wish = deed.wish(fields)
        except ValueError as error:
            return await view.draw(person, order, trouble=str(error), status=422)
        answer = await view.calls(person, "POST", f"{path}/preview", body=wish)
        if answer.trouble:
            return await view.draw(person, order, trouble=answer.trouble, status=answer.status)
        seen = Preview(deed.name, deed.shown(answer.body), answer.body["version"], json.dumps(wish))
        return await view.draw(person, order, preview=seen)

    return await view.door.acting(request, Scope.ORDERS_WRITE, act)


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
