"""A test that cannot fail is a defect: here bugs are planted in a copy of the sources, and the tests must notice."""

from pathlib import Path

import pytest

from tests.mutants.mutants import QUICK, THOROUGH, Mutant, copy_house, judge, plant


def notices(folder: Path, *mutants: Mutant) -> None:
    """Plant the bugs, and see each of their tests fail, not merely break down."""
    house = copy_house(folder)
    for mutant in mutants:
        plant(house, mutant)
    tests = tuple(test for mutant in mutants for test in mutant.tests)
    verdict = judge(house, tests)
    assert verdict.code == 1, verdict.text
    assert [test for test in tests if f"FAILED {test}" not in verdict.text] == [], verdict.text


def test_planted_bugs_are_noticed(tmp_path: Path) -> None:
    notices(tmp_path, *QUICK)


@pytest.mark.fuzz
@pytest.mark.parametrize("mutant", (*QUICK, *THOROUGH), ids=lambda mutant: mutant.law)
def test_a_planted_bug_is_noticed(tmp_path: Path, mutant: Mutant) -> None:
    notices(tmp_path, mutant)


def test_every_planted_bug_still_has_its_place(tmp_path: Path) -> None:
    for number, mutant in enumerate((*QUICK, *THOROUGH)):
        plant(copy_file(mutant, tmp_path / str(number)), mutant)


def copy_file(mutant: Mutant, folder: Path) -> Path:
    """A folder with the one file that a bug is planted in."""
    path = folder / mutant.path
    path.parent.mkdir(parents=True)
    path.write_bytes((Path(__file__).parents[2] / mutant.path).read_bytes())
    return folder


@pytest.mark.fuzz
def test_without_a_bug_the_copy_passes(tmp_path: Path) -> None:
    every = tuple(dict.fromkeys(test for mutant in (*QUICK, *THOROUGH) for test in mutant.tests))
    verdict = judge(copy_house(tmp_path), every)
    assert verdict.code == 0, verdict.text
