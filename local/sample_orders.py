"""Orders as a web shop would send them: the same ones every time, for customers who do not exist."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from local.catalogue import CURRENCY, SKUS, SampleSku

SEED = 20240229
CHANNEL = "webshop"
PAYMENT_METHOD = "pm_card_visa"  # Stripe's test card that always pays
SHIPPING = {"economy": 490, "standard": 790, "express": 1490}  # cents
SERVICES = ("standard",) * 6 + ("economy",) * 3 + ("express",)
LINES = (1, 1, 1, 2, 2, 3, 4)
QUANTITIES = (1, 1, 1, 1, 2, 2, 3)
GIFT_PREFIX = "GIFT-"


@dataclass(frozen=True)
class SampleCustomer:
    """Somebody believable; `tax` is the sales tax of the state in hundredths of a percent."""

    name: str
    mailbox: str
    street: str
    city: str
    state: str
    postal_code: str
    tax: int
    locale: str = "en-US"


CUSTOMERS = (
    SampleCustomer("Margaret Ellery", "margaret.ellery", "48 Prospect St", "Portland", "ME", "04101", 550),
    SampleCustomer("王小雨", "wang.xiaoyu", "1328 Stockton St", "San Francisco", "CA", "94133", 863, "zh-CN"),
    SampleCustomer("Deshawn Carter", "deshawn.carter", "2115 Auburn Ave NE", "Atlanta", "GA", "30312", 890),
    SampleCustomer("Ingrid Sørensen", "ingrid.sorensen", "3540 Hennepin Ave", "Minneapolis", "MN", "55408", 903),
    SampleCustomer("Tomás Herrera", "tomas.herrera", "610 S Alamo St", "San Antonio", "TX", "78205", 825),
    SampleCustomer("李伟", "li.wei", "41-25 Kissena Blvd", "Flushing", "NY", "11355", 888, "zh-CN"),
    SampleCustomer("Aoife Brennan", "aoife.brennan", "77 Dorchester Ave", "Boston", "MA", "02127", 625),
    SampleCustomer("Priya Raghunathan", "priya.raghunathan", "1902 Market St", "Philadelphia", "PA", "19103", 800),
    SampleCustomer("Jonas Lindqvist", "jonas.lindqvist", "5418 Ballard Ave NW", "Seattle", "WA", "98107", 1035),
    SampleCustomer("Camille Fontaine", "camille.fontaine", "826 Royal St", "New Orleans", "LA", "70116", 1000),
    SampleCustomer("陈思远", "chen.siyuan", "9889 Bellaire Blvd", "Houston", "TX", "77036", 825, "zh-CN"),
    SampleCustomer("Kwame Mensah", "kwame.mensah", "1450 Park Rd NW", "Washington", "DC", "20010", 600),
    SampleCustomer("Hannah Weiss", "hannah.weiss", "219 E Washington St", "Ann Arbor", "MI", "48104", 600),
    SampleCustomer("Luca Moretti", "luca.moretti", "305 Atwells Ave", "Providence", "RI", "02903", 700),
    SampleCustomer("Yuki Tanabe", "yuki.tanabe", "3611 Tejon St", "Denver", "CO", "80211", 881),
    SampleCustomer("Oleksandr Kovalenko", "oleksandr.k", "2238 W Chicago Ave", "Chicago", "IL", "60622", 1025),
    SampleCustomer("Beatriz Almeida", "beatriz.almeida", "1167 Acushnet Ave", "New Bedford", "MA", "02746", 625),
    SampleCustomer("Samuel Whitehorse", "samuel.whitehorse", "1209 Canyon Rd", "Santa Fe", "NM", "87501", 819),
    SampleCustomer("赵敏", "zhao.min", "11301 NE 8th St", "Bellevue", "WA", "98004", 1010, "zh-CN"),
    SampleCustomer("Fatima El-Sayed", "fatima.elsayed", "13530 Michigan Ave", "Dearborn", "MI", "48126", 600),
    SampleCustomer("Grace Okonkwo", "grace.okonkwo", "4021 Charlotte Ave", "Nashville", "TN", "37209", 925),
    SampleCustomer("Piet van Dijk", "piet.vandijk", "86 E 8th St", "Holland", "MI", "49423", 600),
    SampleCustomer("Elena Petrova", "elena.petrova", "3033 Brighton 4th St", "Brooklyn", "NY", "11235", 888),
    SampleCustomer("Mateo Vargas", "mateo.vargas", "725 E Roosevelt St", "Phoenix", "AZ", "85006", 860),
)


def sample_orders(count: int, *, batch: str) -> Iterator[dict[str, Any]]:
    """`count` bodies for `POST /v1/orders`. `batch` sets their references apart from those of other runs."""
    chance = Random(SEED)  # noqa: S311 - the same orders every time
    for number in range(1, count + 1):
        yield _order(chance, CUSTOMERS[(number - 1) % len(CUSTOMERS)], f"{batch}-{number:04}")


def _order(chance: Random, customer: SampleCustomer, reference: str) -> dict[str, Any]:
    items = chance.sample([sku for sku in SKUS if not sku.sku.startswith(GIFT_PREFIX)], chance.choice(LINES))
    lines = [_line(item, chance.choice(QUANTITIES), customer.tax) for item in items]
    service = chance.choice(SERVICES)
    return {
        "channel": CHANNEL,
        "external_reference": reference,
        "customer": {
            "name": customer.name,
            "email": f"{customer.mailbox}@example.com",
            "locale": customer.locale,
        },
        "shipping_address": {
            "name": customer.name,
            "street1": customer.street,
            "city": customer.city,
            "state": customer.state,
            "postal_code": customer.postal_code,
            "country": "US",
        },
        "currency": CURRENCY,
        "lines": lines,
        "shipping_service": service,
        "shipping_charge": SHIPPING[service],
        "total": sum(line["quantity"] * line["unit_price"] + line["tax"] for line in lines) + SHIPPING[service],
        "payment": {"provider": "stripe", "method": PAYMENT_METHOD},
    }


def containing(order: dict[str, Any], number: int, items: Sequence[SampleSku], *, each: int = 1) -> dict[str, Any]:
    """The ``number``th of the sample orders, with ``each`` of ``items`` instead."""
    customer = CUSTOMERS[(number - 1) % len(CUSTOMERS)]
    lines = [_line(item, each, customer.tax) for item in items]
    goods = sum(line["quantity"] * line["unit_price"] + line["tax"] for line in lines)
    return {**order, "lines": lines, "total": goods + order["shipping_charge"]}


def _line(item: SampleSku, quantity: int, tax: int) -> dict[str, Any]:
    """`tax` is in hundredths of a percent; half a cent is rounded up."""
    return {
        "sku": item.sku,
        "quantity": quantity,
        "unit_price": item.price,
        "tax": (quantity * item.price * tax + 5000) // 10000,
    }
