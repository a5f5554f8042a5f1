"""The way of a call from socket to handler and back, the same for every vendor."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.requests import Request
from starlette.responses import Response

from integrations.sandbox.calls import Entry
from integrations.sandbox.dials import Fault, Mishap
from integrations.sandbox.provider import Answer, Call, FaultAnswer, Operation, Provider, Refused, Sandbox
from integrations.sandbox.transport import hang_up, keep_waiting

UNKNOWN = "unknown"


class Pipeline:
    """Serves one vendor's calls: log, fate, key, latency, deed, webhooks, answer."""

    def __init__(self, sandbox: Sandbox, provider: Provider) -> None:
        self._sandbox, self._provider = sandbox, provider
        self._in_flight: set[str] = set()

    async def serve(self, request: Request, operation: Operation | None) -> Response:
        """Answer one request; without an operation it is one that the vendor does not know."""
        call = await self._read(request, operation)
        entry = self._sandbox.calls.entry(call, call.headers.get("idempotency-key"))
        fault = self._sandbox.dials.fate(call.provider, call.operation)
        if fault or self._dawdles(call.provider):
            entry.note("open")  # others may look meanwhile
        status = "crashed"
        try:
            if fault and fault.status is Mishap.DROP_BEFORE:
                status = "dropped"
                return await hang_up(request)
            answer = await self._answer(request, call, operation, fault, entry)
            status, response = await self._deliver(request, call, fault, answer)
            return response
        finally:
            entry.note(status, fault=str(fault.status) if fault else None)

    def _dawdles(self, provider: str) -> bool:
        dials = self._sandbox.dials.get(provider)
        return bool(dials.latency_ms or dials.latency_jitter_ms or dials.webhooks.early)

    async def _read(self, request: Request, operation: Operation | None) -> Call:
        return Call(
            provider=self._provider.name,
            operation=operation.name if operation else UNKNOWN,
            method=request.method,
            path=request.url.path,
            query_string=request.url.query,
            headers={name.lower(): value for name, value in request.headers.items()},
            body=await request.body(),
            path_params={name: str(value) for name, value in request.path_params.items()},
            request_id=self._sandbox.books.new_id("req"),
            base_url=self._sandbox.settings.public_url,
            at=self._sandbox.clock(),
        )

    async def _answer(
        self, request: Request, call: Call, operation: Operation | None, fault: Fault | None, entry: Entry
    ) -> Answer | None:
        """The vendor's answer, or None when the caller is to hear nothing."""
        try:
            self._provider.authorise(call)
            with self._holding_key(call) as key:
                await self._latency(call)
                if fault and fault.status is Mishap.TIMEOUT:
                    await self._let_hang(request, call)
                    return None
                answer = self._perform(call, operation, fault, key, entry)
                await self._aftermath(request, call, fault)
                return answer
        except Refused as refusal:
            return refusal.answer

    @contextmanager
    def _holding_key(self, call: Call) -> Iterator[str | None]:
        keeper = self._provider.idempotency
        key = keeper.key(call) if keeper else None
        if keeper is None or key is None:
            yield None
            return
        if key in self._in_flight:
            raise Refused(keeper.in_flight(call, key))
        self._in_flight.add(key)
        try:
            yield key
        finally:
            self._in_flight.discard(key)

    async def _latency(self, call: Call) -> None:
        dials = self._sandbox.dials.get(call.provider)
        jitter = self._sandbox.dials.draw(call.provider, "latency")() * dials.latency_jitter_ms
        if dials.latency_ms or jitter:
            await asyncio.sleep((dials.latency_ms + jitter) / 1000)

    async def _let_hang(self, request: Request, call: Call) -> None:
        await keep_waiting(request, self._sandbox.dials.get(call.provider).hang_seconds)

    def _perform(
        self, call: Call, operation: Operation | None, fault: Fault | None, key: str | None, entry: Entry
    ) -> Answer:
        if operation is None:
            return self._provider.unknown(call)
        if fault is None or not isinstance(fault.status, int):
            return self._execute(call, operation, key, entry)
        failure = self._provider.render_fault(call, self._wording(call, fault, fault.status))
        if fault.deed:
            self._execute(call, operation, key, entry, kept=failure)
        elif fault.status == 500 and key is not None:
            # The endpoint began to execute and broke: such an answer is kept, unlike 429, 503 and their like.
            self._keep_failure(call, key, failure)
        return failure

    def _wording(self, call: Call, fault: Fault, status: int) -> FaultAnswer:
        dials = self._sandbox.dials.get(call.provider)
        retry_after = fault.retry_after if fault.retry_after is not None else dials.retry_after_seconds
        return FaultAnswer(status=status, code=fault.code, message=fault.message, retry_after=retry_after)

    def _execute(
        self, call: Call, operation: Operation, key: str | None, entry: Entry, *, kept: Answer | None = None
    ) -> Answer:
        """Replay the first answer under this key, or do the deed and keep its answer (or ``kept`` instead)."""
        keeper = self._provider.idempotency
        if keeper and key is not None and (first := keeper.recall(call, key)):
            return first
        try:
            with self._sandbox.books.transaction():
                answer = operation.handler(call)
                if keeper and key is not None:
                    keeper.keep(call, key, kept or answer)
                deed = call.method != "GET" and answer.status < 400
                # What waits for nothing is answered next: one transaction holds all of it.
                entry.note("open" if entry.is_open else str(answer.status), deed=deed)
        except Refused as refusal:
            if keeper and key is not None and refusal.executed:
                keeper.keep(call, key, refusal.answer)
            raise
        return answer

    def _keep_failure(self, call: Call, key: str, failure: Answer) -> None:
        keeper = self._provider.idempotency
        if keeper and keeper.recall(call, key) is None:
            keeper.keep(call, key, failure)

    async def _aftermath(self, request: Request, call: Call, fault: Fault | None) -> None:
        """What happens between deed and answer: early webhooks, dawdling, hanging."""
        dials = self._sandbox.dials.get(call.provider)
        if dials.webhooks.early:
            await self._sandbox.webhooks.settle(call.request_id)
        if fault and fault.status is Mishap.SLOW:
            await asyncio.sleep(dials.slow_seconds if fault.seconds is None else fault.seconds)
        if fault and fault.status is Mishap.HANG_AFTER:
            await self._let_hang(request, call)

    async def _deliver(
        self, request: Request, call: Call, fault: Fault | None, answer: Answer | None
    ) -> tuple[str, Response]:
        mishap = fault.status if fault else None
        if mishap in (Mishap.TIMEOUT, Mishap.HANG_AFTER) or answer is None:
            return "hung", Response(status_code=500)
        if mishap is Mishap.LOST_ANSWER:
            return "lost", await hang_up(request)
        headers = {**self._provider.response_headers(call), **answer.headers}
        body = answer.payload
        if mishap is Mishap.GARBAGE:
            return "garbage", Response(b"<html>" + body[: len(body) // 2], 200, headers, "application/json")
        return str(answer.status), Response(body, answer.status, headers, answer.content_type)
