"""What workflows ask of Temporal, and in which order: `python -m tests.workflows.fingerprint` writes it down anew.

A history replays only while the same code gives the same commands in the same order. For each function of
`workflows/` the fingerprint lists, in the order of the text, every call that is awaited or makes a command, with the
branches and loops around it. A reader of a difference sees what an order in flight would stumble over.
"""

import ast
import json
from collections.abc import Iterator
from pathlib import Path

from tests.street import ROOT

KEPT = Path(__file__).with_name("fingerprints.json")
_COMMANDS = frozenset({"asyncio.create_task", "workflow.upsert_search_attributes", "workflow.patched", "workflow.wait"})
_HANDLERS = ("workflow.run", "workflow.update", "workflow.signal", "workflow.query", "workflow.init")
_AROUND = (ast.If, ast.For, ast.While, ast.Try, ast.With, ast.AsyncWith, ast.ExceptHandler)

Fingerprint = dict[str, list[str]]


def fingerprints(folder: Path = ROOT / "workflows") -> Fingerprint:
    """Module and function -> its calls in order."""
    found: Fingerprint = {}
    # Gateways speak to Temporal from outside: they make no commands.
    for path in sorted(set(folder.rglob("*.py")) - set(folder.rglob("*gateway.py"))):
        module = path.relative_to(folder.parent).with_suffix("").as_posix().replace("/", ".")
        found |= dict(of_source(path.read_text(), module))
    return found


def of_source(source: str, module: str) -> Iterator[tuple[str, list[str]]]:
    """The functions of one module that ask anything."""
    for name, function in _functions(ast.parse(source), module):
        calls = [*_handler(function), *_calls(function.body, "")]
        if calls:
            yield name, calls


def differences(before: Fingerprint, now: Fingerprint) -> list[str]:
    """What has changed, a line for each function."""
    return [
        f"{name}\n    was: {before.get(name, 'absent')}\n    is:  {now.get(name, 'absent')}"
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]


def _functions(tree: ast.AST, prefix: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef):
            yield from _functions(node, f"{prefix}.{node.name}")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{prefix}.{node.name}", node
            yield from _functions(node, f"{prefix}.{node.name}")


def _handler(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    names = [ast.unparse(decorator) for decorator in function.decorator_list]
    return [f"@{name}" for name in names if name.startswith(_HANDLERS) or name.endswith(".validator")]


def _calls(nodes: list[ast.stmt], around: str) -> Iterator[str]:
    for node in nodes:
        yield from _calls_in(node, around)


def _calls_in(node: ast.AST, around: str) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
        return  # listed under its own name, or no command
    if isinstance(node, ast.Await) and isinstance(node.value, ast.Call):
        yield from _calls_in_arguments(node.value, around)
        yield f"{around}await {_called(node.value)}"
        return
    if isinstance(node, ast.Call) and ast.unparse(node.func) in _COMMANDS:
        yield from _calls_in_arguments(node, around)
        yield f"{around}{_called(node)}"
        return
    inner = f"{around}{type(node).__name__.lower()} " if isinstance(node, _AROUND) else around
    for child in ast.iter_child_nodes(node):
        yield from _calls_in(child, inner)


def _calls_in_arguments(call: ast.Call, around: str) -> Iterator[str]:
    for argument in (*call.args, *(keyword.value for keyword in call.keywords)):
        yield from _calls_in(argument, around)


def _called(call: ast.Call) -> str:
    """The name of what is called, and of the activity that it is given, if it is."""
    given = [ast.unparse(argument) for argument in call.args[:1] if isinstance(argument, ast.Attribute)]
    activity = [name for name in given if name[0].isupper()]
    return f"{ast.unparse(call.func)}({', '.join(activity)})"


if __name__ == "__main__":
    KEPT.write_text(json.dumps(fingerprints(), indent=1) + "\n")
