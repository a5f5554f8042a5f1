"""Temporal behind a real proxy that asks for a certificate, or for a key: who has them gets in, and nobody else."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.testing import WorkflowEnvironment

from local.ports import LOOPBACK, free_port
from local.processes import Child, Service, accepts
from local.temporal import find_program
from runtime.namespace import register
from runtime.plugin import connect, connect_bare
from runtime.settings import Settings, TemporalSettings
from tests.runtime.authority import NAME, Authority
from tests.runtime.conftest import Load

CADDY = str(Path(sys.executable).with_name("caddy"))
API_KEY = "hush-temporal-key"
CADDYFILE = """
{{
    admin off
    auto_https off
    default_bind 127.0.0.1
    skip_install_trust
    servers {{
        strict_sni_host insecure_off
    }}
}}
https://:{by_certificate} {{
    tls {folder}/server.pem {folder}/server.key {{
        client_auth {{
            mode require_and_verify
            trust_pool file {folder}/authority.pem
        }}
    }}
    reverse_proxy h2c://{temporal}
}}
https://:{by_key} {{
    tls {folder}/server.pem {folder}/server.key
    @stranger not header Authorization "Bearer {key}"
    respond @stranger 401
    reverse_proxy h2c://{temporal}
}}
"""


@dataclass(frozen=True)
class Gate:
    """Where the doors are, and what opens them."""

    by_certificate: str
    by_key: str
    authority: str
    certificate: str
    key: str

    def with_certificate(self) -> TemporalSettings:
        return TemporalSettings(
            temporal_address=self.by_certificate,
            temporal_tls_ca=self.authority,
            temporal_tls_cert=self.certificate,
            temporal_tls_key=self.key,
        )

    def with_key(self, key: str) -> TemporalSettings:
        return TemporalSettings(temporal_address=self.by_key, temporal_tls_ca=self.authority, temporal_api_key=key)


@pytest.fixture(scope="module")
async def gate(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gate]:
    folder = tmp_path_factory.mktemp("gate")
    authority = Authority("temporal.test")
    (folder / "authority.pem").write_text(authority.pem)
    authority.issue(folder, "server")
    certificate, key = authority.issue(folder, "client")
    ports = (free_port(), free_port())
    async with await WorkflowEnvironment.start_local(dev_server_existing_path=find_program()) as temporal:
        (folder / "Caddyfile").write_text(
            CADDYFILE.format(
                by_certificate=ports[0],
                by_key=ports[1],
                folder=folder,
                temporal=temporal.client.service_client.config.target_host,
                key=API_KEY,
            )
        )
        caddy = await Child.start(_caddy(folder, ports))
        yield Gate(f"{LOOPBACK}:{ports[0]}", f"{LOOPBACK}:{ports[1]}", authority.pem, certificate, key)
        await caddy.stop()


def _caddy(folder: Path, ports: tuple[int, int]) -> Service:
    async def ready() -> bool:
        return all([await accepts(LOOPBACK, port) for port in ports])

    return Service(
        name="caddy",
        command=[CADDY, "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"],
        environment={"XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)},
        log=folder / "caddy.log",
        ready=ready,
    )


async def test_a_certificate_that_is_trusted_opens_temporal(gate: Gate, load: Load) -> None:
    client = await connect_bare(gate.with_certificate())
    assert await client.service_client.check_health(timeout=timedelta(seconds=5))
    told = gate.with_certificate()
    names = ("temporal_address", "temporal_tls_ca", "temporal_tls_cert", "temporal_tls_key")
    settings: Settings = load(TEMPORAL_API_KEY=None, **{name.upper(): getattr(told, name) for name in names})
    whole = await connect(settings, lazy=False)
    handle = await whole.start_workflow("Order", id="over-tls", task_queue="nobody")
    assert (await handle.describe()).id == "over-tls"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda: {"temporal_tls_cert": "", "temporal_tls_key": ""},
        lambda: {"temporal_tls_ca": Authority("somebody else").pem},
        lambda: {"temporal_tls_ca": "", "temporal_tls_cert": "", "temporal_tls_key": ""},
    ],
    ids=["no certificate of ours", "a server that we do not trust", "no TLS"],
)
async def test_without_the_right_certificates_nobody_gets_in(gate: Gate, spoil: Callable[[], dict[str, str]]) -> None:
    with pytest.raises(RuntimeError):
        async with asyncio.timeout(15):
            await connect_bare(gate.with_certificate().model_copy(update=spoil()))


async def test_a_certificate_in_another_name_than_the_address_is_accepted_where_the_name_is_told(gate: Gate) -> None:
    elsewhere = {"temporal_address": gate.by_certificate.replace(LOOPBACK, "localhost")}
    with pytest.raises(RuntimeError):
        await connect_bare(gate.with_certificate().model_copy(update=elsewhere))
    await connect_bare(gate.with_certificate().model_copy(update={**elsewhere, "temporal_tls_server_name": NAME}))


async def test_the_right_api_key_opens_temporal_and_a_wrong_one_does_not(gate: Gate) -> None:
    client = await connect_bare(gate.with_key(API_KEY))
    assert await client.service_client.check_health(timeout=timedelta(seconds=5))
    with pytest.raises(RuntimeError):
        await connect_bare(gate.with_key("another"))


async def test_search_attributes_are_registered_through_the_gate(gate: Gate) -> None:
    await register(gate.with_certificate())
