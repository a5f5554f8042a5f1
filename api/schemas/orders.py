"""Orders, as they come in."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints, field_validator, model_validator

from api.schemas.base import MAX_AMOUNT, Amount, Currency, Email, Input, Quantity, Reference, Text, Word
from api.schemas.countries import COUNTRIES
from domain.orders import Address, Customer, Line, OrderRequest, PaymentSource
from domain.shipments import SERVICE_DAYS

ORDER_EXAMPLE: dict[str, Any] = {
    "channel": "webshop",
    "external_reference": "2024-10017",
    "customer": {"name": "Margaret Ellery", "email": "margaret.ellery@example.com", "locale": "en-US"},
    "shipping_address": {
        "name": "Margaret Ellery",
        "street1": "48 Prospect St",
        "city": "Portland",
        "state": "ME",
        "postal_code": "04101",
        "country": "US",
    },
    "currency": "USD",
    "lines": [{"sku": "COF-KETTLE-09", "quantity": 1, "unit_price": 6900, "discount": 900, "tax": 330}],
    "shipping_service": "standard",
    "shipping_charge": 790,
    "total": 7120,
    "payment": {"provider": "stripe", "method": "pm_card_visa"},
}


def known_country(country: str) -> str:
    """The country, if ISO 3166-1 has it."""
    if country not in COUNTRIES:
        raise ValueError(f"{country!r} is not a country of ISO 3166-1")
    return country


class CustomerIn(Input):
    """Whom we tell."""

    name: Text
    email: Email
    phone: Word | None = None
    locale: Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,4}$")] = Field(
        "en", description="BCP 47 tag; picks the language of e-mails and of the order's page.", examples=["en-US"]
    )

    def to_domain(self) -> Customer:
        """As the rules know it."""
        return Customer(name=self.name, email=self.email, phone=self.phone, locale=self.locale)


class AddressIn(Input):
    """A postal address."""

    name: Text | None = None
    company: Text | None = None
    street1: Text
    street2: Text | None = None
    city: Text
    state: Word | None = Field(None, description="The region's code, where the country uses one: `ME`.")
    postal_code: Annotated[Word, Field(max_length=20)]
    country: str = Field(description="ISO 3166-1 alpha-2.", examples=["US"])
    phone: Word | None = None

    @field_validator("country")
    @classmethod
    def _known(cls, country: str) -> str:
        return known_country(country)

    def to_domain(self) -> Address:
        """As the rules know it."""
        return Address(**self.model_dump())


class LineIn(Input):
    """One line. All money in minor units of the order's currency."""

    sku: Word
    quantity: Quantity
    unit_price: Amount = Field(description="For one unit, before discount and tax.")
    discount: Amount = Field(0, description="For the whole line.")
    tax: Amount = Field(0, description="For the whole line.")

    def to_domain(self, number: int) -> Line:
        """As the rules know it."""
        return Line(number, self.sku, self.quantity, self.unit_price, self.discount, self.tax)


class PaymentIn(Input):
    """How the customer pays: a ``method`` to charge, or an ``intent`` that the shop has already made."""

    provider: Word = Field(examples=["stripe"])
    method: Reference | None = Field(
        None, description="The provider's token of a way to pay.", examples=["pm_card_visa"]
    )
    intent: Reference | None = Field(None, description="The provider's id of a payment that the shop has made.")

    @model_validator(mode="after")
    def _one_of_two(self) -> "PaymentIn":
        if (self.method is None) == (self.intent is None):
            raise ValueError("give either a method or an intent")
        return self


class PlaceOrder(Input):
    """An order. ``total`` must be the sum of the lines and the shipping charge."""

    model_config = ConfigDict(json_schema_extra={"examples": [ORDER_EXAMPLE]})

    channel: Word = Field(description="Where the order was made; its references are unique within it.")
    external_reference: Reference = Field(description="The channel's own name of the order.")
    customer: CustomerIn
    shipping_address: AddressIn
    currency: Currency = Field(description="ISO 4217; all amounts are in its minor units.")
    lines: Annotated[list[LineIn], Field(min_length=1, max_length=500)]
    shipping_service: str = Field(json_schema_extra={"enum": list(SERVICE_DAYS)})
    shipping_charge: Amount
    total: Annotated[int, Field(strict=True, ge=1, le=MAX_AMOUNT)]
    payment: PaymentIn
    billing_country: str | None = Field(
        None, description="ISO 3166-1 alpha-2; for hold rules that compare it with where the order goes."
    )

    @field_validator("billing_country")
    @classmethod
    def _known(cls, country: str | None) -> str | None:
        return country if country is None else known_country(country)

    @field_validator("shipping_service")
    @classmethod
    def _offered(cls, service: str) -> str:
        if service not in SERVICE_DAYS:
            raise ValueError(f"must be one of: {', '.join(SERVICE_DAYS)}")
        return service

    def to_domain(self) -> OrderRequest:
        """As the rules know it."""
        return OrderRequest(
            channel=self.channel,
            external_reference=self.external_reference,
            customer=self.customer.to_domain(),
            shipping_address=self.shipping_address.to_domain(),
            currency=self.currency,
            lines=tuple(line.to_domain(number) for number, line in enumerate(self.lines, 1)),
            shipping_service=self.shipping_service,
            shipping_charge=self.shipping_charge,
            total=self.total,
            payment=PaymentSource(self.payment.provider, method=self.payment.method, intent=self.payment.intent),
            billing_country=self.billing_country,
        )
