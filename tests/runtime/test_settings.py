"""Settings: what is missing, weak or contradictory stops the start with one clear line and no secret in it."""

import base64
from datetime import timedelta
from pathlib import Path

import pytest

from runtime.settings import Providers, SettingsError
from tests.runtime.conftest import GOOD, SECRETS, Load

KEY = base64.b64encode(b"\x01" * 32).decode()
REQUIRED = [
    name
    for name in GOOD
    if name
    not in {
        "STRIPE_BASE_URL",
        "EASYPOST_BASE_URL",
        "STRIPE_WEBHOOK_SECRETS",
        "EASYPOST_WEBHOOK_SECRETS",
        "SMTP_PASSWORD",
        "SMTP_TLS",
        "TEMPORAL_API_KEY",
    }
]
LIVE = {
    "PROVIDERS": "live",
    "STRIPE_BASE_URL": "https://api.stripe.com",
    "EASYPOST_BASE_URL": "https://api.easypost.com/v2",
}


def fault(load: Load, **changes: str | None) -> str:
    """The text of a refused start."""
    with pytest.raises(SettingsError) as caught:
        load(**changes)
    return str(caught.value)


def test_complete_settings_allow_the_start(load: Load) -> None:
    settings = load()
    assert settings.providers is Providers.SANDBOX
    assert settings.stripe_webhook_secrets == ("whsec_hush-first", "whsec_hush-second")
    assert settings.key_ring == {"k1": b"hush" * 8}
    assert settings.policy.payment_window == timedelta(hours=24)


@pytest.mark.parametrize("name", REQUIRED)
@pytest.mark.parametrize("value", [None, ""], ids=["not set", "empty"])
def test_what_is_needed_and_missing_is_named(load: Load, name: str, value: str | None) -> None:
    assert fault(load, **{name: value}) == f"{name} is not set; see the settings in docs/guide.md."


def test_each_fault_has_a_line_of_its_own(load: Load) -> None:
    lines = fault(load, STRIPE_API_KEY=None, SMTP_HOST=None, WEB_PORT="eighty").splitlines()
    assert sorted(line.split()[0].rstrip(":") for line in lines) == ["SMTP_HOST", "STRIPE_API_KEY", "WEB_PORT"]


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("ENCRYPTION_KEYS", "hush-key", "id:base64 of 32 random bytes"),
        ("ENCRYPTION_KEYS", "hush:" + base64.b64encode(b"hush").decode(), "id:base64 of 32 random bytes"),
        ("ENCRYPTION_KEYS", f"hush ключ:{KEY}", "id:base64 of 32 random bytes"),
        ("ENCRYPTION_KEYS", f"k1:{KEY},k1:{KEY}", "two keys have the same id"),
        ("ENCRYPTION_KEYS", " , ", "at least one key is needed"),
        ("SIGNING_SECRETS", "hush-too-short", "32 characters"),
        ("SIGNING_SECRETS", "s" * 40 + ",hush-too-short", "32 characters"),
        ("CODEC_TOKEN", "hush-too-short", "32 characters"),
        ("DATABASE_URL", "mysql://hush:hush@db/waybill", "must start with postgresql://"),
        ("MAIL_FROM", "hush is no address", "not an e-mail address"),
        ("PROVIDERS", "hush", "'live' or 'sandbox'"),
        ("SMTP_TLS", "hush", "'none', 'starttls' or 'tls'"),
        ("LOG_LEVEL", "hush", "DEBUG, INFO, WARNING, ERROR"),
        ("TRACES", "hush", "'off' or 'otlp'"),
        ("WEB_PORT", "70000", "65535"),
        ("TEMPORAL_TLS_CA", "/etc/hush.pem", "PEM text"),
        ("TEMPORAL_TLS_KEY", "/etc/hush.pem", "PEM text"),
        ("BUILD_ID", "hush hush", "letters, digits"),
        ("SMTP_PORT", "0", "greater than or equal to 1"),
        ("DATABASE_POOL", "0", "greater than or equal to 1"),
        ("PAYMENT_WINDOW", "PT0S", "greater than"),
        ("CARRIER_PATIENCE", "-P1D", "greater than"),
    ],
)
def test_what_is_weak_or_malformed_is_explained_in_one_line_that_does_not_quote_it(
    load: Load, name: str, value: str, says: str
) -> None:
    text = fault(load, **{name: value})
    assert text.startswith(f"{name}: ")
    assert says in text
    assert "\n" not in text
    assert "hush" not in text


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({**LIVE, "STRIPE_BASE_URL": "http://127.0.0.1:8400/stripe"}, "PROVIDERS=live"),
        ({**LIVE, "EASYPOST_BASE_URL": "http://localhost:8400/easypost/v2"}, "PROVIDERS=live"),
        ({**LIVE, "STRIPE_BASE_URL": "http://[::1]:8400/stripe"}, "PROVIDERS=live"),
        ({"STRIPE_BASE_URL": None}, "PROVIDERS=sandbox"),
        ({"EASYPOST_BASE_URL": "https://api.easypost.com/v2"}, "PROVIDERS=sandbox"),
        ({"STRIPE_BASE_URL": "https://api.stripe.com/?127.0.0.1"}, "PROVIDERS=sandbox"),
        ({"SMTP_HOST": "mail.example", "SMTP_USERNAME": "shop"}, "SMTP_TLS=none"),
        ({"ALERT_WEBHOOK_URL": "https://shop.example/alerts"}, "ALERT_WEBHOOK_SECRET"),
        (
            {"ALERT_WEBHOOK_URL": "http://shop.example/alerts", "ALERT_WEBHOOK_SECRET": "h" * 40},
            "ALERT_WEBHOOK_URL must begin with https://",
        ),
        ({"ALERT_WEBHOOK_URL": "https://shop.example/a", "ALERT_WEBHOOK_SECRET": "hush"}, "32 characters"),
        ({"TEMPORAL_TLS_CERT": "-----BEGIN CERTIFICATE-----"}, "TEMPORAL_TLS_KEY"),
        ({"TEMPORAL_TLS_KEY": "-----BEGIN hush"}, "TEMPORAL_TLS_CERT"),
    ],
)
def test_settings_that_contradict_each_other_are_explained_in_one_line(
    load: Load, changes: dict[str, str | None], says: str
) -> None:
    text = fault(load, **changes)
    assert says in text
    assert "\n" not in text
    assert "hush" not in text


