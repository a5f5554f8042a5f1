"""The sandbox as one ASGI application: every vendor under its prefix, the controls, and the page of the books."""

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from integrations.sandbox import control, registry
from integrations.sandbox.books import FIXED, Books
from integrations.sandbox.calls import CallLog
from integrations.sandbox.clock import Clock
from integrations.sandbox.control import AHEAD
from integrations.sandbox.dials import DialBoard
from integrations.sandbox.pipeline import Pipeline
from integrations.sandbox.provider import Operation, Provider, Sandbox
from integrations.sandbox.settings import FixedHook, Settings
from integrations.sandbox.transport import SandboxProtocol
from integrations.sandbox.webhooks import Endpoint, Webhooks

logger = logging.getLogger(__name__)
_TICK_SECONDS = 0.1
_ANY_METHOD = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def create_app(settings: Settings, *, clock: Callable[[], float] = time.time) -> Starlette:
    """Open the books in ``settings.data`` and serve every registered vendor from them.

    ``app.state.sandbox`` holds the `Sandbox`. The postman and the ticks run during the application's lifespan.
    Serve it with `create_server`: closing connections without an answer needs its protocol class.
    """
    sandbox = _open(settings, clock)
    providers = [build(sandbox) for build in registry.BUILDERS]
    for provider in providers:
        sandbox.webhooks.install(provider.name, provider.sign)
    _register_fixed_hooks(sandbox, settings.hooks, {provider.name for provider in providers})
    app = Starlette(routes=_routes(sandbox, providers), lifespan=_lifespan(sandbox, providers))
    app.state.sandbox = sandbox
    return app


def create_server(settings: Settings, *, host: str, port: int) -> uvicorn.Server:
    """The sandbox ready to `run` (or `serve`) on this address."""
    config = uvicorn.Config(
        create_app(settings),
        host=host,
        port=port,
        http=SandboxProtocol,
        lifespan="on",
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=2,
    )
    return uvicorn.Server(config)


def _open(settings: Settings, true: Callable[[], float]) -> Sandbox:
    clock = Clock(true)
    books = Books(settings.data / "books.sqlite3", clock=clock)
    clock.ahead = float(books.setting(AHEAD) or 0)
    dials = DialBoard(books)
    return Sandbox(
        settings=settings,
        books=books,
        dials=dials,
        calls=CallLog(books),
        webhooks=Webhooks(books, dials, clock),
        clock=clock,
    )


def _register_fixed_hooks(sandbox: Sandbox, hooks: Sequence[FixedHook], known: set[str]) -> None:
    for name in known:
        sandbox.webhooks.unregister(FIXED + name)
    for hook in hooks:
        if hook.provider not in known:
            raise ValueError(f"no vendor is called {hook.provider!r}")
        endpoint = Endpoint(FIXED + hook.provider, hook.provider, hook.url, hook.secret)
        sandbox.webhooks.register(endpoint)


def _routes(sandbox: Sandbox, providers: Sequence[Provider]) -> list[BaseRoute]:
    mounts: list[BaseRoute] = []
    extra: list[BaseRoute] = []
    for provider in providers:
        mounts.append(Mount(provider.prefix, routes=_vendor_routes(Pipeline(sandbox, provider), provider)))
        extra.extend(provider.extra_routes)
    return [*extra, *mounts, *control.routes(sandbox, providers)]


def _vendor_routes(pipeline: Pipeline, provider: Provider) -> list[BaseRoute]:
    routes: list[BaseRoute] = [
        Route(operation.path, _endpoint(pipeline, operation), methods=[operation.method])
        for operation in provider.operations
    ]
    return [*routes, Route("/{path:path}", _endpoint(pipeline, None), methods=_ANY_METHOD)]


def _endpoint(pipeline: Pipeline, operation: Operation | None) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        return await pipeline.serve(request, operation)

    return endpoint


def _lifespan(
    sandbox: Sandbox, providers: Sequence[Provider]
) -> Callable[[Starlette], contextlib.AbstractAsyncContextManager[None]]:
    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(sandbox.webhooks.run()), asyncio.create_task(_tick(sandbox, providers))]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            sandbox.books.close()

    return lifespan


async def _tick(sandbox: Sandbox, providers: Sequence[Provider]) -> None:
    while True:
        _tick_all(sandbox, providers)
        await asyncio.sleep(_TICK_SECONDS)


def _tick_all(sandbox: Sandbox, providers: Sequence[Provider]) -> None:
    try:
        with sandbox.books.transaction():
            for provider in providers:
                if provider.tick is not None:
                    _tick_once(sandbox, provider.name, provider.tick)
    except sqlite3.Error:  # at the next tick all of it is still due
        logger.exception("a tick was not written")


def _tick_once(sandbox: Sandbox, name: str, tick: Callable[[float], None]) -> None:
    try:
        with sandbox.books.transaction():
            tick(sandbox.clock())
    except Exception:  # one vendor's mistake must not stop the clock of the others
        logger.exception("the tick of %s broke", name)
