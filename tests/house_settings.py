"""The settings of a house: every outside address is one of its street's servers."""

import uuid
from datetime import timedelta

from runtime.settings import Providers, Settings, SmtpTls, Switch
from tests.street import EASYPOST_KEY, EASYPOST_SECRET, KEY_RING_SETTING, STRIPE_KEY, STRIPE_SECRET, Street


def house_settings(street: Street, database_url: str) -> Settings:
    """Those of a house of its own, with task queues that no other house has."""
    sandbox = str(street.sandbox.base_url).rstrip("/")
    return Settings(
        providers=Providers.SANDBOX,
        database_url=database_url,
        temporal_address=street.temporal.client.service_client.config.target_host,
        temporal_namespace=street.temporal.client.namespace,
        temporal_task_queue=f"orders-{uuid.uuid4().hex[:8]}",
        stripe_base_url=f"{sandbox}/stripe",
        stripe_api_key=STRIPE_KEY,
        stripe_webhook_secrets=(STRIPE_SECRET,),
        stripe_multicapture=Switch.ON,
        easypost_base_url=f"{sandbox}/easypost/v2",
        easypost_api_key=EASYPOST_KEY,
        easypost_webhook_secrets=(EASYPOST_SECRET,),
        smtp_host="127.0.0.1",
        smtp_port=street.smtp_port,
        smtp_tls=SmtpTls.NONE,
        mail_from="Sample Shop <orders@shop.example>",
        operators_email="operators@shop.example",
        public_url=f"http://127.0.0.1:{street.web_port}",
        web_port=street.web_port,
        encryption_keys=(KEY_RING_SETTING,),
        signing_secrets=("s" * 40,),
        codec_token="t" * 40,
        # Every timer that time passes over costs a second, so nobody asks more often than a test needs.
        check_payment_every=timedelta(hours=12),
        check_carrier_every=timedelta(days=3),
        portal_task_queue=f"portals-{uuid.uuid4().hex[:8]}",
        check_portal_every=timedelta(seconds=1),
        portal_patience=timedelta(seconds=3),
    )
