"""Examples of what is told about orders, as the API's description shows them."""

from typing import Any

from api.schemas.orders import ORDER_EXAMPLE

ORDER_ID = "3f8a6f4e-58a5-5c0e-9d5c-0d6f3c1b2a49"
FULFILMENT_ID = "8a1f7c52-3b0e-5f4d-a7d8-5b9c1e2f3a40"
_PARCEL = "b7e4d2c1-9f80-5a6b-8c3d-2e1f0a9b8c7d"
_PAGE = f"https://shop.example/orders/{ORDER_ID}?token=aBcDeF.1a2b3c"
_PLACED = "2024-05-02T09:14:03.120000Z"
_LABELLED = "2024-05-02T09:14:09.480000Z"
_SENTENCE = (
    "Waiting for hand-over of parcel 1 to the carrier (on the warehouse) since 2024-05-02 09:14:09 UTC; "
    "then the money is captured."
)
_WAITING: dict[str, Any] = {
    "sentence": _SENTENCE,
    "what": "hand-over of parcel 1 to the carrier",
    "on": "warehouse",
    "since": _LABELLED,
    "until": None,
    "then": "the money is captured",
}


_LINKS = {
    "self": f"/v1/orders/{ORDER_ID}",
    "page": _PAGE,
    "packing_slip": f"/v1/orders/{ORDER_ID}/packing-slip",
    "cancel": f"/v1/orders/{ORDER_ID}/cancel",
}


_PAYMENT: dict[str, Any] = {
    "provider": "stripe",
    "reference": "pi_3PBxyz",
    "status": "authorised",
    "currency": "USD",
    "amount": 7120,
    "authorised": 7120,
    "captured": 0,
    "refunded": 0,
    "capture_before": "2024-05-09T09:14:05Z",
    "decline": None,
    "action_url": None,
    "checked_at": "2024-05-02T09:14:05.900000Z",
    "events": [
        {
            "kind": "authorise",
            "amount": 7120,
            "currency": "USD",
            "reference": "pi_3PBxyz",
            "intended_at": "2024-05-02T09:14:05.100000Z",
            "done_at": "2024-05-02T09:14:05.900000Z",
        }
    ],
}
MONEY: dict[str, Any] = {
    "authorised": "full",
    "paid": "none",
    "invoiced": 7120,
    "credited": 0,
    "held": 7120,
    "captured": 0,
    "refunded": 0,
    "owed": 7120,
    "written_off": 0,
    "disputed": 0,
    "lost": 0,
}
_FULFILMENT_VIEW: dict[str, Any] = {
    "id": FULFILMENT_ID,
    "number": 1,
    "warehouse": "EDI",
    "status": "labelled",
    "handed_over_at": None,
    "delivered_at": None,
    "portal": None,
    "supplier_orders": [],
    "lines": [{"line": 1, "sku": "COF-KETTLE-09", "quantity": 1}],
    "parcels": [
        {
            "id": _PARCEL,
            "attempt": 1,
            "carrier": "USPS",
            "service": "Priority",
            "price": 815,
            "currency": "USD",
            "weight_grams": 1180,
            "tracking_code": "9400100000000000000000",
            "tracking_url": "https://track.example/9400100000000000000000",
            "tracking_status": "label_created",
            "estimated_delivery": None,
            "signed_by": None,
            "bought_at": _LABELLED,
            "void_status": None,
            "events": [{"at": _LABELLED, "status": "label_created", "message": "Label created", "place": None}],
        }
    ],
    "links": {
        "hand_over": f"/v1/fulfilments/{FULFILMENT_ID}/hand-over",
        "reject": f"/v1/fulfilments/{FULFILMENT_ID}/reject",
        "split": f"/v1/fulfilments/{FULFILMENT_ID}/split",
        "short_ship": f"/v1/fulfilments/{FULFILMENT_ID}/short-ship",
        "move": f"/v1/fulfilments/{FULFILMENT_ID}/move",
        "label": f"/v1/fulfilments/{FULFILMENT_ID}/label",
        "evidence": f"/v1/fulfilments/{FULFILMENT_ID}/evidence",
    },
}


_PROMISE = {"first": "2024-05-10T09:14:05Z", "current": "2024-05-10T09:14:05Z", "standing": "within"}
ACCEPTED: dict[str, Any] = {
    "id": ORDER_ID,
    "number": "WB-100001",
    "status": "fulfilling",
    "waiting": _WAITING,
    "links": _LINKS,
}
ORDER_LIST: dict[str, Any] = {
    "items": [
        {
            "id": ORDER_ID,
            "number": "WB-100001",
            "channel": "webshop",
            "external_reference": "2024-10017",
            "status": "fulfilling",
            "waiting": _WAITING,
            "needs_attention": False,
            "customer_name": "Margaret Ellery",
            "customer_email": "margaret.ellery@example.com",
            "currency": "USD",
            "total": 7120,
            "promise": _PROMISE,
            "placed_at": _PLACED,
            "delivered_at": None,
            "closed_at": None,
        }
    ],
    "next_cursor": None,
}
ORDER: dict[str, Any] = {
    "id": ORDER_ID,
    "number": "WB-100001",
    "channel": "webshop",
    "external_reference": "2024-10017",
    "status": "fulfilling",
    "waiting": _WAITING,
    "needs_attention": False,
    "customer": {**ORDER_EXAMPLE["customer"], "phone": None},
    "shipping_address": {
        **ORDER_EXAMPLE["shipping_address"],
        "company": None,
        "street2": None,
        "phone": None,
    },
    "currency": "USD",
    "lines": [
        {
            **ORDER_EXAMPLE["lines"][0],
            "number": 1,
            "name": "Gooseneck kettle 0.9 l, matt black",
            "total": 6330,
            "parts": [],
        }
    ],
    "shipping_service": "standard",
    "shipping_charge": 790,
    "total": 7120,
    "credit": None,
    "origin": None,
    "linked_orders": [],
    "version": 1,
    "payment": _PAYMENT,
    "further_payments": [],
    "awaited_changes": [],
    "money": MONEY,
    "promise": _PROMISE,
    "routing": [
        "EDI: has everything; 1st by priority (priority 10).",
        "RNO: 2nd by priority (priority 20; EDI: priority 10).",
    ],
    "rule_set_id": None,
    "waits": [],
    "fulfilments": [_FULFILMENT_VIEW],
    "exceptions": [],
    "holds": [],
    "notifications": [
        {
            "kind": "confirmed",
            "status": "sent",
            "intended_at": "2024-05-02T09:14:06Z",
            "sent_at": "2024-05-02T09:14:06.300000Z",
        }
    ],
    "timeline": [
        {
            "at": _PLACED,
            "kind": "placed",
            "text": "The order was accepted from webshop.",
            "actor": "api:shop",
            "link": None,
        }
    ],
    "placed_at": _PLACED,
    "delivered_at": None,
    "closed_at": None,
    "links": _LINKS,
}
ANSWER: dict[str, Any] = {
    "order_id": ORDER_ID,
    "status": "cancelling",
    "waiting": "The order is being cancelled: labels, payment and stock are given back.",
}
