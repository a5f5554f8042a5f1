"""What is asked of the lists."""

from datetime import UTC, datetime

from bench.archive import Sample
from bench.looks import Looked, list_looks, search_looks

NOW = datetime(2024, 2, 29, 12, tzinfo=UTC)
SAMPLE = Sample(("WB-100001",), ("A-00000001",), ("mary.smith7@example.com",), ("Kaberlin",))


def test_every_kind_of_question_is_asked_as_often_as_any_other() -> None:
    for looks in (list_looks(SAMPLE, now=NOW, count=132), search_looks(SAMPLE, count=132)):
        kinds = [look.kind for look in looks]
        assert len(set(kinds)) >= 11
        assert {kinds.count(kind) for kind in kinds} in ({11}, {12})


def test_the_same_questions_are_asked_every_time() -> None:
    assert search_looks(SAMPLE, count=50) == search_looks(SAMPLE, count=50)
    assert list_looks(SAMPLE, now=NOW, count=50) == list_looks(SAMPLE, now=NOW, count=50)


def test_the_median_is_over_all_questions_and_kinds_are_ranked() -> None:
    looked = Looked({"quick": [1.0, 2.0, 3.0], "slow": [9.0, 8.0]})
    assert looked.p50 == 3.0
    assert list(looked.by_kind.items()) == [("slow", 8.0), ("quick", 2.0)]
