"""Editions of the order workflow: what an order asks of Temporal, and in which order, follows the one it began with."""

from enum import IntEnum


class Edition(IntEnum):
    """One edition; each has all that those before it have.

    A worker takes no order of an edition that it does not know: it cannot read what such a workflow starts with, so its
    first task fails until a newer worker has it.
    """

    FIRST = 1
    RECORDS_FIRST = 2
    """what an order is found by in Temporal is written after its record, and its end together with it"""
    SHARES = 3
    """each parcel's share is captured as it leaves, where the payment's provider can do that"""
    WITHIN_TASKS = 4
    """e-mails go out within workflow tasks if they can, and exceptions keep their ids where a task is done anew"""


NEWEST = max(Edition)
"""under which an order begins now"""
