"""The vendors that the sandbox stands in for. A new one is a new folder and one line here."""

from collections.abc import Callable

from integrations.sandbox import stripe
from integrations.sandbox.provider import Provider, Sandbox

BUILDERS: tuple[Callable[[Sandbox], Provider], ...] = (stripe.build,)
