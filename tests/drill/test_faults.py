"""The schedule of faults: drawn from the seed, the same every time, narrowed by words."""

from drill.faults import (
    CLOCK_OFF,
    LONGEST_FREEZE,
    MOST_UPGRADES,
    PORTAL_WIRES,
    PORTAL_WORKERS,
    PROCESSES,
    WIRES,
    WORDS,
    Kind,
    schedule,
)


def test_the_same_seed_draws_the_same_faults_and_another_seed_draws_others() -> None:
    assert schedule(7, seconds=300) == schedule(7, seconds=300)
    assert schedule(7, seconds=300) != schedule(8, seconds=300)


def test_every_kind_of_fault_comes_within_the_default_time() -> None:
    for seed in range(20):
        assert {fault.kind for fault in schedule(seed, seconds=120)} == set(Kind) - {Kind.BROWSER}
        assert {fault.kind for fault in schedule(seed, seconds=120, supplied=True)} == set(Kind)


def test_portal_workers_and_their_browsers_are_among_what_is_killed_where_there_are_suppliers() -> None:
    drawn = [fault for seed in range(30) for fault in schedule(seed, seconds=300, supplied=True)]
    struck = {target for fault in drawn if fault.kind is Kind.KILL for target in fault.targets}
    assert struck == {*PROCESSES, *PORTAL_WORKERS}
    assert {fault.targets[0] for fault in drawn if fault.kind is Kind.BROWSER} == set(PORTAL_WORKERS)
    assert {fault.targets for fault in drawn if "links" in fault.words} == {*WIRES, *PORTAL_WIRES}
    assert {fault.vendor for fault in drawn if fault.kind is Kind.PROVIDERS} == {"stripe", "easypost", "portal"}
    without = [fault for seed in range(30) for fault in schedule(seed, seconds=300)]
    assert not any("portal" in fault.told for fault in without)


def test_faults_begin_in_order_and_within_the_time() -> None:
    moments = [fault.at for fault in schedule(3, seconds=100)]
    assert moments == sorted(moments)
    assert 0 < moments[0] < 10
    assert moments[-1] < 100


def test_a_word_narrows_the_faults_to_those_that_it_names() -> None:
    named = schedule(5, seconds=600, wanted=frozenset({"worker", "postgres"}))
    assert {fault.kind for fault in named} == {Kind.KILL, Kind.FREEZE}
    assert all({"worker", "postgres"} & {target.partition("-")[0] for target in fault.targets} for fault in named)
    for word in sorted(WORDS):
        drawn = schedule(5, seconds=60, wanted=frozenset({word}), supplied=True)
        assert all(word in fault.words for fault in drawn)


def test_every_word_names_some_fault_but_upgrades_come_a_few_times_only() -> None:
    for word in sorted(WORDS):
        assert schedule(1, seconds=120, wanted=frozenset({word}), supplied=True)
    assert len(schedule(1, seconds=3600, wanted=frozenset({"upgrade"}))) == MOST_UPGRADES


def test_faults_are_as_long_and_as_far_off_as_promised() -> None:
    drawn = [fault for seed in range(30) for fault in schedule(seed, seconds=300)]
    freezes = [fault.seconds for fault in drawn if fault.kind is Kind.FREEZE]
    assert 1 <= min(freezes) < 3
    assert 27 < max(freezes) <= LONGEST_FREEZE
    assert {fault.ahead for fault in drawn if fault.kind is Kind.CLOCK} == {CLOCK_OFF, -CLOCK_OFF}
    assert {len(fault.targets) for fault in drawn if fault.kind is Kind.KILL} == {1, 2, 3}
    assert {fault.targets for fault in drawn if "links" in fault.words} == set(WIRES)


def test_a_fault_is_told_in_words() -> None:
    told = " ".join(fault.told for fault in schedule(2, seconds=120))
    assert "to a build with another workflow" in told
    assert "the disk of the database's log is full" in told
    assert "{" not in told.replace("{'", "")
