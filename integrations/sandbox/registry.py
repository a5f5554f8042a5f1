"""The vendors that the sandbox stands in for. A new one is a new folder and one line here."""

from collections.abc import Callable

from integrations.sandbox.easypost.provider import build as easypost
from integrations.sandbox.portal.provider import build as portal
from integrations.sandbox.provider import Provider, Sandbox
from integrations.sandbox.stripe.provider import build as stripe

BUILDERS: tuple[Callable[[Sandbox], Provider], ...] = (stripe, easypost, portal)
