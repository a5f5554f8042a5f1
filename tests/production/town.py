"""The shape of production on this machine: two web processes behind the real Caddy, two workers, one of all else."""

import asyncio
import os
import re
import signal
import ssl
import subprocess
import sys
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Self

import httpx2

from local.ports import LOOPBACK, free_port
from local.processes import Child, Ready, Service, answers
from local.shop import Placed, Shop
from tests.end_to_end.town import Town

ROOT = Path(__file__).resolve().parents[2]
CADDY = str(Path(sys.executable).with_name("caddy"))
PUBLIC, OPERATORS = "localhost", "operators.localhost"
LOGIN = ("anna", "a password of hers")


class ShopOverTls(Shop):
    """The same shop, trusting the authority that Caddy made for itself."""

    def __init__(self, web: str, *, api_key: str, trusted: ssl.SSLContext) -> None:
        super().__init__(web, api_key=api_key)
        self._plain = self._client
        self._client = httpx2.AsyncClient(
            base_url=web, headers={"Authorization": f"Bearer {api_key}"}, timeout=15, trust_env=False, verify=trusted
        )

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._plain.aclose()
        await super().__aexit__(kind, error, trace)


class ProductionTown(Town):
    """A town whose second web process and worker stay dead once killed, and whose shop goes through Caddy."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.web_ports = (self.stack.ports.web, free_port())
        self.worker_ports = (self.stack.ports.worker, free_port())
        self.https_port = free_port()
        self._seconds: dict[str, Child] = {}

    async def __aenter__(self) -> Self:
        await self.open()
        await self.load()
        settings = self.stack.settings()
        await self._start(
            "web-2",
            [sys.executable, "server.py"],
            {**settings, "WEB_PORT": str(self.web_ports[1])},
            lambda: answers(f"http://{LOOPBACK}:{self.web_ports[1]}/readyz"),
        )
        await self._start(
            "worker-2",
            [sys.executable, "worker.py"],
            {**settings, "WORKER_PORT": str(self.worker_ports[1])},
            lambda: answers(f"http://{LOOPBACK}:{self.worker_ports[1]}/readyz"),
        )
        await self._start_caddy()
        await self.shop.__aexit__(None, None, None)
        web = f"https://{PUBLIC}:{self.https_port}"
        self.shop = ShopOverTls(web, api_key=self.stack.secrets.api_key, trusted=self.trusted)
        return self

    async def __aexit__(self, *_: object) -> None:
        for child in reversed(self._seconds.values()):
            await child.stop()
        await self.close()

    async def _start(self, name: str, command: list[str], environment: dict[str, str], ready: Ready) -> None:
        service = Service(
            name=name,
            command=command,
            environment={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
            folder=ROOT,
            log=self.stack.logs / f"{name}.log",
            ready=ready,
        )
        self._seconds[name] = await Child.start(service)

    async def _start_caddy(self) -> None:
        home = self.stack.folder / "caddy"
        home.mkdir()
        (home / "operators").write_text(f"{LOGIN[0]} {hashed(LOGIN[1])}\n", encoding="utf-8")
        authority = home / "caddy/pki/authorities/local/root.crt"

        async def ready() -> bool:
            if not authority.exists():
                return False
            self.trusted = ssl.create_default_context(cafile=str(authority))
            try:
                return await self.asked(OPERATORS, "/") == 401
            except httpx2.TransportError:
                return False

        environment = {
            "XDG_DATA_HOME": str(home),
            "XDG_CONFIG_HOME": str(home),
            "CADDY_LISTEN": LOOPBACK,
            "CADDY_HTTP_PORT": str(free_port()),
            "CADDY_HTTPS_PORT": str(self.https_port),
            "PUBLIC_DOMAIN": PUBLIC,
            "OPERATORS_DOMAIN": OPERATORS,
            "OPERATORS_FILE": str(home / "operators"),
            "WEB_UPSTREAMS": " ".join(f"{LOOPBACK}:{port}" for port in self.web_ports),
            "TEMPORAL_UI_UPSTREAM": f"{LOOPBACK}:{self.stack.ports.temporal_ui}",
        }
        command = [CADDY, "run", "--config", "deploy/caddy/Caddyfile", "--adapter", "caddyfile"]
        await self._start("caddy", command, environment, ready)

    async def asked(self, host: str, path: str, *, login: tuple[str, str] | None = None) -> int:
        """The status that one of Caddy's sites answers over TLS that was verified for its name."""
        async with httpx2.AsyncClient(verify=self.trusted, trust_env=False, timeout=15) as client:
            response = await client.get(
                f"https://{LOOPBACK}:{self.https_port}{path}",
                headers={"Host": f"{host}:{self.https_port}"},
                auth=login,
                extensions={"sni_hostname": host},
            )
        return response.status_code

    def kill_second(self, name: str) -> None:
        """SIGKILL `web-2` or `worker-2`; nobody starts it again."""
        os.kill(self._seconds[name].pid, signal.SIGKILL)

    async def until_both_take(self, *, seconds: float = 20) -> list[Placed]:
        """Place orders until both web processes have accepted some, by their own measures."""
        deadline, placed = monotonic() + seconds, await self.place(5, batch="spread")
        while not all([await self._measured(port, r"waybill_orders_accepted_total (\S+)") for port in self.web_ports]):
            # One that did not say in time that it is ready is passed over for a while.
            assert monotonic() < deadline, f"after {seconds} s and {len(placed)} orders one web process has taken none"
            placed += await self.place(2, batch=f"spread-{len(placed)}")
        return placed

    async def until_both_work(self, *, seconds: float = 20) -> None:
        """Look until both workers have called a provider."""
        deadline = monotonic() + seconds
        calls = r"waybill_provider_call_seconds_count\{.*\} (\S+)"
        while not all([await self._measured(port, calls) for port in self.worker_ports]):
            assert monotonic() < deadline, f"after {seconds} s one worker has done nothing"
            await asyncio.sleep(0.1)

    async def _measured(self, port: int, pattern: str) -> float:
        text = (await self._http.get(f"http://{LOOPBACK}:{port}/metrics")).text
        return sum(float(value) for value in re.findall(rf"^{pattern}$", text, re.MULTILINE))


def hashed(password: str) -> str:
    """As Caddy wants it, and cheap to check."""
    command = [CADDY, "hash-password", "--bcrypt-cost", "4", "--plaintext", password]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
