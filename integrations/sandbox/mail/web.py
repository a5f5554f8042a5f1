"""The HTTP side: the mailbox page for people, JSON for programs, the dials for testers."""

from pathlib import Path
from typing import Annotated, Any

from fastapi import Body, FastAPI, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from jinja2 import Environment, FileSystemLoader, select_autoescape
from pydantic import ValidationError

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

Limit = Annotated[int, Query(ge=0, le=1000)]


def build_app(store: MailStore, dials: Dials, listener: Listener) -> FastAPI:
    """The mailbox as an ASGI application over the given store, dials and SMTP listener."""
    app = FastAPI(title="Sandbox mailbox", docs_url=None, redoc_url=None, openapi_url=None)
    _add_messages(app, store)
    _add_faults(app, store, dials, listener)
    _add_pages(app, store, dials)
    return app


def _add_messages(app: FastAPI, store: MailStore) -> None:
    @app.get("/api/messages")
    def list_messages(
        to: str = "", subject: str = "", message_id: str = "", q: str = "", limit: Limit = 100, skip: int = 0
    ) -> dict[str, Any]:
        search = Search(to=to, subject=subject, message_id=message_id, text=q)
        messages = store.find(search, limit=limit, skip=skip)
        return {"total": store.count(search), "count": len(messages), "messages": messages}

    @app.get("/api/messages/{mail_id}")
    def get_message(mail_id: str) -> dict[str, Any]:
        summary, letter = _open(store, mail_id)
        files = [
            {
                "index": file.index,
                "filename": file.filename,
                "content_type": file.content_type,
                "size": file.size,
                "url": _file_url(mail_id, file.index),
            }
            for file in letter.attachments
        ]
        return {
            **summary,
            "headers": letter.headers,
            "text": letter.text,
            "html": letter.html,
            "attachments": files,
        }

    @app.get("/api/messages/{mail_id}/raw")
    def get_raw(mail_id: str) -> Response:
        _summary(store, mail_id)
        return Response(store.raw(mail_id), media_type="message/rfc822")

    @app.get("/api/messages/{mail_id}/attachments/{index}")
    def get_attachment(mail_id: str, index: int) -> Response:
        for file in _open(store, mail_id)[1].attachments:
            if file.index == index:
                headers = {"Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"}
                return Response(file.content, media_type=file.content_type, headers=headers)
        raise HTTPException(404, "This mail has no such attachment.")

    @app.delete("/api/messages")
    def delete_messages() -> dict[str, int]:
        return {"deleted": store.clear()}


def _add_faults(app: FastAPI, store: MailStore, dials: Dials, listener: Listener) -> None:
    @app.get("/api/dials")
    async def get_dials() -> dict[str, Any]:
        return dials.settings.model_dump()

    @app.put("/api/dials")
    async def put_dials(changes: Annotated[dict[str, Any], Body()]) -> JSONResponse:
        try:
            settings = dials.change(changes)
        except ValidationError as error:
            return JSONResponse({"detail": error.errors(include_url=False, include_context=False)}, 422)
        await listener.apply()
        return JSONResponse(settings.model_dump())

    @app.delete("/api/dials")
    async def delete_dials() -> dict[str, Any]:
        settings = dials.reset()
        await listener.apply()
        return settings.model_dump()

    @app.get("/api/calls")
    def get_calls(limit: Limit = 100, message_id: str = "", outcome: Outcome | None = None) -> dict[str, Any]:
        return store.calls(limit=limit, message_id=message_id, outcome=outcome.value if outcome else "")

    @app.delete("/api/calls")
    def delete_calls() -> dict[str, bool]:
        store.clear_calls()
        return {"deleted": True}

    @app.get("/healthz")
    def healthz() -> dict[str, Any]:
        return {"ok": True, "messages": store.count(Search()), "smtp": dials.settings.away}


def _add_pages(app: FastAPI, store: MailStore, dials: Dials) -> None:
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")), autoescape=select_autoescape()
    )

    def page(name: str, **values: Any) -> HTMLResponse:
        body = templates.get_template(name).render(**values)
        return HTMLResponse(body, headers={"Content-Security-Policy": OWN_POLICY, "Referrer-Policy": "no-referrer"})

    @app.get("/")
    def mailbox(request: Request, q: str = "", to: str = "", skip: Annotated[int, Query(ge=0)] = 0) -> HTMLResponse:
        search = Search(text=q, to=to)
        total = store.count(search)
        messages = store.find(search, limit=PAGE, skip=skip)
        return page(
            "mailbox.html",
            messages=messages,
            total=total,
            q=q,
            to=to,
            newer=request.url.include_query_params(skip=max(0, skip - PAGE)) if skip else None,
            older=request.url.include_query_params(skip=skip + PAGE) if skip + PAGE < total else None,
            first=skip + 1,
            away=dials.settings.away,
        )

    @app.get("/messages/{mail_id}")
    def message(mail_id: str) -> HTMLResponse:
        summary, letter = _open(store, mail_id)
        return page(
            "message.html",
            mail=summary,
            letter=letter,
            files=[(file, _file_url(mail_id, file.index)) for file in letter.attachments],
        )

    @app.get("/messages/{mail_id}/html")
    def message_html(mail_id: str) -> HTMLResponse:
        html = _open(store, mail_id)[1].html
        if html is None:
            raise HTTPException(404, "This mail has no HTML part.")
        headers = {"Content-Security-Policy": MAIL_POLICY, "Referrer-Policy": "no-referrer"}
        return HTMLResponse(f'<base target="_blank">{html}', headers=headers)


def _summary(store: MailStore, mail_id: str) -> dict[str, Any]:
    summary = store.get(mail_id)
    if summary is None:
        raise HTTPException(404, "There is no such mail.")
    return summary


def _open(store: MailStore, mail_id: str) -> tuple[dict[str, Any], Letter]:
    return _summary(store, mail_id), Letter(store.raw(mail_id))


def _file_url(mail_id: str, index: int) -> str:
    return f"/api/messages/{mail_id}/attachments/{index}"
