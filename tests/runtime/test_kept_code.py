"""The code of the workflow files is compiled once, whether or not Python may keep it on disk."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.kept_code import KeptCode, keep_workflow_code

PACKAGE = "kept_code_example"


@pytest.fixture
def module(tmp_path: Path) -> Iterator[Path]:
    """A package of one module, found through a `KeptCode` of its own."""
    folder = tmp_path / PACKAGE
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "story.py").write_text("WORD = 'first'\nSEEN = []\n", encoding="utf-8")
    finder = KeptCode(PACKAGE)
    sys.path.insert(0, str(tmp_path))
    sys.meta_path.insert(0, finder)
    yield folder / "story.py"
    sys.meta_path.remove(finder)
    sys.path.remove(str(tmp_path))
    forget()


def forget() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


def test_a_module_loaded_again_runs_the_same_code_on_new_state(module: Path) -> None:
    first = importlib.import_module(f"{PACKAGE}.story")
    first.SEEN.append(1)
    module.write_text("WORD = 'changed'\nSEEN = []\n", encoding="utf-8")
    forget()
    second = importlib.import_module(f"{PACKAGE}.story")
    assert second is not first
    assert second.SEEN == []
    assert second.WORD == "first"  # the file was not read again
    assert second.__file__ == str(module)
    module.unlink()
    forget()
    assert importlib.import_module(f"{PACKAGE}.story").WORD == "first"  # nor was it looked for


def test_other_packages_are_left_to_python() -> None:
    assert KeptCode(PACKAGE).find_spec("json", None) is None
    assert KeptCode(PACKAGE).find_spec(f"{PACKAGE}.nowhere", []) is None


def test_it_is_set_up_once() -> None:
    keep_workflow_code()
    keep_workflow_code()
    assert sum(isinstance(finder, KeptCode) for finder in sys.meta_path) == 1
