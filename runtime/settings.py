"""All settings, read once from the environment. A name here in lower case is the variable in upper case.

A secret may instead be a file: set SECRETS_DIR to a folder (`/run/secrets` in a container) that holds a file for each,
named as the setting in lower case. An empty variable counts as not set. A setting that is missing, weak or
contradictory stops the start with a line that says what to do; no secret is ever shown.
"""

import base64
import logging
import os
import re
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from db.base import checked_dsn
from domain.orders import Policy
from domain.stock_alerts import Thresholds
from integrations.mail.letters import parse_sender
from integrations.portals.account import PortalAccount
from runtime.portal_accounts import parse_accounts


class Providers(StrEnum):
    """Whom the adapters talk to."""

    LIVE = "live"
    SANDBOX = "sandbox"


class SmtpTls(StrEnum):
    """How the connection to the mail server is protected."""

    NONE = "none"
    STARTTLS = "starttls"
    TLS = "tls"


class TracesTo(StrEnum):
    """Where traces go."""

    OFF = "off"
    OTLP = "otlp"
    """to a collector, which the standard variables OTEL_EXPORTER_OTLP_… name"""


class Switch(StrEnum):
    """Whether something is done."""

    ON = "on"
    OFF = "off"


class SettingsError(Exception):
    """The settings do not allow a start; the text has one line per fault."""


Secret = Annotated[str, Field(repr=False)]
Secrets = Annotated[tuple[str, ...], NoDecode, Field(repr=False)]
Port = Annotated[int, Field(ge=1, le=65535)]
Patience = Annotated[timedelta, Field(gt=timedelta(0))]

Kind = TypeVar("Kind", bound=BaseSettings)

_THIS_MACHINE = frozenset({"127.0.0.1", "::1", "localhost"})
_BUILD_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_KEY_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class TemporalSettings(BaseSettings):
    """How Temporal is reached, and as which build of the workers."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, env_ignore_empty=True, hide_input_in_errors=True)

    temporal_address: str = "127.0.0.1:7233"
    temporal_namespace: str = "default"
    temporal_task_queue: str = "orders"
    temporal_ui_url: str = "http://127.0.0.1:8233"
    temporal_api_key: Secret = ""
    temporal_tls_ca: str = ""
    temporal_tls_cert: str = ""
    temporal_tls_key: Secret = ""
    temporal_tls_server_name: str = ""
    build_id: str = ""

    @field_validator("build_id")
    @classmethod
    def _plain_build(cls, value: str) -> str:
        if value and not _BUILD_ID.fullmatch(value):
            raise ValueError("it may have up to 64 letters, digits, dots, hyphens and underscores, as a commit has")
        return value

    @field_validator("temporal_tls_ca", "temporal_tls_cert", "temporal_tls_key")
    @classmethod
    def _pem(cls, value: str) -> str:
        if value and "-----BEGIN " not in value:
            raise ValueError("it must be PEM text, not the name of a file")
        return value

    @model_validator(mode="after")
    def _whole_certificate(self) -> Self:
        if bool(self.temporal_tls_cert) != bool(self.temporal_tls_key):
            raise ValueError("TEMPORAL_TLS_CERT and TEMPORAL_TLS_KEY belong together; set both or neither")
        return self


class PortalSettings(BaseSettings):
    """Supplier portals, and the browser with which they are visited."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, env_ignore_empty=True, hide_input_in_errors=True)

    portals: Annotated[tuple[PortalAccount, ...], NoDecode, Field(repr=False)] = ()
    """with their log-ins, as JSON (`runtime.portal_accounts`)"""
    portal_task_queue: str = "portals"
    portal_visits: int = Field(4, ge=1, le=32)
    """jobs that one worker does at a time, each in a browser context of its own"""
    portal_sessions_dir: str = ""
    portal_evidence_kept: Patience = timedelta(days=180)
    chromium_path: str = ""
    chromium_sandbox: Switch = Switch.ON

    @field_validator("portals", mode="before")
    @classmethod
    def _accounts(cls, value: object) -> object:
        return parse_accounts(value) if isinstance(value, str) else value