def test_live_providers_are_taken_at_their_word(load: Load) -> None:
    assert load(**LIVE).providers is Providers.LIVE


def test_a_password_may_go_in_clear_to_this_machine_and_encrypted_to_any(load: Load) -> None:
    assert load(SMTP_USERNAME="shop").smtp_username == "shop"
    assert load(SMTP_HOST="mail.example", SMTP_USERNAME="shop", SMTP_TLS="starttls").smtp_host == "mail.example"


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_no_secret_shows_when_the_settings_are_printed(load: Load, name: str) -> None:
    settings = load()
    assert "hush" not in repr(settings)
    assert "hush" not in str(settings)
    assert "hush" in str(getattr(settings, name.lower())) or name == "ENCRYPTION_KEYS"


def test_a_secret_may_be_a_file(load: Load, tmp_path: Path) -> None:
    (tmp_path / "stripe_api_key").write_text("sk_test_from_file\n")
    settings = load(STRIPE_API_KEY=None, SECRETS_DIR=str(tmp_path))
    assert settings.stripe_api_key == "sk_test_from_file"


def test_lists_of_secrets_may_be_files_too(load: Load, tmp_path: Path) -> None:
    (tmp_path / "encryption_keys").write_text(f"new:{KEY}, old:{KEY}\n")
    settings = load(ENCRYPTION_KEYS=None, SECRETS_DIR=str(tmp_path))
    assert list(settings.key_ring) == ["new", "old"]


def test_a_folder_of_secrets_that_is_not_there_stops_the_start(load: Load, tmp_path: Path) -> None:
    missing = tmp_path / "nowhere"
    assert fault(load, SECRETS_DIR=str(missing)) == f"SECRETS_DIR: there is no folder {missing}."


def test_patience_is_an_iso_duration(load: Load) -> None:
    policy = load(PAYMENT_WINDOW="PT30M", CARRIER_PATIENCE="P3D", CHECK_PAYMENT_EVERY="PT1M").policy
    assert (policy.payment_window, policy.carrier_patience) == (timedelta(minutes=30), timedelta(days=3))
    assert policy.check_payment_every == timedelta(minutes=1)
