"""Deeds that are shown before they are done: a form asks, the page tells, and its button does just that, or nothing."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from console.calls import Answer, at_order
from console.forms import as_typed, key_of, object_in
from console.identity import Person
from console.order_view import OrderView
from console.page import Id
from domain.identity import Scope
from templates.console import Typed
from templates.console_order import CancelEffects, ChangeEffects, Preview, SeenOrder


@dataclass(frozen=True)
class Deed:
    """A deed of the API's that has a preview.

    ``wish`` makes of a form, and of the order as it is now, what is asked; it raises ValueError. ``shown`` is what the
    page tells of the API's preview, ``done`` what it says of the deed's answer.
    """

    name: str
    wish: Callable[[Mapping[str, str], SeenOrder], dict[str, Any]]
    shown: Callable[[Any], CancelEffects | ChangeEffects]
    done: Callable[[Mapping[str, Any]], str]


@dataclass(frozen=True)
class DeedForms:
    """Takes a deed's two forms: the one that asks what it would do, and the one that has it done."""

    view: OrderView
    deed: Deed

    def router(self) -> APIRouter:
        """The route."""
        router, path = APIRouter(include_in_schema=False), f"/console/orders/{{order}}/{self.deed.name}"
        router.add_api_route(path, self.take, methods=["POST"], response_class=Response)
        return router

    async def take(self, request: Request, order: Id) -> Response:
        """Show what the deed would do; do it where that was seen, unless the order has moved meanwhile."""

        async def act(person: Person, fields: dict[str, str]) -> Response:
            if fields.get("version"):
                return await _do(self.view, person, order, self.deed, fields)
            return await _show(self.view, person, order, self.deed, fields, as_typed(request, fields))

        return await self.view.door.acting(request, Scope.ORDERS_WRITE, act)


async def _show(
    view: OrderView, person: Person, order: str, deed: Deed, fields: Mapping[str, str], typed: Typed
) -> Response:
    now = await view.read(person, order)
    if isinstance(now, Answer):
        return view.door.refusal(person, now.trouble, status=now.status)
    try:
        wish = deed.wish(fields, now)
    except ValueError as error:
        return await view.draw(person, order, trouble=str(error), status=422, typed=typed)
    answer = await view.calls(person, "POST", f"{at_order(order)}/{deed.name}/preview", body=wish)
    if answer.refused:
        return await view.draw(person, order, trouble=answer.trouble, status=answer.status, typed=typed)
    seen = Preview(deed.name, deed.shown(answer.body), answer.body["version"], json.dumps(wish))
    return await view.draw(person, order, preview=seen)


async def _do(view: OrderView, person: Person, order: str, deed: Deed, fields: Mapping[str, str]) -> Response:
    try:
        sure, once = {**object_in(fields, "wish"), "version": fields["version"]}, key_of(fields)
    except ValueError as error:
        return await view.draw(person, order, trouble=str(error), status=422)
    answer = await view.calls(person, "POST", f"{at_order(order)}/{deed.name}", body=sure, key=once)
    return await view.after(person, order, answer, "" if answer.refused else deed.done(answer.body))
