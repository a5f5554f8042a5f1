"""The setting PORTALS: what it may say, and that a fault in it gives no secret away."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runtime.settings import SettingsError
from tests.runtime.conftest import Load

PORTAL = {
    "name": "northgate",
    "adapter": "northgate",
    "base_url": "http://127.0.0.1:8400/portal",
    "username": "buyer@shop.example",
    "password": "hush-password",
    "totp": "JBSWY3DPEHPK3PXP",
}


def text(**changes: Any) -> str:
    return json.dumps([{**PORTAL, **changes}])


def test_a_portal_has_its_log_in_its_hours_and_its_limits(load: Load) -> None:
    settings = load(
        PORTALS=text(concurrency=3, settles_within="PT5M", zone="Europe/Berlin", open=["mo-fr 07:00-19:00"])
    )
    (account,) = settings.portals
    assert (account.name, account.password, account.concurrency) == ("northgate", "hush-password", 3)
    assert account.settles_within == timedelta(minutes=5)
    sunday = datetime(2026, 11, 22, 12, tzinfo=UTC)
    assert account.timetable.open_from(sunday) == datetime(2026, 11, 23, 6, tzinfo=UTC)
    assert "hush" not in repr(settings)


def test_without_portals_nothing_is_asked_for(load: Load) -> None:
    assert load().portals == ()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"password": ""}, "0.password"),
        ({"totp": "hush-totp!"}, "one-time passwords is base32"),
        ({"zone": "Europe/Atlantis"}, "must be a time zone"),
        ({"open": ["hush"]}, "is no time such as"),
        ({"closed": ["hush"]}, "0.closed"),
        ({"name": "North Gate"}, "0.name"),
        ({"passwort": "hush"}, "0.passwort"),
        ({"concurrency": 0}, "0.concurrency"),
        ({"base_url": "portal"}, "must be an address"),
        ({"base_url": "https://portal.supplier.example"}, "the portal northgate is not the sandbox"),
    ],
)
def test_a_fault_is_named_and_no_password_shown(load: Load, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(PORTALS=text(**changes))
    assert told in str(caught.value)
    assert "hush-password" not in str(caught.value)


@pytest.mark.parametrize("given", ["{", "{}", '[{"name": "hush-password"}]'])
def test_what_is_no_list_of_portals_is_refused(load: Load, given: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(PORTALS=given)
    assert "hush" not in str(caught.value)


def test_two_portals_have_two_names(load: Load) -> None:
    with pytest.raises(SettingsError, match="two portals have the same name"):
        load(PORTALS=json.dumps([PORTAL, PORTAL]))


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://127.0.0.1:8400/portal", "the portal northgate is this machine"),
        ("http://portal.supplier.example", "would get its password in clear"),
    ],
)
def test_live_portals_are_elsewhere_and_encrypted(load: Load, url: str, told: str) -> None:
    live = {"PROVIDERS": "live", "STRIPE_BASE_URL": None, "EASYPOST_BASE_URL": None}
    with pytest.raises(SettingsError, match=told):
        load(**live, PORTALS=text(base_url=url))
    assert load(**live, PORTALS=text(base_url="https://portal.supplier.example")).portals
