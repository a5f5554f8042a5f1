"""The verdict, as a page and as a line."""

import json
from dataclasses import replace

from drill.page import render
from drill.run import Drill
from drill.settings import Settings
from drill.verdict import Verdict, reach
from tests.drill.healthy import at, healthy, with_table


def verdict(*, broken: bool = False) -> Verdict:
    case = healthy()
    if broken:
        rows = [dict(row) for row in case.books.tables["payments"]]
        rows[0]["captured"] = 5
        case = with_table(case, "payments", rows)
    drill = Drill(Settings(seed=7, orders=3), [each.fault for each in case.injected], began=at(0))
    drill.lives = list(case.lives.values())
    drill.injected = list(case.injected)
    drill.received = case.received
    drill.books = case.books
    drill.settled_at = at(42)
    drill.memory = [(0.0, 700.0), (5.0, 720.0)]
    return reach(drill)


def test_the_last_line_is_json() -> None:
    line = json.loads(verdict().line)
    assert line == {
        "seed": 7,
        "orders": 3,
        "faults": 1,
        "lasted_s": 42,
        "moved_again_s": [2.0, 2.0],
        "twice": 0,
        "memory_mb": [700, 720, 720],
        "findings": 0,
        "broken": 0,
        "holds": True,
    }
    assert json.loads(verdict(broken=True).line) == {**line, "broken": 1, "holds": False}


def test_what_was_found_beside_the_laws_is_told_and_breaks_nothing() -> None:
    found = verdict()
    found.drill.findings.append("postgres answered nobody for <30 s>")
    assert found.holds
    assert json.loads(found.line)["findings"] == 1
    assert "postgres answered nobody for &lt;30 s&gt;" in render(found)


def test_an_order_that_was_never_accepted_is_a_breach() -> None:
    drill = verdict().drill
    drill.lives[0].id = ""
    assert not reach(replace(drill)).holds


def test_the_page_shows_everything_and_needs_no_network() -> None:
    page = render(verdict())
    assert "Everything holds" in page
    assert page.count("<svg") == 3
    assert "http" not in page
    assert "kill web-1" in page


def test_a_breach_is_told_with_the_orders_timeline_and_the_faults_around() -> None:
    broken = verdict(broken=True)
    page = render(broken)
    assert "1 law was broken" in page
    assert "our record says (5, 0)" in page
    assert "The order was &lt;accepted&gt;." in page
    (told,) = broken.told()
    assert told.number == "WB-1"
    assert any("kill web-1" in fault for fault in told.faults)
    assert any("The order was <accepted>." in line for line in told.timeline)
