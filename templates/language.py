"""Which of our languages a reader gets, and how amounts, dates and places are written for them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_datetime
from babel.numbers import parse_pattern

from domain.money import MINOR_DIGITS, Money
from domain.orders import Address

_TRADITIONAL_REGIONS = frozenset({"tw", "hk", "mo"})
_STATE_AFTER_CITY = frozenset({"US", "CA", "AU", "BR", "IN", "MX"})
_POSTCODE_LAST = frozenset({"GB", "IE", "SG", "ZA"})


class Language(StrEnum):
    """The languages that texts exist in; the value is the tag of an HTML page."""

    ENGLISH = "en"
    CHINESE = "zh-Hans"

    @property
    def folder(self) -> str:
        """The name under which the texts of this language are kept."""
        return self.value.split("-")[0]


def language_of(locale: str) -> Language:
    """The language for a BCP 47 tag: Simplified Chinese for `zh`, `zh-CN`, `zh-Hans-*`, else English.

    Traditional Chinese (`zh-Hant`, `zh-TW`, `zh-HK`, `zh-MO`) gets English: its readers have words and a script of
    their own, which a mechanical conversion of the simplified text would get wrong.
    """
    first, *rest = _subtags(locale)
    if first != "zh" or "hant" in rest:
        return Language.ENGLISH
    if "hans" not in rest and _TRADITIONAL_REGIONS.intersection(rest):
        return Language.ENGLISH
    return Language.CHINESE


def one_line(text: str) -> str:
    """``text`` without line breaks and control characters, so that a name cannot add lines to an e-mail."""
    line = " ".join(text.split())
    return line if line.isprintable() else "".join(c for c in line if c.isprintable() or c in "\u200c\u200d")


def is_web_url(url: str | None) -> bool:
    """Whether ``url`` may become a link: carriers send what they like, and `javascript:` must not be clickable."""
    return url is not None and url.startswith(("https://", "http://"))


@dataclass(frozen=True)
class Format:
    """Writes amounts, dates and places in ``language``, with the habits of the reader's region where it is known."""

    language: Language
    locale: Locale

    @classmethod
    def for_reader(cls, locale: str) -> "Format":
        """The format for a reader's BCP 47 tag: `de-DE` gives English words with dates and amounts as in Germany."""
        language = language_of(locale)
        if language is Language.CHINESE:
            return cls(language, Locale.parse("zh_Hans"))
        return cls(language, _english(_subtags(locale)))

    @property
    def tag(self) -> str:
        """The BCP 47 tag with which a browser formats alike."""
        return str(self.locale).replace("_", "-")

    def money(self, money: Money) -> str:
        """An amount with its currency's sign and the digits of ISO 4217 (CLDR drops some that prices have)."""
        return _written(money, self.locale)

    def date(self, at: datetime) -> str:
        """The day of an instant, in UTC, written out."""
        return format_date(_utc(at), "long", locale=self.locale)

    def moment(self, at: datetime) -> str:
        """An instant to the minute, in UTC and saying so."""
        if self.language is Language.CHINESE:
            return format_datetime(_utc(at), "y年M月d日 HH:mm 'UTC'", locale=self.locale)
        return format_datetime(_utc(at), "d MMM y, HH:mm 'UTC'", locale=self.locale)

    def address(self, address: Address) -> list[str]:
        """The lines of a postal address with the country's name, in the order usual in the country."""
        country = self.locale.territories.get(address.country, address.country)
        if _is_chinese(address.street1 + address.city):
            place = f"{address.state or ''}{address.city}{address.street1}{address.street2 or ''}"
            lines = [f"{country} {address.postal_code}", place, address.company, address.name]
        else:
            streets = [address.street1, address.street2]
            lines = [address.name, address.company, *streets, *_locality(address), country]
        return [one_line(line) for line in lines if line]


# An e-mail says each amount twice, and three of an order's say the same.
@lru_cache(maxsize=1024)
def _written(money: Money, locale: Locale) -> str:
    digits = MINOR_DIGITS[money.currency]
    pattern = parse_pattern(locale.currency_formats["standard"].pattern)
    pattern.frac_prec = (digits, digits)
    amount = Decimal(money.minor).scaleb(-digits)
    written: str = pattern.apply(amount, locale, currency=money.currency, currency_digits=False)
    return written


def _subtags(locale: str) -> list[str]:
    return locale.replace("_", "-").lower().split("-")


def _english(subtags: list[str]) -> Locale:
    for region in (tag.upper() for tag in subtags[1:] if len(tag) == 2):
        try:
            return Locale.parse(f"en_{region}")
        except (UnknownLocaleError, ValueError):
            continue
    return Locale.parse("en")


def _utc(at: datetime) -> datetime:
    if at.utcoffset() is None:
        raise ValueError(f"{at} has no time zone: instants must be aware")
    return at.astimezone(UTC)


def _locality(address: Address) -> list[str]:
    state = address.state or ""
    if address.country in _STATE_AFTER_CITY:
        return [f"{address.city}, {state} {address.postal_code}" if state else f"{address.city} {address.postal_code}"]
    if address.country in _POSTCODE_LAST:
        return [address.city, address.postal_code]
    return [f"{address.postal_code} {address.city}", state]


def _is_chinese(text: str) -> bool:
    return any("\u4e00" <= c <= "\u9fff" for c in text)


def seconds(duration: timedelta) -> int:
    """A duration in whole seconds."""
    return int(duration.total_seconds())
