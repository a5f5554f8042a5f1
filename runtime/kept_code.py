"""The workflow files, compiled once.

The sandbox loads them anew for every workflow, through Python's own import. Where that finds no `__pycache__`, as under
PYTHONDONTWRITEBYTECODE or on a file system that is read-only, it would compile them for every single order.
"""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType

SANDBOXED = "workflows"


class KeptCode(MetaPathFinder):
    """Finds the modules of one package as Python does, and keeps their code."""

    def __init__(self, package: str) -> None:
        self._package = package
        self._codes: dict[str, CodeType] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Python's own spec, its loader replaced; None for other packages."""
        if fullname.partition(".")[0] != self._package:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and type(spec.loader) is SourceFileLoader:
            spec.loader = _Loader(spec.loader.name, spec.loader.path, self._codes)
        return spec


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
