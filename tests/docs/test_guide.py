"""The guide's tables and its diagram say what the code does."""

import ast
from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

import api.problems  # noqa: F401 - defines errors that the table lists
from api.errors import OfHttp
from domain.claims import TRANSITIONS as CLAIM_TRANSITIONS
from domain.errors import WaybillError
from domain.exceptions import ExceptionKind
from domain.exchanges import TRANSITIONS as EXCHANGE_TRANSITIONS
from domain.identity import Scope
from domain.orders import TRANSITIONS, OrderStatus
from domain.returns import TRANSITIONS as RETURN_TRANSITIONS
from domain.shipments import SERVICE_DAYS
from domain.stock_alerts import AlertKind
from domain.transfers import TRANSITIONS as TRANSFER_TRANSITIONS
from domain.transfers import DiscrepancyReason
from domain.waiting import Party
from integrations.sandbox.dials import Dials, Mishap, WebhookDials
from integrations.sandbox.easypost.dials import EasyPostDials
from integrations.sandbox.mail.dials import Settings as MailDials
from integrations.sandbox.portal.dials import PortalDials
from integrations.sandbox.stripe.cards import BY_NAME
from integrations.sandbox.stripe.dials import StripeDials
from local.ports import Ports, variable
from runtime.search_attributes import SEARCH_ATTRIBUTES
from runtime.settings import Settings
from tests.docs.reading import ROOT, blocks, names, read, section, table

_DURATION: TypeAdapter[timedelta] = TypeAdapter(timedelta)


def _first_names(text: str, heading: str) -> list[str]:
    return [name for row in table(text, heading) for name in names(row[0])]


def _diagram(transitions: Mapping[Any, Collection[Any]]) -> str:
    lines = ["stateDiagram-v2", f"    [*] --> {next(iter(transitions))}"]
    for status, after in transitions.items():
        lines += [f"    {status} --> {following}" for following in transitions if following in after]
        lines += [] if after else [f"    {status} --> [*]"]
    return "\n".join(lines) + "\n"


def test_the_diagram_shows_the_transitions_that_the_rules_allow() -> None:
    assert blocks(section(read(), "## Statuses"), "mermaid") == [_diagram(TRANSITIONS)]
    assert blocks(section(read(), "## Transfers"), "mermaid") == [_diagram(TRANSFER_TRANSITIONS)]
    assert blocks(section(read(), "## Returns"), "mermaid") == [_diagram(RETURN_TRANSITIONS)]
    assert blocks(section(read(), "## Claims"), "mermaid") == [_diagram(CLAIM_TRANSITIONS)]
    assert blocks(section(read(), "## Exchanges"), "mermaid") == [_diagram(EXCHANGE_TRANSITIONS)]


def test_every_alert_and_every_discrepancy_is_explained() -> None:
    assert _first_names(read(), "alert") == [kind.value for kind in AlertKind]
    assert _first_names(read(), "`reason` of a discrepancy") == [reason.value for reason in DiscrepancyReason]


def test_every_status_is_explained() -> None:
    assert _first_names(section(read(), "## Statuses"), "status") == [status.value for status in OrderStatus]


def test_everybody_whom_an_order_can_wait_for_is_named() -> None:
    told = names(section(read(), "## The waiting sentence").partition("`waiting.on` is one of")[2])
    assert set(told) == {party.value for party in Party}


def test_every_error_code_is_listed_with_its_status() -> None:
    told = {names(code)[0]: int(status) for code, status, _ in table(read(), "code")}
    assert told == {**dict(_errors()), **dict.fromkeys(_fault_codes(), 422), "method_not_allowed": 405}


def _errors() -> Iterator[tuple[str, int]]:
    classes = list(WaybillError.__subclasses__())
    while classes:
        kind = classes.pop()
        classes += kind.__subclasses__()
        if kind.__module__.startswith(("domain.", "api.")) and kind is not OfHttp:  # which has its code from HTTP
            yield kind.code, kind.status


