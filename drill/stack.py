"""The stack that is drilled: two web and two worker processes, and a link between any two that speak to each other."""

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from drill.faults import PORTAL_WORKERS, WEBS, WORKERS, town
from drill.links import Link
from drill.sources import copy_sources, patch
from local import supplier
from local.ports import LOOPBACK, Ports, free_port
from local.processes import Say, Service, answers, run_to_end
from local.stack import ROOT, Stack

FIRST_BUILD = "drill-1"
_UPGRADE = timedelta(minutes=3)
_STARTS = timedelta(minutes=2)
"""on a machine that is busy with eight of them, and with browsers"""
OTHERS = ("DATABASE_URL", "TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE", "TEMPORAL_UI_URL", "BUILD_ID")
PATIENCE = {
    "PAYMENT_WINDOW": "PT30S",
    "CHECK_PAYMENT_EVERY": "PT8S",
    "CHECK_CARRIER_EVERY": "PT12S",
}
"""seconds instead of hours, so that unpaid orders expire, and lost events are made up for, while a drill lasts"""


class DrillStack(Stack):
    """The embedded stack with everything twice that may be twice, started from ``source``.

    ``link(a, b)`` is the wire from one process to another. The customers' way in leads to whichever web process
    accepts, as a load balancer would; it is never broken.
    """

    # The limit that stands for a full disk would else refuse the server its shared memory, which is a file as well, and
    # no full disk does that. It was seen to hang for good then, in the midst of its recovery.
    postgres_options = ("dynamic_shared_memory_type=sysv",)

    def __init__(
        self,
        folder: Path,
        *,
        say: Say,
        environment: Mapping[str, str],
        source: Path = ROOT,
        supplied: bool = False,
    ) -> None:
        own = {name: value for name, value in environment.items() if name not in OTHERS}
        super().__init__(
            folder,
            ports=Ports.ephemeral(),
            say=say,
            environment={**own, **PATIENCE},
            durable=True,
            source=source,
            supplied=supplied,
        )
        self.builds = 1
        here = town(supplied=supplied)
        self.processes = here.processes
        self._portal_workers = PORTAL_WORKERS if supplied else ()
        self._own_ports = {name: free_port() for name in (*WEBS, *WORKERS, *self._portal_workers)}
        self._links = {pair: Link(" to ".join(pair), free_port(), self._targets(pair[1])) for pair in here.wires}
        self._front = Link("customers to web", self.ports.web, self._targets("web"))

    def link(self, caller: str, called: str) -> Link:
        """The wire between two processes. Raises KeyError where they do not speak to each other."""
        return self._links[caller, called]

    @property
    def links(self) -> Iterable[Link]:
        """Every wire that may be broken."""
        return self._links.values()

    def build(self, number: int) -> Path:
        """The sources of a build; the first is what the stack was started from."""
        return self.source if number == 1 else self.folder / "builds" / str(number)

    def make_build(self) -> str:
        """The next build: the one before, with another workflow. Its id. Takes a second: call it in a thread."""
        before, number = self.build(self.builds), self.builds + 1
        to = self.build(number)
        shutil.rmtree(to, ignore_errors=True)
        patch(copy_sources(before, to), number=number)
        self.builds = number
        return f"drill-{number}"

    def worker_of(self, name: str, build: int) -> Service:
        """A worker process as it runs from a build."""
        port = self._own_ports[name]
        settings = {**self._wired(name), "WORKER_PORT": str(port), "BUILD_ID": f"drill-{build}"}
        service = self._python(
            name, "worker.py", environment=settings, ready=lambda: answers(_health(port)), within=_STARTS
        )
        return replace(service, folder=self.build(build))

    async def make_current(self, build_id: str) -> None:
        """Give the orders to a build, as the job of an upgrade does. Raises StartError."""
        settings = {**self.settings(), "BUILD_ID": build_id}
        await run_to_end(self._python("version", "-m", "runtime.deployment", environment=settings, within=_UPGRADE))

    async def _start(self) -> None:
        for link in (self._front, *self.links):
            await link.open()
            self._exits.push_async_callback(link.close)
        await super()._start()
        await self.make_current(FIRST_BUILD)

    def check_ports(self) -> None:
        """The links hold theirs already, and the others were chosen because they are free."""

    async def _programs(self) -> list[Service]:
        return [
            *(self.worker_of(name, 1) for name in WORKERS),
            *(self._web_process(name) for name in WEBS),
            *(self._portal_worker_of(name) for name in self._portal_workers),
        ]

    def _portal_worker_of(self, name: str) -> Service:
        port = self._own_ports[name]
        settings = {**self._wired(name), "WORKER_PORT": str(port)}
        return self._python(
            name,
            *("worker.py", "--queue", "portals"),
            environment=settings,
            ready=lambda: answers(f"http://{LOOPBACK}:{port}/readyz"),
            within=_STARTS,
        )

    def _web_process(self, name: str) -> Service:
        port = self._own_ports[name]
        settings = {**self._wired(name), "WEB_PORT": str(port)}
        return self._python(
            name, "server.py", environment=settings, ready=lambda: answers(_health(port)), within=_STARTS
        )

    @property
    def _webhooks_to(self) -> str:
        return f"http://{LOOPBACK}:{self.link('sandbox', 'web').port}"

    def _wired(self, name: str) -> dict[str, str]:
        """The settings of a process, with its own links in place of the servers' ports."""
        settings = self.settings()
        database = urlsplit(self.database_url)
        login = database.netloc.rpartition("@")[0]
        ends = {called: link.port for (caller, called), link in self._links.items() if caller == name}
        wired = {
            "DATABASE_URL": database._replace(netloc=f"{login}@{LOOPBACK}:{ends['postgres']}").geturl(),
            "TEMPORAL_ADDRESS": f"{LOOPBACK}:{ends['temporal']}",
        }
        if "sandbox" in ends:
            sandbox = f"http://{LOOPBACK}:{ends['sandbox']}"
            wired |= {"STRIPE_BASE_URL": f"{sandbox}/stripe", "EASYPOST_BASE_URL": f"{sandbox}/easypost/v2"}
            wired |= supplier.settings(sandbox, self.folder / "portals") if name in self._portal_workers else {}
        wired |= {"CHECK_PORTAL_EVERY": "PT10S"} if self._portal_workers else {}
        if "mail" in ends:
            wired["SMTP_PORT"] = str(ends["mail"])
        return {**settings, **wired}

    def _targets(self, called: str) -> list[int]:
        if called == "web":
            return [self._own_ports[name] for name in WEBS]
        ports = {"postgres": self.ports.postgres, "temporal": self.ports.temporal, "sandbox": self.ports.sandbox}
        return [{**ports, "mail": self.ports.smtp}[called]]


def _health(port: int) -> str:
    return f"http://{LOOPBACK}:{port}/healthz"
