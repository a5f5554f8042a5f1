"""All settings, read once from the environment. A name here in lower case is the variable in upper case.

A secret may instead be a file: set SECRETS_DIR to a folder (`/run/secrets` in a container) that holds a file for each,
named as the setting in lower case. A setting that is missing, weak
or contradictory stops the start with a line that says what to do.
"""

import base64
import os
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from domain.orders import Policy


class Providers(StrEnum):
    """Whom the adapters talk to."""

    LIVE = "live"
    SANDBOX = "sandbox"


class SmtpTls(StrEnum):
    """How the connection to the mail server is protected."""

    NONE = "none"
    STARTTLS = "starttls"
    TLS = "tls"


class SettingsError(Exception):
    """The settings do not allow a start; the text has one line per fault."""


Words = Annotated[tuple[str, ...], NoDecode]


class Settings(BaseSettings):
    """Everything that differs between installations."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    providers: Providers
    shop_name: str = "Waybill Demo Shop"
    log_level: str = "INFO"

    database_url: str
    database_pool: int = Field(10, ge=1)

    temporal_address: str = "127.0.0.1:7233"
    temporal_namespace: str = "default"
    temporal_task_queue: str = "orders"
    temporal_ui_url: str = "http://127.0.0.1:8233"
    temporal_api_key: str = ""
    temporal_tls_ca: str = ""
    temporal_tls_cert: str = ""
    temporal_tls_key: str = ""

    stripe_base_url: str = "https://api.stripe.com"
    stripe_api_key: str
    stripe_webhook_secrets: Words = ()

    easypost_base_url: str = "https://api.easypost.com/v2"
    easypost_api_key: str
    easypost_webhook_secrets: Words = ()

    smtp_host: str
    smtp_port: int = 587
    smtp_username: str = ""
    smtp_password: str = ""
    smtp_tls: SmtpTls = SmtpTls.STARTTLS
    mail_from: str
    operators_email: str

    public_url: str = "http://127.0.0.1:8000"
    web_host: str = "127.0.0.1"
    web_port: int = 8000
    worker_host: str = "127.0.0.1"
    worker_port: int = 8001

    encryption_keys: Words
    """the key ring, `id:base64 of 32 bytes`; the first encrypts, all decrypt"""
    signing_secrets: Words
    """sign the links in e-mails; the first signs, all verify"""
    codec_token: str
    """opens the codec endpoint to the Temporal UI"""

    provider_timeout_seconds: float = Field(8.0, gt=0)
    max_body_bytes: int = Field(1_000_000, ge=10_000)
    payment_window: timedelta = Policy.payment_window
    check_payment_every: timedelta = Policy.check_payment_every
    hold_margin: timedelta = Policy.hold_margin
    carrier_patience: timedelta = Policy.carrier_patience
    check_carrier_every: timedelta = Policy.check_carrier_every

    @field_validator(
        "stripe_webhook_secrets", "easypost_webhook_secrets", "encryption_keys", "signing_secrets", mode="before"
    )
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("encryption_keys")
    @classmethod
    def _ring(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for entry in value:
            key_id, _, key = entry.partition(":")
            if not key_id or len(_decoded(key)) != 32:
                raise ValueError("each entry must be `id:base64 of 32 random bytes`")
        if not value:
            raise ValueError("at least one key is needed")
        return value

    @field_validator("signing_secrets")
    @classmethod
    def _strong(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or any(len(secret) < 32 for secret in value):
            raise ValueError("needs at least one secret of 32 characters or more")
        return value

    @field_validator("codec_token")
    @classmethod
    def _long(cls, value: str) -> str:
        if len(value) < 32:
            raise ValueError("needs 32 characters or more")
        return value

    @model_validator(mode="after")
    def _sandbox_only_when_asked(self) -> Self:
        local = [url for url in (self.stripe_base_url, self.easypost_base_url) if "127.0.0.1" in url]
        if self.providers is Providers.LIVE and local:
            raise ValueError(
                f"PROVIDERS=live, but {local[0]} is this machine; set PROVIDERS=sandbox to use the sandbox"
            )
        if self.providers is Providers.SANDBOX and len(local) < 2:
            raise ValueError(
                "PROVIDERS=sandbox, but STRIPE_BASE_URL or EASYPOST_BASE_URL is not the sandbox on 127.0.0.1"
            )
        return self

    @property
    def key_ring(self) -> dict[str, bytes]:
        """The encryption keys by id, the encrypting one first."""
        return {key_id: _decoded(key) for key_id, _, key in (entry.partition(":") for entry in self.encryption_keys)}

    @property
    def policy(self) -> Policy:
        """How patient orders are."""
        return Policy(
            payment_window=self.payment_window,
            check_payment_every=self.check_payment_every,
            hold_margin=self.hold_margin,
            carrier_patience=self.carrier_patience,
            check_carrier_every=self.check_carrier_every,
        )


def load_settings() -> Settings:
    """The settings of this process, from the environment and the folder SECRETS_DIR.

    Raises SettingsError with one line per fault.
    """
    folder = os.environ.get("SECRETS_DIR")
    try:
        return Settings(_secrets_dir=folder)
    except ValidationError as error:
        raise SettingsError("\n".join(_explain(fault) for fault in error.errors())) from None


def _explain(fault: ErrorDetails) -> str:
    name = str(fault["loc"][0]).upper() if fault["loc"] else "Settings"
    if fault["type"] == "missing":
        return f"{name} is not set; see the settings in docs/guide.md."
    return f"{name}: {fault['msg']}."


def _decoded(key: str) -> bytes:
    try:
        return base64.b64decode(key, validate=True)
    except ValueError:
        return b""
