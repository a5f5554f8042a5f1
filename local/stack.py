"""The whole embedded stack as one context manager: what `make up`, `make demo` and the end-to-end tests run on.

>>> async with Stack(folder, ports=Ports.ephemeral(), say=print) as stack:
...     print(stack.addresses.web)

PostgreSQL and its migrations, Temporal, the provider sandbox and the mail sink start side by side; then web and worker.
DATABASE_URL or TEMPORAL_ADDRESS in the environment name servers to use in place of ours.
"""

import asyncio
import fcntl
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlencode

from api.first_key import store_first_key
from local import supplier
from local.ports import LOOPBACK, Ports, free_port
from local.postgres import Postgres
from local.processes import LocalError, Ready, Say, Service, Supervisor, answers, run_to_end, shown
from local.secrets import Secrets
from local.temporal import NAMESPACE, temporal_service
from runtime.search_attributes import SEARCH_ATTRIBUTES

ROOT = Path(__file__).resolve().parent.parent
DATABASE = "waybill"
PRIVATE = ("logs", "mail", "sandbox", "secrets", "temporal")
ORDERS_ONLY = 'WorkflowType="Order"'
RESTORING = "restoring"
"""the file that marks a folder on which a restore has begun and not ended"""
MIGRATE_WITHIN = timedelta(seconds=60)
# more than web and worker give what is in hand before they end by themselves
GRACE = timedelta(seconds=15)


@dataclass(frozen=True)
class Addresses:
    """Where a person's browser finds things."""

    web: str
    sandbox: str
    mailbox: str
    temporal_ui: str

    @property
    def api_docs(self) -> str:
        """The API's own documentation, to read and to try."""
        return f"{self.web}/docs"

    @property
    def orders_in_temporal(self) -> str:
        """Temporal's list of workflows, orders only."""
        query = urlencode({"query": ORDERS_ONLY})
        return f"{self.temporal_ui}/namespaces/{NAMESPACE}/workflows?{query}"


