"""What must be on screen, told as a person would: by roles and labels, never by the page's code."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Literal

from playwright.async_api import Locator, Page

Role = Literal["heading", "button", "link", "radio", "checkbox", "table", "region", "alert"]


@dataclass(frozen=True)
class Mark(ABC):
    """One thing on a page."""

    name: str

    @abstractmethod
    def on(self, page: Page) -> Locator:
        """Where it is."""

    def __str__(self) -> str:
        return f'{type(self).__name__.lower()} "{self.name}"'


@dataclass(frozen=True)
class ByRole(Mark):
    """Something with an accessible role and name (WAI-ARIA), whatever it is made of."""

    role: Role

    def on(self, page: Page) -> Locator:
        """See the base class."""
        return page.get_by_role(self.role, name=self.name, exact=True)

    def __str__(self) -> str:
        return f'{self.role} "{self.name}"'


@dataclass(frozen=True)
class Field(Mark):
    """Something to fill in or choose from, by its label."""

    def on(self, page: Page) -> Locator:
        """See the base class."""
        return page.get_by_label(self.name, exact=True)


def heading(name: str) -> ByRole:
    """A heading."""
    return ByRole(name, "heading")


def button(name: str) -> ByRole:
    """A button."""
    return ByRole(name, "button")


def link(name: str) -> ByRole:
    """A link."""
    return ByRole(name, "link")


def choice(name: str) -> ByRole:
    """One of several radio buttons."""
    return ByRole(name, "radio")


def table(name: str) -> ByRole:
    """A table with a caption or label."""
    return ByRole(name, "table")


def facts(name: str) -> ByRole:
    """A section with a label that holds a list of terms and their values."""
    return ByRole(name, "region")


@dataclass(frozen=True)
class Sheet:
    """One page of the portal: the step's name, the heading by which it is known, and all that is used on it."""

    step: str
    title: Mark
    marks: tuple[Mark, ...] = field(default=())
