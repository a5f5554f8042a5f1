"""The shop in a real database, and settings that allow a start."""

import base64
from collections.abc import Callable
from typing import Any

import pytest

from runtime.settings import Settings, load_settings
from tests.activities.world import database, shop_url, world

__all__ = ["database", "shop_url", "world"]

SECRETS = {
    "STRIPE_API_KEY": "sk_test_hush-stripe",
    "STRIPE_WEBHOOK_SECRETS": "whsec_hush-first,whsec_hush-second",
    "EASYPOST_API_KEY": "EZTK-hush-easypost",
    "EASYPOST_WEBHOOK_SECRETS": "hush-easypost-webhook",
    "SMTP_PASSWORD": "hush-smtp",
    "ENCRYPTION_KEYS": "k1:" + base64.b64encode(b"hush" * 8).decode(),
    "SIGNING_SECRETS": "hush-signing-" + "s" * 32,
    "CODEC_TOKEN": "hush-codec-" + "c" * 32,
    "DATABASE_URL": "postgresql://waybill:hush-word@127.0.0.1:5432/waybill",
    "TEMPORAL_API_KEY": "hush-temporal",
}
GOOD = {
    **SECRETS,
    "PROVIDERS": "sandbox",
    "STRIPE_BASE_URL": "http://127.0.0.1:8400/stripe",
    "EASYPOST_BASE_URL": "http://127.0.0.1:8400/easypost/v2",
    "SMTP_HOST": "127.0.0.1",
    "SMTP_TLS": "none",
    "MAIL_FROM": "Test Shop <shop@shop.example>",
    "OPERATORS_EMAIL": "operators@shop.example",
}

Load = Callable[..., Settings]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    """Start with an environment that allows it, but for the changes; None takes a variable away."""

    def load(**changes: Any) -> Settings:
        for name in Settings.model_fields:
            monkeypatch.delenv(name.upper(), raising=False)
        for name, value in {**GOOD, **changes}.items():
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)
        return load_settings()

    return load
