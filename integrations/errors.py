"""How the outside world fails, in terms that decide what happens next.

```
ProviderError
├── Unreachable      the request cannot have arrived (connection refused): repeat
├── OutcomeUnknown   it may have been done (timeout, dropped connection, garbage): look up, or repeat under its key
├── Throttled        429: repeat after ``retry_after`` seconds
├── ProviderDown     5xx, or 409 while another attempt runs: repeat under the same key
├── Rejected         400, 401, 403, 404, 422: repeating cannot help; a person is told
├── PageChanged      a portal's page is not the one that its adapter was written for
├── SignedOut        a portal has forgotten who we are: log in and look up
├── NotAsAsked       a portal shows something else than what was asked of it; a person is told
└── OrderedTwice     a portal has several orders under one of our references; a person is told
```

A declined card is not an error: it is an answer.
"""


class ProviderError(Exception):
    """A call to ``provider`` did not succeed. The text holds no personal data: it reaches logs and histories."""

    def __init__(self, provider: str, detail: str) -> None:
        super().__init__(f"{provider}: {detail}")
        self.provider = provider
        self.detail = detail


class Unreachable(ProviderError):
    """The request cannot have arrived."""


class OutcomeUnknown(ProviderError):
    """The request may have been carried out; its answer was lost or unreadable."""


class Throttled(ProviderError):
    """The provider asks for patience: ``retry_after`` seconds."""

    def __init__(self, provider: str, detail: str, *, retry_after: float) -> None:
        super().__init__(provider, detail)
        self.retry_after = retry_after


class ProviderDown(ProviderError):
    """The provider failed on its side, or asks to come back.

    ``replayed`` says that this answer was stored under our key and comes again, ``this_one`` that it is about this
    request alone: neither tells how the provider fares now.
    """

    def __init__(self, provider: str, detail: str, *, replayed: bool = False, this_one: bool = False) -> None:
        super().__init__(provider, detail)
        self.replayed = replayed
        self.this_one = this_one


class Rejected(ProviderError):
    """The provider refuses the request as such. ``status`` is its HTTP status, ``code`` its own error code."""

    def __init__(self, provider: str, detail: str, *, status: int, code: str | None = None) -> None:
        super().__init__(provider, detail)
        self.status = status
        self.code = code


class BadSignature(ProviderError):
    """A webhook whose signature is missing, wrong or too old."""


class BadPayload(ProviderError):
    """A webhook that is signed but cannot be understood."""


class PageChanged(ProviderError):
    """In ``step`` the page lacks ``missing`` (such as `button "Continue"`), or has something in its place."""

    def __init__(self, provider: str, *, step: str, missing: str) -> None:
        super().__init__(provider, f"{step}: the page has no {missing}")
        self.step = step
        self.missing = missing


class SignedOut(ProviderError):
    """The portal shows its log-in in place of what was asked for."""


class NotAsAsked(ProviderError):
    """``fields`` are not what was asked. ``number`` is that of the portal's order; None: nothing was ordered."""

    def __init__(self, provider: str, *, fields: tuple[str, ...], number: str | None) -> None:
        state = "nothing was ordered" if number is None else f"order {number} is at the portal"
        super().__init__(provider, f"it shows another {', '.join(fields)} than was asked; {state}")
        self.fields = fields
        self.number = number


class OrderedTwice(ProviderError):
    """``numbers`` are all orders of the portal under one of our references."""

    def __init__(self, provider: str, *, reference: str, numbers: tuple[str, ...]) -> None:
        super().__init__(provider, f"{reference} was ordered more than once: {', '.join(numbers)}")
        self.numbers = numbers
