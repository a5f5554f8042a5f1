"""Northgate's pages, each with all that is used on it. When the portal changes, this is what has to follow."""

from domain.portals import PortalStatus
from integrations.portals.desk import Manners
from integrations.portals.marks import Field, Sheet, button, choice, facts, heading, link, table

USER, PASSWORD, CODE = Field("User name"), Field("Password"), Field("Verification code")
SIGN_IN, VERIFY = button("Sign in"), button("Verify")
LOGIN = Sheet("log in", heading("Sign in"), (USER, PASSWORD, SIGN_IN))
SECOND = Sheet("second factor", heading("Two-step verification"), (CODE, VERIFY))

SEARCH, SEARCH_NOW, LIST = Field("Search by reference"), button("Search"), table("Orders")
ORDERS = Sheet("search", heading("Your orders"), (SEARCH, SEARCH_NOW, LIST))

REFERENCE, ITEMS_ON, MORE = Field("Your reference"), button("Continue"), button("Add rows")
ITEM_1, QUANTITY_1 = Field("Item 1"), Field("Quantity 1")
ITEMS = Sheet("items", heading("New order: items"), (REFERENCE, ITEM_1, QUANTITY_1, MORE, ITEMS_ON))

NAME, COMPANY, STREET, STREET_2 = Field("Name"), Field("Company"), Field("Street"), Field("Address line 2")
POSTAL_CODE, CITY, STATE = Field("Postal code"), Field("City"), Field("State or region")
COUNTRY, PHONE, DELIVERY_ON = Field("Country"), Field("Phone"), button("Continue")
DELIVERY = Sheet(
    "delivery address",
    heading("New order: delivery address"),
    (NAME, COMPANY, STREET, STREET_2, POSTAL_CODE, CITY, STATE, COUNTRY, PHONE, DELIVERY_ON),
)

SERVICES = {"standard": choice("Standard delivery"), "express": choice("Express delivery")}
INSTRUCTIONS, OPTIONS_ON = Field("Instructions"), button("Continue")
OPTIONS = Sheet(
    "delivery options", heading("New order: delivery options"), (*SERVICES.values(), INSTRUCTIONS, OPTIONS_ON)
)

ABOUT, ADDRESS, GOODS, PLACE = facts("Order"), facts("Delivery address"), table("Items"), button("Place order")
SUMMARY = Sheet("summary", heading("Check your order"), (ABOUT, ADDRESS, GOODS, PLACE))

CONFIRMATION = facts("Confirmation")
THANKS = Sheet("confirmation", heading("Thank you for your order"), (CONFIRMATION,))

NOTE, CANCEL, CANCEL_NOW = link("Delivery note (PDF)"), link("Cancel order"), button("Yes, cancel this order")


def order_sheet(number: str) -> Sheet:
    """The page of one order."""
    return Sheet("order", heading(f"Order {number}"), (ABOUT, ADDRESS, GOODS))


def cancel_sheet(number: str) -> Sheet:
    """The page that asks once more."""
    return Sheet("cancel", heading(f"Cancel order {number}?"), (CANCEL_NOW,))


MANNERS = Manners(login=LOGIN, down=(heading("Down for maintenance"),), closers=("Close",))
STATUSES = {status.value: status for status in PortalStatus}
"""Northgate's words happen to be ours."""
