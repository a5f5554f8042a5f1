"""Request headers that several routes know."""

from typing import Annotated

from fastapi import Header

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="A name of your own for this request, such as a UUID. Sent again with the same body it gets "
        "the same answer; with another body it is refused.",
        examples=["0d6fb1c4-3f0c-4f5e-9a0e-7f1f3c1d2b3a"],
    ),
]