class Stack:
    """Everything Waybill needs on one machine, with its data under `folder`.

    `say` gets one line for whatever a person should know while it runs. `durable=False` is for tests. The programs run
    from the sources in `source`. `supplied`: a worker visits a supplier's portal.
    """

    postgres_options: tuple[str, ...] = ()

    def __init__(
        self,
        folder: Path,
        *,
        ports: Ports,
        say: Say,
        environment: Mapping[str, str] | None = None,
        durable: bool = True,
        source: Path = ROOT,
        supplied: bool = False,
    ) -> None:
        self.folder = folder.resolve()
        self.source = source
        self.ports = ports
        self.environment = dict(os.environ if environment is None else environment)
        self._durable = durable
        self._supplied = supplied
        self._exits = AsyncExitStack()
        self._near_database_url = ""
        self.supervisor = Supervisor(self.folder / "pids.json", say)

    @property
    def logs(self) -> Path:
        """The folder of the log files, one for each process."""
        return self.folder / "logs"

    @property
    def addresses(self) -> Addresses:
        """Where to look."""
        ui = self.environment.get("TEMPORAL_UI_URL") if self.temporal_is_given else None
        return Addresses(
            web=_at(self.ports.web),
            sandbox=_at(self.ports.sandbox),
            mailbox=_at(self.ports.mailbox),
            temporal_ui=ui or _at(self.ports.temporal_ui),
        )

    async def __aenter__(self) -> Self:
        """Raises LocalError, with nothing left running, where something cannot start."""
        await self._exits.__aenter__()
        try:
            await self._start()
        except BaseExceptionGroup as group:
            await self._exits.aclose()
            raise _first(group) from None
        except BaseException:
            await self._exits.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._exits.aclose()

    async def _start(self) -> None:
        self._make_folders()
        self._exits.callback(hold(self.folder))
        if (self.folder / RESTORING).exists():
            raise LocalError(f"A restore of {shown(self.folder)} was interrupted; run it again, with REPLACE=yes.")
        self.check_ports()
        self.secrets = Secrets.kept_in(self.folder / "secrets")
        self._exits.push_async_callback(self.supervisor.stop)
        async with asyncio.TaskGroup() as group:
            database = group.create_task(self._start_database())
            group.create_task(self._start_temporal())
            group.create_task(self.supervisor.run(self._sandbox()))
            group.create_task(self.supervisor.run(self._mail()))
        self.database_url = database.result()
        programs = await self._programs()
        async with asyncio.TaskGroup() as group:
            for program in programs:
                group.create_task(self.supervisor.run(program))

    def _make_folders(self) -> None:
        """What has personal data is ours alone; the folder itself lets PostgreSQL's user through."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o711)
        for name in PRIVATE:
            (self.folder / name).mkdir(exist_ok=True)
            (self.folder / name).chmod(0o700)

    def check_ports(self) -> None:
        """Raises LocalError where a port that this stack needs is in use."""
        given = {"postgres"} if self._database_is_given else set()
        given |= {"temporal", "temporal_ui"} if self.temporal_is_given else set()
        self.ports.check_free(without=frozenset(given))

    @property
    def _database_is_given(self) -> bool:
        return bool(self.environment.get("DATABASE_URL"))

    @property
    def temporal_is_given(self) -> bool:
        """Whether TEMPORAL_ADDRESS names a server of the person's own."""
        return bool(self.environment.get("TEMPORAL_ADDRESS"))

    async def _start_database(self) -> str:
        url = self.environment.get("DATABASE_URL") or await self._start_postgres()
        migrate = self._python("migrate", "-m", "db.migrate", environment={"DATABASE_URL": url}, within=MIGRATE_WITHIN)
        await run_to_end(migrate)
        await store_first_key(url, self.secrets.api_key)
        return url

    async def _start_postgres(self) -> str:
        postgres = Postgres(
            self.folder / "postgres",
            port=self.ports.postgres,
            durable=self._durable,
            log=self.logs / "postgres.log",
            options=self.postgres_options,
        )
        await self.supervisor.run(await postgres.service())
        self._near_database_url = postgres.near_url(DATABASE)
        return await postgres.ensure_database(DATABASE)

    async def _start_temporal(self) -> None:
        if self.temporal_is_given:
            given = {"TEMPORAL_NAMESPACE": self.environment.get("TEMPORAL_NAMESPACE") or NAMESPACE}
            await run_to_end(self._python("namespace", "-m", "runtime.namespace", environment=given))
            return
        service = temporal_service(
            self.folder / "temporal",
            ports=self.ports,
            log=self.logs / "temporal.log",
            search_attributes=SEARCH_ATTRIBUTES,
            codec_endpoint=f"{_at(self.ports.web)}/codec/{self.secrets.codec_token}",
        )
        await self.supervisor.run(service)

    @property
    def _webhooks_to(self) -> str:
        """Where the providers send their events."""
        return _at(self.ports.web)

    def _sandbox(self) -> Service:
        port, web = str(self.ports.sandbox), self._webhooks_to
        return self._python(
            "sandbox",
            *("-m", "integrations.sandbox", "--port", port, "--data", str(self.folder / "sandbox")),
            environment={
                "SANDBOX_STRIPE_API_KEY": self.secrets.stripe_key,
                "SANDBOX_STRIPE_WEBHOOK_URL": f"{web}/webhooks/stripe",
                "SANDBOX_STRIPE_WEBHOOK_SECRET": self.secrets.stripe_webhook,
                "SANDBOX_EASYPOST_API_KEY": self.secrets.easypost_key,
                "SANDBOX_EASYPOST_WEBHOOK_URL": f"{web}/webhooks/easypost",
                "SANDBOX_EASYPOST_WEBHOOK_SECRET": self.secrets.easypost_webhook,
            },
            ready=lambda: answers(f"{_at(self.ports.sandbox)}/healthz"),
        )

    def _mail(self) -> Service:
        smtp, http = str(self.ports.smtp), str(self.ports.mailbox)
        data = str(self.folder / "mail")
        return self._python(
            "mail",
            *("-m", "integrations.sandbox.mail", "--smtp-port", smtp, "--http-port", http, "--data", data),
            environment={},
            ready=lambda: answers(_at(self.ports.mailbox)),
        )

    async def _programs(self) -> list[Service]:
        """Waybill itself, which comes last."""
        return [self._worker(), self._web(), *([self._portal_worker()] if self._supplied else ())]

    def _worker(self) -> Service:
        return self._python(
            "worker",
            "worker.py",
            environment=self.settings(),
            ready=lambda: answers(f"{_at(self.ports.worker)}/readyz"),
        )

    def _portal_worker(self) -> Service:
        port = free_port()
        return self._python(
            "portals",
            *("worker.py", "--queue", "portals"),
            environment={**self.settings(), "WORKER_PORT": str(port)},
            ready=lambda: answers(f"{_at(port)}/readyz"),
        )

    def _web(self) -> Service:
        return self._python(
            "web", "server.py", environment=self.settings(), ready=lambda: answers(f"{_at(self.ports.web)}/healthz")
        )

    def settings(self) -> dict[str, str]:
        """The environment of web and workers, beyond what this process has. Holds secrets."""
        web, given = _at(self.ports.web), self.environment
        sessions = self.folder / "portals"
        return {
            **(supplier.settings(_at(self.ports.sandbox), sessions) if self._supplied else {}),
            "DATABASE_URL": self._near_database_url or self.database_url,
            "TEMPORAL_ADDRESS": given.get("TEMPORAL_ADDRESS") or f"{LOOPBACK}:{self.ports.temporal}",
            "TEMPORAL_NAMESPACE": given.get("TEMPORAL_NAMESPACE", NAMESPACE),
            "TEMPORAL_UI_URL": self.addresses.temporal_ui,
            "PROVIDERS": "sandbox",
            "STRIPE_BASE_URL": f"{_at(self.ports.sandbox)}/stripe",
            "STRIPE_API_KEY": self.secrets.stripe_key,
            "STRIPE_WEBHOOK_SECRETS": self.secrets.stripe_webhook,
            "STRIPE_MULTICAPTURE": given.get("STRIPE_MULTICAPTURE", "on"),
            "EASYPOST_BASE_URL": f"{_at(self.ports.sandbox)}/easypost/v2",
            "EASYPOST_API_KEY": self.secrets.easypost_key,
            "EASYPOST_WEBHOOK_SECRETS": self.secrets.easypost_webhook,
            "SMTP_HOST": LOOPBACK,
            "SMTP_PORT": str(self.ports.smtp),
            "SMTP_USERNAME": "",
            "SMTP_PASSWORD": "",
            "SMTP_TLS": "none",
            "MAIL_FROM": given.get("MAIL_FROM", "Waybill Sample Shop <orders@shop.example>"),
            "OPERATORS_EMAIL": given.get("OPERATORS_EMAIL", "operators@shop.example"),
            "SHOP_NAME": given.get("SHOP_NAME", "Waybill Sample Shop"),
            "PUBLIC_URL": given.get("PUBLIC_URL", web),
            "WEB_HOST": LOOPBACK,
            "WEB_PORT": str(self.ports.web),
            "WORKER_HOST": LOOPBACK,
            "WORKER_PORT": str(self.ports.worker),
            "ENCRYPTION_KEYS": self.secrets.encryption_keys,
            "SIGNING_SECRETS": self.secrets.signing,
            "CODEC_TOKEN": self.secrets.codec_token,
        }

    def _python(
        self,
        name: str,
        *arguments: str,
        environment: Mapping[str, str],
        ready: Ready | None = None,
        within: timedelta = timedelta(seconds=30),
    ) -> Service:
        return Service(
            name=name,
            command=[sys.executable, *arguments],
            environment={**self.environment, "PYTHONUNBUFFERED": "1", **environment},
            folder=self.source,
            log=self.logs / f"{name}.log",
            ready=ready or _at_once,
            start_within=within,
            grace=GRACE,
        )


def hold(folder: Path) -> Callable[[], None]:
    """Takes the folder for this process until the returned function is called or the process ends, however it ends.

    Raises LocalError where another process holds it.
    """
    file = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(file, 20, 0).decode().strip()
        os.close(file)
        raise LocalError(f"The stack on {shown(folder)} is running already (pid {holder}).") from None
    os.truncate(file, 0)
    os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
    return lambda: os.close(file)


async def _at_once() -> bool:
    return True


def _at(port: int) -> str:
    return f"http://{LOOPBACK}:{port}"


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first plain error of a group: the others follow from it, or say the same."""
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
