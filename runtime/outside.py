"""The adapters to the outside world, as the settings say; the same in every process."""

from dataclasses import dataclass
from datetime import UTC, datetime

import httpx2

from integrations.breaker import Breaker, OnChange, unheard
from integrations.carriers.carrier import Carrier
from integrations.carriers.registry import carrier
from integrations.hooks import NAME as HOOK
from integrations.hooks import Hook, WebHook
from integrations.http import Caller, new_client
from integrations.mail.letters import NAME as MAIL
from integrations.mail.smtp import Smtp, Tls
from integrations.observing import Observe, unobserved
from integrations.payments.provider import PaymentProvider
from integrations.payments.registry import payment_provider
from runtime.settings import Settings, Switch


@dataclass(frozen=True)
class Outside:
    """Payment providers and carriers by name, over one pool of connections."""

    client: httpx2.AsyncClient
    payments: dict[str, PaymentProvider]
    carriers: dict[str, Carrier]

    async def aclose(self) -> None:
        """Give the connections back."""
        await self.client.aclose()


def connect_outside(settings: Settings, observe: Observe = unobserved, on_change: OnChange = unheard) -> Outside:
    """The adapters that the settings name; ``on_change`` hears of their circuit breakers."""
    client = new_client(connections=50)
    stripe = payment_provider(
        "stripe",
        base_url=settings.stripe_base_url,
        api_key=settings.stripe_api_key,
        webhook_secrets=settings.stripe_webhook_secrets,
        multicapture=settings.stripe_multicapture is Switch.ON,
        client=client,
        observe=observe,
        breaker=Breaker("stripe", on_change=on_change),
    )
    easypost = carrier(
        "easypost",
        base_url=settings.easypost_base_url,
        api_key=settings.easypost_api_key,
        webhook_secrets=settings.easypost_webhook_secrets,
        client=client,
        observe=observe,
        breaker=Breaker("easypost", on_change=on_change),
    )
    return Outside(client, {stripe.name: stripe}, {easypost.name: easypost})


def mail_server(settings: Settings, observe: Observe = unobserved, on_change: OnChange = unheard) -> Smtp:
    """The mail server that the settings name; ``on_change`` hears of its circuit breaker."""
    return Smtp(
        host=settings.smtp_host,
        port=settings.smtp_port,
        username=settings.smtp_username or None,
        password=settings.smtp_password or None,
        tls=Tls(settings.smtp_tls.value),
        sender=settings.mail_from,
        observe=observe,
        breaker=Breaker(MAIL, on_change=on_change),
    )


def alert_hooks(settings: Settings, outside: Outside, observe: Observe = unobserved) -> list[Hook]:
    """Who is told of alerts about stock: the address that the settings name, or nobody."""
    if not settings.alert_webhook_url:
        return []
    caller = Caller(provider=HOOK, client=outside.client, breaker=Breaker(HOOK), observe=observe)
    secret = settings.alert_webhook_secret
    return [WebHook(settings.alert_webhook_url, secret=secret, caller=caller, now=lambda: datetime.now(UTC))]
