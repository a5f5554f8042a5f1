"""Which language a customer reads, and how amounts, dates and places are written in it."""

import tomllib
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from domain.exceptions import Action, ExceptionKind
from domain.money import MINOR_DIGITS, Money
from domain.orders import ENDED, Address, OrderStatus
from domain.shipments import TrackingStatus
from domain.waiting import Party
from templates.language import Format, Language, is_web_url, language_of, one_line
from templates.pages import Stage, StageState

WORDS = Path(__file__).parents[2] / "templates" / "words"
NOON = datetime(2025, 11, 22, 12, 5, tzinfo=UTC)


def words(language: Language) -> dict[str, Any]:
    return tomllib.loads((WORDS / f"{language.folder}.toml").read_text("utf-8"))


@pytest.mark.parametrize("locale", ["zh", "zh-CN", "zh_CN", "ZH-hans", "zh-Hans-SG", "zh-SG", "zh-Hans-HK"])
def test_readers_of_simplified_chinese_get_chinese(locale: str) -> None:
    assert language_of(locale) is Language.CHINESE


@pytest.mark.parametrize("locale", ["en", "en-GB", "de-DE", "fr", "", "zh-TW", "zh-HK", "zh-Hant", "zh-Hant-CN", "zhx"])
def test_everybody_else_gets_english(locale: str) -> None:
    assert language_of(locale) is Language.ENGLISH


def test_amounts_and_dates_follow_the_region_even_where_the_words_are_english() -> None:
    german, american = Format.for_reader("de-DE"), Format.for_reader("en-US")
    assert german.money(Money(123450, "EUR")) == "1.234,50\N{NO-BREAK SPACE}€"
    assert american.money(Money(123450, "EUR")) == "€1,234.50"
    assert german.date(NOON) == "22 November 2025"
    assert american.date(NOON) == "November 22, 2025"
    assert Format.for_reader("zh-CN").date(NOON) == "2025年11月22日"


@pytest.mark.parametrize("locale", ["en", "zh-CN"])
@pytest.mark.parametrize(
    ("currency", "written"), [("JPY", "1,234"), ("KWD", "1.234"), ("AFN", "12.34"), ("USD", "12.34")]
)
def test_amounts_have_the_digits_of_their_currency(locale: str, currency: str, written: str) -> None:
    assert Format.for_reader(locale).money(Money(1234, currency)).endswith(written)


def test_every_currency_that_an_order_can_have_can_be_written() -> None:
    form = Format.for_reader("zh")
    assert all(form.money(Money(-1, currency)).startswith("-") for currency in MINOR_DIGITS)


def test_moments_are_told_in_utc_and_say_so() -> None:
    beijing = NOON.astimezone(timezone(timedelta(hours=8)))
    assert Format.for_reader("en").moment(beijing) == "22 Nov 2025, 12:05 UTC"
    assert Format.for_reader("zh").moment(beijing) == "2025年11月22日 12:05 UTC"


def test_a_moment_without_a_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        Format.for_reader("en").moment(NOON.replace(tzinfo=None))


@pytest.mark.parametrize(
    ("address", "lines"),
    [
        (Address("1 Main St", "Austin", "78701", "US", state="TX"), ["1 Main St", "Austin, TX 78701", "United States"]),
        (Address("1 High St", "Leeds", "LS1 1AA", "GB"), ["1 High St", "Leeds", "LS1 1AA", "United Kingdom"]),
        (Address("Hauptstr. 1", "Köln", "50667", "DE", name="Eva"), ["Eva", "Hauptstr. 1", "50667 Köln", "Germany"]),
        (
            Address("中山路 88 号", "青岛市", "266001", "CN", name="王小明", state="山东省"),
            ["China 266001", "山东省青岛市中山路 88 号", "王小明"],
        ),
    ],
)
def test_an_address_is_written_as_its_country_does(address: Address, lines: list[str]) -> None:
    assert Format.for_reader("en").address(address) == lines


def test_a_country_is_named_in_the_readers_language() -> None:
    assert Format.for_reader("zh").address(Address("1 Main St", "Austin", "78701", "US"))[-1] == "美国"


def test_a_name_cannot_add_lines() -> None:
    assert one_line("Ada\r\nBcc: all@example.com\x00\u2028x") == "Ada Bcc: all@example.com x"


@pytest.mark.parametrize("url", [None, "", "javascript:alert(1)", "data:text/html,x", "//evil.example"])
def test_only_web_addresses_become_links(url: str | None) -> None:
    assert not is_web_url(url)


def names(table: dict[str, Any], prefix: str = "") -> set[str]:
    found: set[str] = set()
    for name, value in table.items():
        found |= names(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name}
    return found


def test_both_languages_have_the_same_words() -> None:
    english, chinese = names(words(Language.ENGLISH)), names(words(Language.CHINESE))
    # Operators read English, and what happened to an order is written in English in the first place.
    assert {name for name in english ^ chinese if not name.startswith(("operator.", "page.entry."))} == set()


@pytest.mark.parametrize("language", Language)
def test_everything_that_the_domain_can_say_has_words(language: Language) -> None:
    page = words(language)["page"]
    assert set(page["headline"]) == {status.value for status in OrderStatus}
    assert set(page["closing"]) == {status.value for status in ENDED}
    assert set(page["stage"]) == {stage.value for stage in Stage}
    assert set(page["tracking_status"]) == {status.value for status in TrackingStatus}
    assert set(page["waiting"]["party"]) == {party.value for party in Party} - {Party.NOBODY.value}
    assert {state.value for state in StageState} <= set(page)


def test_every_exception_and_every_decision_has_words_for_the_operator() -> None:
    operator = words(Language.ENGLISH)["operator"]
    assert set(operator["kind"]) == {kind.value for kind in ExceptionKind}
    assert set(operator["action"]) == {action.value for action in Action}


@pytest.mark.parametrize("language", Language)
def test_no_word_is_named_like_a_method_of_its_table(language: Language) -> None:
    """In a template `words.page.items` would be the method, not the word."""
    assert not {part for name in names(words(language)) for part in name.split(".")} & set(dir({}))
