"""The workflow files, found and compiled once.

The sandbox loads them anew for every workflow, through Python's own import: for every single order that would look for
each of them on the disk, and compile it where there is no `__pycache__`, as under PYTHONDONTWRITEBYTECODE or on a file
system that is read-only.
"""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from types import CodeType, ModuleType

SANDBOXED = "workflows"


class KeptCode(MetaPathFinder):
    """Finds the modules of one package as Python does, once, and keeps their code."""

    def __init__(self, package: str) -> None:
        self._package = package
        self._found: dict[str, ModuleSpec] = {}
        self._codes: dict[str, CodeType] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Python's own spec, its loader replaced; None for other packages."""
        if fullname.partition(".")[0] != self._package:
            return None
        found = self._found.get(fullname) or PathFinder.find_spec(fullname, path, target)
        if found is None or type(found.loader) is not SourceFileLoader:
            return found
        self._found[fullname] = found
        # A spec of its own for each: importing writes into it, and workflows are loaded in several threads.
        loader = _Loader(found.loader.name, found.loader.path, self._codes)
        within = found.submodule_search_locations
        return spec_from_file_location(
            fullname, found.origin, loader=loader, submodule_search_locations=None if within is None else [*within]
        )


class _Loader(SourceFileLoader):
    def __init__(self, name: str, path: str, codes: dict[str, CodeType]) -> None:
        super().__init__(name, path)
        self._codes = codes

    def get_code(self, fullname: str) -> CodeType | None:
        kept = self._codes.get(fullname)
        if kept is None:
            kept = super().get_code(fullname)
            if kept is not None:
                self._codes[fullname] = kept
        return kept


def keep_workflow_code() -> None:
    """Have this process keep the code of the workflow files from now on. Harmless to repeat."""
    if not any(isinstance(finder, KeptCode) for finder in sys.meta_path):
        sys.meta_path.insert(0, KeptCode(SANDBOXED))