class Settings(TemporalSettings, PortalSettings):
    """Everything that differs between installations."""

    providers: Providers
    shop_name: str = "Waybill Demo Shop"
    log_level: str = "INFO"
    traces: TracesTo = TracesTo.OFF

    database_url: Secret
    database_pool: int = Field(10, ge=1)

    stripe_base_url: str = "https://api.stripe.com"
    stripe_api_key: Secret
    stripe_webhook_secrets: Secrets = ()
    stripe_multicapture: Switch = Switch.OFF
    """whether holds are asked for of which each parcel's share can be taken as it leaves; accounts must have it"""

    easypost_base_url: str = "https://api.easypost.com/v2"
    easypost_api_key: Secret
    easypost_webhook_secrets: Secrets = ()

    smtp_host: str
    smtp_port: Port = 587
    smtp_username: str = ""
    smtp_password: Secret = ""
    smtp_tls: SmtpTls = SmtpTls.STARTTLS
    mail_from: str
    operators_email: str

    public_url: str = "http://127.0.0.1:8000"
    web_host: str = "127.0.0.1"
    web_port: Port = 8000
    worker_host: str = "127.0.0.1"
    worker_port: Port = 8001

    encryption_keys: Secrets
    """the key ring, `id:base64 of 32 bytes`; the first encrypts, all decrypt"""
    signing_secrets: Secrets
    """sign the links in e-mails; the first signs, all verify"""
    codec_token: Secret
    """opens the codec endpoint to the Temporal UI"""

    max_body_bytes: int = Field(1_000_000, ge=10_000)
    payment_window: Patience = Policy.payment_window
    check_payment_every: Patience = Policy.check_payment_every
    hold_margin: Patience = Policy.hold_margin
    carrier_patience: Patience = Policy.carrier_patience
    check_carrier_every: Patience = Policy.check_carrier_every
    check_portal_every: Patience = Policy.check_portal_every
    portal_patience: Patience = Policy.portal_patience
    alert_webhook_url: str = ""
    alert_webhook_secret: Secret = ""
    low_stock_at: int = Field(0, ge=0)
    low_cover_days: int = Field(0, ge=0, le=365)

    @field_validator(
        "stripe_webhook_secrets", "easypost_webhook_secrets", "encryption_keys", "signing_secrets", mode="before"
    )
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("log_level")
    @classmethod
    def _level(cls, value: str) -> str:
        if value.upper() not in logging.getLevelNamesMapping():
            raise ValueError("it is one of DEBUG, INFO, WARNING, ERROR")
        return value.upper()

    @field_validator("database_url")
    @classmethod
    def _reachable(cls, value: str) -> str:
        return checked_dsn(value)

    @field_validator("mail_from")
    @classmethod
    def _sender(cls, value: str) -> str:
        parse_sender(value)
        return value

    @field_validator("encryption_keys")
    @classmethod
    def _ring(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for entry in value:
            key_id, _, key = entry.partition(":")
            if not _KEY_ID.fullmatch(key_id) or len(_decoded(key)) != 32:
                raise ValueError("each entry must be `id:base64 of 32 random bytes`")
        if not value:
            raise ValueError("at least one key is needed")
        if len({entry.partition(":")[0] for entry in value}) < len(value):
            raise ValueError("two keys have the same id")
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
        urls = (self.stripe_base_url, self.easypost_base_url)
        local = [url for url in urls if urlsplit(url).hostname in _THIS_MACHINE]
        if self.providers is Providers.LIVE and local:
            raise ValueError(
                f"PROVIDERS=live, but {local[0]} is this machine; set PROVIDERS=sandbox to use the sandbox"
            )
        if self.providers is Providers.SANDBOX and len(local) < 2:
            raise ValueError(
                "PROVIDERS=sandbox, but STRIPE_BASE_URL or EASYPOST_BASE_URL is not the sandbox on 127.0.0.1"
            )
        return self

    @model_validator(mode="after")
    def _portals_like_the_rest(self) -> Self:
        for account in self.portals:
            url = urlsplit(account.base_url)
            here = url.hostname in _THIS_MACHINE
            if here is (self.providers is Providers.LIVE):
                place = "is this machine" if here else "is not the sandbox on 127.0.0.1"
                raise ValueError(f"PROVIDERS={self.providers}, but the portal {account.name} {place}")
            if not here and url.scheme != "https":
                raise ValueError(f"the portal {account.name} would get its password in clear; use https://")
        return self

    @model_validator(mode="after")
    def _signed_alerts(self) -> Self:
        url = self.alert_webhook_url
        if bool(url) != bool(self.alert_webhook_secret):
            raise ValueError("ALERT_WEBHOOK_URL and ALERT_WEBHOOK_SECRET belong together; set both or neither")
        if url and urlsplit(url).scheme != "https" and urlsplit(url).hostname not in _THIS_MACHINE:
            raise ValueError("ALERT_WEBHOOK_URL must begin with https:// unless it is on this machine")
        if url and len(self.alert_webhook_secret) < 32:
            raise ValueError("ALERT_WEBHOOK_SECRET needs 32 characters or more")
        return self

    @model_validator(mode="after")
    def _no_password_in_clear(self) -> Self:
        if self.smtp_username and self.smtp_tls is SmtpTls.NONE and self.smtp_host not in _THIS_MACHINE:
            raise ValueError("SMTP_TLS=none would send SMTP_PASSWORD in clear; set SMTP_TLS to starttls or tls")
        return self

    @property
    def key_ring(self) -> dict[str, bytes]:
        """The encryption keys by id, the encrypting one first."""
        return {key_id: _decoded(key) for key_id, _, key in (entry.partition(":") for entry in self.encryption_keys)}

    @property
    def mail_domain(self) -> str:
        """The domain of our e-mails' Message-IDs: that of the sender."""
        return self.mail_from.rpartition("@")[2].rstrip("> ")

    @property
    def thresholds(self) -> Thresholds:
        """When stock is low, where a level has no threshold of its own."""
        return Thresholds(self.low_stock_at, self.low_cover_days)

    @property
    def policy(self) -> Policy:
        """How patient orders are."""
        return Policy(
            payment_window=self.payment_window,
            check_payment_every=self.check_payment_every,
            hold_margin=self.hold_margin,
            carrier_patience=self.carrier_patience,
            check_carrier_every=self.check_carrier_every,
            check_portal_every=self.check_portal_every,
            portal_patience=self.portal_patience,
            portal_task_queue=self.portal_task_queue,
        )


def load_settings() -> Settings:
    """The settings of this process, from the environment and the folder SECRETS_DIR.

    Raises SettingsError with one line per fault.
    """
    return _load(Settings)


def load_temporal_settings(**given: str) -> TemporalSettings:
    """The same, for a process that needs nothing but Temporal; what is ``given`` comes first. Raises SettingsError."""
    return _load(TemporalSettings, **given)


def load_portal_settings() -> PortalSettings:
    """The same, for a process that needs nothing but portals. Raises SettingsError."""
    return _load(PortalSettings)


def _load(kind: type[Kind], **given: Any) -> Kind:
    folder = os.environ.get("SECRETS_DIR") or None
    if folder is not None and not Path(folder).is_dir():
        raise SettingsError(f"SECRETS_DIR: there is no folder {folder}.")
    try:
        return kind(_secrets_dir=folder, **given)
    except ValidationError as error:
        raise SettingsError("\n".join(_explain(fault) for fault in error.errors(include_input=False))) from None


def _explain(fault: ErrorDetails) -> str:
    name = str(fault["loc"][0]).upper() if fault["loc"] else ""
    if fault["type"] == "missing":
        return f"{name} is not set; see the settings in docs/guide.md."
    if fault["type"].startswith("time_delta"):
        return f"{name} must be a duration in ISO 8601, such as PT90M, PT24H or P7D."
    text = fault["msg"].removeprefix("Value error, ")
    return f"{name}: {text}." if name else f"{text}."


def _decoded(key: str) -> bytes:
    try:
        return base64.b64decode(key, validate=True)
    except ValueError:
        return b""
