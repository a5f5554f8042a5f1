"""The books keep what was put down, in order, all or nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from integrations.sandbox.books import Books, UnknownObject


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    opened = Books(tmp_path / "books.sqlite3")
    yield opened
    opened.close()


def test_what_was_put_is_found_again_after_the_books_were_closed(tmp_path: Path) -> None:
    first = Books(tmp_path / "books.sqlite3")
    first.put("charge", "ch_1", {"id": "ch_1", "amount": 5, "metadata": {"order": "ö-1"}})
    first.close()

    second = Books(tmp_path / "books.sqlite3")
    assert second.get("charge", "ch_1") == {"id": "ch_1", "amount": 5, "metadata": {"order": "ö-1"}}
    second.close()


def test_changing_what_was_read_changes_nothing_until_it_is_put(books: Books) -> None:
    books.put("charge", "ch_1", {"amount": 5})
    charge = books.get("charge", "ch_1")
    assert charge is not None
    charge["amount"] = 6
    assert books.get("charge", "ch_1") == {"amount": 5}


def test_objects_are_found_by_their_fields_newest_first(books: Books) -> None:
    for number in range(3):
        books.put("charge", f"ch_{number}", {"n": number, "paid": number != 1, "gone": None})
    assert [found["n"] for found in books.find("charge", paid=True)] == [2, 0]
    assert [found["n"] for found in books.find("charge", gone=None, n=1)] == [1]
    assert [found["n"] for found in books.find("charge", never_set=None)] == [2, 1, 0]
    assert books.find("refund") == []


def test_putting_an_object_again_keeps_its_place(books: Books) -> None:
    books.put("charge", "ch_1", {"n": 1})
    books.put("charge", "ch_2", {"n": 2})
    books.put("charge", "ch_1", {"n": 11})
    assert [found["n"] for found in books.find("charge")] == [2, 11]


def test_a_list_goes_on_where_the_last_page_ended(books: Books) -> None:
    for number in range(5):
        books.put("charge", f"ch_{number}", {"id": f"ch_{number}"})
    first, more = books.list("charge", limit=2)
    assert ([obj["id"] for obj in first], more) == (["ch_4", "ch_3"], True)
    last, more = books.list("charge", limit=3, starting_after="ch_3")
    assert ([obj["id"] for obj in last], more) == (["ch_2", "ch_1", "ch_0"], False)
    newer, more = books.list("charge", limit=1, ending_before="ch_2")
    assert ([obj["id"] for obj in newer], more) == (["ch_3"], True)


def test_a_list_cannot_start_at_an_object_that_does_not_exist(books: Books) -> None:
    with pytest.raises(UnknownObject, match="ch_9"):
        books.list("charge", starting_after="ch_9")


def test_a_broken_transaction_leaves_no_trace(books: Books) -> None:
    books.put("charge", "ch_1", {"n": 1})
    with pytest.raises(RuntimeError), books.transaction():
        books.put("charge", "ch_1", {"n": 2})
        with books.transaction():
            books.put("charge", "ch_2", {"n": 3})
        raise RuntimeError
    assert books.get("charge", "ch_1") == {"n": 1}
    assert books.get("charge", "ch_2") is None


def test_what_is_due_comes_oldest_first_and_nothing_else(books: Books) -> None:
    for number, due in enumerate((5.0, 1.0, None, 9.0)):
        books.put("refund", f"re_{number}", {"n": number, "_due": due})
    assert [found["n"] for found in books.ripe("refund", "_due", 5.0)] == [0, 1]


def test_sums_are_kept_apart_by_currency(books: Books) -> None:
    for number, currency in enumerate(("eur", "usd", "eur")):
        books.put("charge", f"ch_{number}", {"amount": 10 + number, "currency": currency})
    assert books.sums("charge", "amount", by="currency") == {"eur": 22, "usd": 11}
    assert books.counts("charge", by="currency") == {"eur": 2, "usd": 1}


def test_a_field_name_that_is_none_is_refused(books: Books) -> None:
    with pytest.raises(ValueError, match="not a field name"):
        books.find("charge", **{"a') OR 1": 1})


@pytest.mark.parametrize("field", ["due_at", "_since", "_lapses_at", "_settles_at", "_refund_since", "_buying_until"])
def test_what_is_due_waits_no_longer_for_a_clock_that_was_set(books: Books, field: str) -> None:
    """A supplier's order too: one that was picked under a clock ten minutes ahead was delivered ten minutes late."""
    books.put("thing", "due", {"id": "due", field: 1000.5})
    books.put("thing", "done", {"id": "done", field: None})
    books.shift(-600)
    assert [books.get("thing", name) for name in ("due", "done")] == [
        {"id": "due", field: 400.5},
        {"id": "done", field: None},
    ]


def test_what_is_kept_of_settings_is_read_anew_when_they_change_or_a_change_is_taken_back(books: Books) -> None:
    def kept() -> object:
        return books.kept("greeting", lambda: books.setting("greeting"))

    books.set_setting("greeting", "hello")
    assert kept() == "hello"
    with pytest.raises(RuntimeError), books.transaction():
        books.set_setting("greeting", "good-bye")
        assert kept() == "good-bye"
        raise RuntimeError
    assert kept() == "hello"
    books.wipe()
    assert kept() is None


def test_what_a_kind_is_asked_by_is_found_by_an_index_of_its_own(books: Books) -> None:
    books.index("charge", "payment_intent")
    asked: list[str] = []
    books._db.set_trace_callback(asked.append)
    books.find("charge", payment_intent="pi_1")
    books.ripe("charge", "payment_intent", 1)
    books._db.set_trace_callback(None)
    plans = [books.execute(f"EXPLAIN QUERY PLAN {statement}")[0]["detail"] for statement in asked]
    assert len(plans) == 2
    assert all("USING INDEX charge_by_payment_intent (kind=? AND <expr>" in plan for plan in plans)


def test_a_kind_that_is_no_name_has_no_objects(books: Books) -> None:
    books.put("charge", "ch_1", {"n": 1})
    assert books.find("charge' OR '1") == []


def test_books_of_a_former_release_lose_the_indexes_for_all_kinds(tmp_path: Path) -> None:
    former = Books(tmp_path / "books.sqlite3")
    former.execute("CREATE INDEX objects_with_status ON objects (kind, json_extract(obj, '$.status'))")
    former.close()
    again = Books(tmp_path / "books.sqlite3")
    assert again.execute("SELECT name FROM sqlite_master WHERE name GLOB 'objects_with_*'") == []
    again.close()


def test_an_inner_transaction_that_fails_takes_back_only_its_own_part(books: Books) -> None:
    with books.transaction():
        books.put("charge", "ch_1", {"n": 1})
        with pytest.raises(RuntimeError), books.transaction():
            books.put("charge", "ch_2", {"n": 2})
            raise RuntimeError
        books.put("charge", "ch_3", {"n": 3})
    assert [found["n"] for found in books.find("charge")] == [3, 1]