def _fault_codes() -> set[str]:
    """The codes of single faults: the third argument wherever the API makes one, and what `_code` makes of pydantic."""
    found: set[str] = set()
    for path in sorted((ROOT / "api").rglob("*.py")):
        for node in ast.walk(ast.parse(read(path))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Fault":
                found |= _texts(node.args[2:])
            if isinstance(node, ast.FunctionDef) and node.name == "_code":
                found |= _texts(part.value for part in ast.walk(node) if isinstance(part, ast.Return))
    return found


def _texts(nodes: Any) -> set[str]:
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def test_every_kind_of_exception_is_explained() -> None:
    assert _first_names(read(), "kind") == [kind.value for kind in ExceptionKind]


def test_every_scope_is_explained() -> None:
    assert _first_names(read(), "scope") == [scope.value for scope in Scope]


def test_every_shipping_service_is_named() -> None:
    told = section(read(), "## The first order").partition("`shipping_service` is")[2].partition("\n- ")[0]
    assert set(names(told)) == set(SERVICE_DAYS)


def test_every_setting_is_listed_with_its_default() -> None:
    rows = table(section(read(), "## Settings"), "setting")
    assert {names(row[0])[0]: _default(row[1]) for row in rows} == {
        name.upper(): "required" if field.is_required() else field.default
        for name, field in Settings.model_fields.items()
    }


def _default(cell: str) -> object:
    """What a cell says, as the settings would read it."""
    if cell == "*required*":
        return "required"
    text = names(cell)[0] if cell else ""
    if text.startswith("P") and text[1:2].isalnum():
        return _DURATION.validate_python(text)
    return int(text) if text.isdigit() else text or _Nothing()


class _Nothing:
    """An empty cell: no text, or none of several."""

    def __eq__(self, other: object) -> bool:
        return other in ("", ())

    __hash__ = None  # type: ignore[assignment] # it is never a key


def test_every_port_is_listed_with_its_default() -> None:
    rows = table(section(read(), "## Settings").partition("The stack of `make up`")[2], "setting")
    defaults = {variable(name): str(port) for name, port in vars(Ports()).items()}
    assert {names(row[0])[0]: row[1] for row in rows} == defaults


def test_every_search_attribute_is_listed_and_created() -> None:
    rows = table(read(), "search attribute")
    assert {names(row[0])[0]: row[1] for row in rows} == SEARCH_ATTRIBUTES
    commands = "".join(blocks(section(read(), "## Going live"), "bash"))
    for name, kind in SEARCH_ATTRIBUTES.items():
        assert f"temporal operator search-attribute create --name {name} --type {kind}\n" in commands


def test_every_dial_is_explained() -> None:
    sandbox = section(read(), "## Sandbox")
    common = set(Dials.model_fields)
    assert set(_first_names(sandbox, "dial")) == common
    assert set(_first_names(sandbox, "dial of `stripe`")) == set(StripeDials.model_fields) - common
    assert set(_first_names(sandbox, "dial of `easypost`")) == set(EasyPostDials.model_fields) - common
    assert set(_first_names(sandbox, "dial of `portal`")) == set(PortalDials.model_fields) - common
    assert set(_first_names(sandbox, "dial of the mail sink")) == set(MailDials.model_fields)


def test_the_dials_of_webhooks_and_all_mishaps_are_named() -> None:
    rows = {names(row[0])[0]: row[1] for row in table(section(read(), "## Sandbox"), "dial")}
    assert set(names(rows["webhooks"])) == set(WebhookDials.model_fields)
    assert {mishap.value for mishap in Mishap} <= set(names(rows["fail_next"]))


def test_the_sandbox_knows_the_test_cards() -> None:
    assert [card for card in _first_names(read(), "method") if card not in BY_NAME] == []


def test_the_first_key_of_the_examples_is_where_the_stack_keeps_it() -> None:
    assert ".waybill/up/secrets/api_key" in blocks(read(), "sh")[0]
    assert 'kept("api_key"' in read(Path(ROOT / "local" / "secrets.py"))
