"""The HTTP side: the mailbox page for people, JSON for programs, the dials for testers."""

from pathlib import Path
from typing import Annotated, Any

from jinja2 import Environment, FileSystemLoader, select_autoescape
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from integrations.sandbox.mail.dials import Dials
from integrations.sandbox.mail.reading import Letter
from integrations.sandbox.mail.smtp import Listener
from integrations.sandbox.mail.store import MailStore, Outcome, Search

PAGE = 50
MAIL_POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; img-src data: https: http:; "
    "style-src 'unsafe-inline'; font-src data:"
)
OWN_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; form-action 'self'; img-src data:"

Limit = Annotated[int, Field(ge=0, le=1000)]
_CHANGES = TypeAdapter(dict[str, Any])


class _MessagesQuery(BaseModel):
    to: str = ""
    subject: str = ""
    message_id: str = ""
    q: str = ""
    limit: Limit = 100
    skip: Limit = 0


class _CallsQuery(BaseModel):
    limit: Limit = 100
    message_id: str = ""
    outcome: Outcome | None = None


class _MailboxQuery(BaseModel):
    q: str = ""
    to: str = ""
    skip: Annotated[int, Field(ge=0)] = 0


def build_app(store: MailStore, dials: Dials, listener: Listener) -> Starlette:
    """The mailbox as an ASGI application over the given store, dials and SMTP listener.

    An error is ``{"detail": ...}``: 404 for what is not there, 422 for a query or a dial that makes no sense.
    """
    return Starlette(
        routes=[*_messages(store), *_faults(store, dials, listener), *_pages(store, dials)],
        exception_handlers={HTTPException: _refused, ValidationError: _misunderstood},
    )


def _messages(store: MailStore) -> list[Route]:
    def list_messages(request: Request) -> Response:
        query = _MessagesQuery.model_validate(dict(request.query_params))
        search = Search(to=query.to, subject=query.subject, message_id=query.message_id, text=query.q)
        messages = store.find(search, limit=query.limit, skip=query.skip)
        return JSONResponse({"total": store.count(search), "count": len(messages), "messages": messages})

    def get_message(request: Request) -> Response:
        summary, letter = _open(store, request)
        files = [
            {
                "index": file.index,
                "filename": file.filename,
                "content_type": file.content_type,
                "size": file.size,
                "url": _file_url(summary["id"], file.index),
            }
            for file in letter.attachments
        ]
        parts = {"headers": letter.headers, "text": letter.text, "html": letter.html, "attachments": files}
        return JSONResponse({**summary, **parts})

    def get_raw(request: Request) -> Response:
        return Response(_open(store, request)[1].raw, media_type="message/rfc822")

    def get_attachment(request: Request) -> Response:
        for file in _open(store, request)[1].attachments:
            if file.index == request.path_params["index"]:
                headers = {"Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"}
                return Response(file.content, media_type=file.content_type, headers=headers)
        raise HTTPException(404, "This mail has no such attachment.")

    def delete_messages(_: Request) -> Response:
        return JSONResponse({"deleted": store.clear()})

    return [
        Route("/api/messages", list_messages),
        Route("/api/messages", delete_messages, methods=["DELETE"]),
        Route("/api/messages/{mail_id}", get_message),
        Route("/api/messages/{mail_id}/raw", get_raw),
        Route("/api/messages/{mail_id}/attachments/{index:int}", get_attachment),
    ]


def _faults(store: MailStore, dials: Dials, listener: Listener) -> list[Route]:
    async def get_dials(_: Request) -> Response:
        return JSONResponse(dials.settings.model_dump())

    async def put_dials(request: Request) -> Response:
        settings = dials.change(_CHANGES.validate_json(await request.body()))
        await listener.apply()
        return JSONResponse(settings.model_dump())

    async def delete_dials(_: Request) -> Response:
        settings = dials.reset()
        await listener.apply()
        return JSONResponse(settings.model_dump())

    def get_calls(request: Request) -> Response:
        query = _CallsQuery.model_validate(dict(request.query_params))
        outcome = query.outcome.value if query.outcome else ""
        return JSONResponse(store.calls(limit=query.limit, message_id=query.message_id, outcome=outcome))

    def delete_calls(_: Request) -> Response:
        store.clear_calls()
        return JSONResponse({"deleted": True})

    def healthz(_: Request) -> Response:
        return JSONResponse({"ok": True, "messages": store.count(Search()), "smtp": dials.settings.away})

    return [
        Route("/api/dials", get_dials),
        Route("/api/dials", put_dials, methods=["PUT"]),
        Route("/api/dials", delete_dials, methods=["DELETE"]),
        Route("/api/calls", get_calls),
        Route("/api/calls", delete_calls, methods=["DELETE"]),
        Route("/healthz", healthz),
    ]


def _pages(store: MailStore, dials: Dials) -> list[Route]:
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")), autoescape=select_autoescape()
    )

    def page(name: str, **values: Any) -> HTMLResponse:
        body = templates.get_template(name).render(**values)
        return HTMLResponse(body, headers={"Content-Security-Policy": OWN_POLICY, "Referrer-Policy": "no-referrer"})

    def mailbox(request: Request) -> Response:
        query = _MailboxQuery.model_validate(dict(request.query_params))
        search, skip = Search(text=query.q, to=query.to), query.skip
        total = store.count(search)
        return page(
            "mailbox.html",
            messages=store.find(search, limit=PAGE, skip=skip),
            total=total,
            q=query.q,
            to=query.to,
            newer=request.url.include_query_params(skip=max(0, skip - PAGE)) if skip else None,
            older=request.url.include_query_params(skip=skip + PAGE) if skip + PAGE < total else None,
            first=skip + 1,
            away=dials.settings.away,
        )

    def message(request: Request) -> Response:
        summary, letter = _open(store, request)
        files = [(file, _file_url(summary["id"], file.index)) for file in letter.attachments]
        return page("message.html", mail=summary, letter=letter, files=files)

    def message_html(request: Request) -> Response:
        html = _open(store, request)[1].html
        if html is None:
            raise HTTPException(404, "This mail has no HTML part.")
        headers = {"Content-Security-Policy": MAIL_POLICY, "Referrer-Policy": "no-referrer"}
        return HTMLResponse(f'<base target="_blank">{html}', headers=headers)

    return [
        Route("/", mailbox),
        Route("/messages/{mail_id}", message),
        Route("/messages/{mail_id}/html", message_html),
    ]


async def _refused(_: Request, error: Any) -> Response:
    return JSONResponse({"detail": error.detail}, error.status_code, headers=error.headers)


async def _misunderstood(_: Request, error: Any) -> Response:
    return JSONResponse({"detail": error.errors(include_url=False, include_context=False, include_input=False)}, 422)


def _open(store: MailStore, request: Request) -> tuple[dict[str, Any], Letter]:
    """Raises `HTTPException` (404)."""
    summary = store.get(request.path_params["mail_id"])
    if summary is None:
        raise HTTPException(404, "There is no such mail.")
    return summary, Letter(store.raw(summary["id"]))


def _file_url(mail_id: str, index: int) -> str:
    return f"/api/messages/{mail_id}/attachments/{index}"
