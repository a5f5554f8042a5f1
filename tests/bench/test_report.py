"""The table and the last line."""

import json
from dataclasses import replace

from rich.console import Console

from bench.report import Cpu, Holding, Measures, table

GOOD = Measures(
    events_per_order=52,
    executions_per_order=1.0,
    orders_per_second=15.14,
    floor_per_second=36.9,
    cpu=Cpu(temporal=45.2, worker=40, web=12, postgres=15, sandbox=20),
    accept_p50_ms=12.04,
    accept_p99_ms=40,
    start_p50_ms=6,
    worker_mb=180.4,
    list_p50_ms=9,
    search_p50_ms=7,
    stack_mb=420,
    holding=Holding(
        reservations_per_second=250.04, pg_floor=400, hot_sku_per_second=120, hot_sku_floor=200, route_ms=11.12
    ),
)


def verdicts(measures: Measures) -> dict[str, bool]:
    return {row.measure: row.is_met for row in measures.rows if row.is_met is not None}


def test_the_last_line_has_every_measure_rounded() -> None:
    assert json.loads(GOOD.line) == {
        "events_per_order": 52,
        "executions_per_order": 1,
        "orders_per_second": 15.1,
        "floor_per_second": 36.9,
        "ratio": 0.41,
        "cpu_ms_per_order": {"total": 132, "temporal": 45, "worker": 40, "web": 12, "postgres": 15, "sandbox": 20},
        "accept_p50_ms": 12.0,
        "accept_p99_ms": 40,
        "start_p50_ms": 6,
        "worker_mb": 180,
        "list_p50_ms": 9,
        "search_p50_ms": 7,
        "stack_mb": 420,
        "reservations_per_second": 250.0,
        "pg_floor": 400,
        "hot_sku_per_second": 120,
        "hot_sku_floor": 200,
        "route_ms": 11.1,
    }


def test_the_mail_server_counts_as_sandbox() -> None:
    used = {"temporal": 3.0, "worker": 2.0, "web": 1.0, "postgres": 1.0, "sandbox": 1.0, "mail": 0.5}
    assert Cpu.of(used, orders=10) == Cpu(temporal=300, worker=200, web=100, postgres=100, sandbox=150)
    assert Cpu.of(used, orders=10).ours == 700


def test_a_good_run_meets_every_goal() -> None:
    assert all(verdicts(GOOD).values())


def test_each_goal_can_be_missed() -> None:
    poor = (
        replace(GOOD, events_per_order=61),
        replace(GOOD, executions_per_order=1.5),
        replace(GOOD, orders_per_second=14),
        replace(GOOD, cpu=replace(GOOD.cpu, worker=100)),
        replace(GOOD, accept_p50_ms=16),
        replace(GOOD, list_p50_ms=15.1),
        replace(GOOD, search_p50_ms=10.1),
        replace(GOOD, holding=replace(GOOD.holding, reservations_per_second=199)),
        replace(GOOD, holding=replace(GOOD.holding, hot_sku_per_second=99)),
    )
    missed = [[name for name, met in verdicts(measures).items() if not met] for measures in poor]
    assert [len(names) for names in missed] == [1] * len(poor)
    assert len({name for names in missed for name in names}) == len(poor) == len(verdicts(GOOD))


def test_the_table_marks_what_was_missed() -> None:
    console = Console(width=120, record=True)
    with console.capture() as capture:
        console.print(table(replace(GOOD, events_per_order=61).rows))
    lines = capture.get().splitlines()
    assert [line for line in lines if "missed" in line] == [line for line in lines if "history events" in line]
