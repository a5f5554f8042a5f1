"""What stands beside the vendor's API: label files, the public tracking page, a tester's hand on a parcel."""

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from integrations.sandbox.control import BadControl, guarded, read_body
from integrations.sandbox.easypost import journey
from integrations.sandbox.easypost.hooks import instant
from integrations.sandbox.easypost.labels import CONTENT_TYPES
from integrations.sandbox.easypost.purchases import FILES
from integrations.sandbox.easypost.shipments import Shipments
from integrations.sandbox.easypost.trackers import NoMoreEvents, Trackers
from integrations.sandbox.easypost.wire import iso, public
from integrations.sandbox.provider import Object, Refused, Sandbox


class Beside:
    """The routes that are no part of the vendor's API."""

    def __init__(self, sandbox: Sandbox, shipments: Shipments, trackers: Trackers) -> None:
        self._sandbox, self._shipments, self._trackers = sandbox, shipments, trackers
        folder = FileSystemLoader(Path(__file__).with_name("templates"))
        self._pages = Environment(loader=folder, autoescape=True, undefined=StrictUndefined)

    @property
    def routes(self) -> Sequence[BaseRoute]:
        """Files, the tracking page and the controls."""
        control = "/control/easypost/trackers/{id}"
        return [
            Route(FILES + "/{day}/{token}.{file_type}", guarded(self.label_file)),
            Route("/easypost/track/{id}", guarded(self.tracking_page)),
            Route(control + "/advance", guarded(self.advance), methods=["POST"]),
            Route(control + "/set", guarded(self.set_status), methods=["POST"]),
        ]

    async def label_file(self, request: Request) -> Response:
        """A label as a file."""
        file_type = request.path_params["file_type"]
        content = self._shipments.label_file(request.path_params["token"], file_type)
        if content is None:
            raise BadControl(404, "there is no such label")
        return Response(content, media_type=CONTENT_TYPES[file_type])

    async def tracking_page(self, request: Request) -> Response:
        """Where the parcel is, for the person who waits for it."""
        with self._sandbox.books.transaction():
            tracker = self._need(request)
        return HTMLResponse(self._pages.get_template("track.html").render(tracker=public(tracker)))

    async def advance(self, request: Request) -> Response:
        """Let the next ``{"steps": n}`` events happen now (default one), by tracker id or tracking code."""
        steps = (await read_body(request)).get("steps", 1)
        if not isinstance(steps, int) or not 1 <= steps <= journey.LENGTH:
            raise BadControl(422, f"steps is a number from 1 to {journey.LENGTH}")
        with self._sandbox.books.transaction():
            tracker = self._need(request)
            try:
                for _ in range(steps):
                    tracker = self._trackers.advance(tracker)
            except NoMoreEvents as nothing:
                raise BadControl(409, str(nothing)) from nothing
        return JSONResponse(public(tracker))

    async def set_status(self, request: Request) -> Response:
        """Record an event of one's choice.

        ``{"status": s, "status_detail"?, "message"?, "datetime"?, "signed_by"?}``; a past ``datetime`` makes an
        event that comes late.
        """
        body = await read_body(request)
        status = body.get("status")
        if status not in journey.STATUSES:
            raise BadControl(422, f"status is one of {sorted(journey.STATUSES)}")
        try:
            at = instant(body.get("datetime"), "datetime") or self._sandbox.clock()
        except Refused as bad:
            raise BadControl(422, "datetime is an ISO 8601 instant") from bad
        with self._sandbox.books.transaction():
            tracker = self._need(request)
            words = str(body.get("message") or status.replace("_", " ").capitalize())
            taken = journey.Step(status, str(body.get("status_detail") or "status_update"), words, journey.Spot.HUB)
            detail = journey.detail(taken, tracker["carrier"], iso(at), journey.hub_of(tracker["carrier"]))
            tracker = self._trackers.note(tracker, detail, signed_by=body.get("signed_by"))
        return JSONResponse(public(tracker))

    def _need(self, request: Request) -> Object:
        tracker = self._trackers.find(request.path_params["id"])
        if tracker is None:
            raise BadControl(404, f"no tracker {request.path_params['id']}")
        return tracker
