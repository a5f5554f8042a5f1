"""Why a step of a workflow was not made, as its caller is told."""

from dataclasses import dataclass

from domain.errors import MoreThanSent, NotEnoughUnits, WaybillError


@dataclass(frozen=True)
class Refusal:
    """Why a step was not made: the error's code and text, its field, and what is wrong where."""

    code: str
    text: str
    field: str | None = None
    faults: tuple[tuple[str, str], ...] = ()


def refusal_of(error: WaybillError) -> Refusal:
    """An error as an answer, which crosses Temporal."""
    return Refusal(error.code, error.detail, error.field, _faults(error))


def _faults(error: WaybillError) -> tuple[tuple[str, str], ...]:
    if isinstance(error, NotEnoughUnits):
        return tuple((f"lines[{index}]", text) for index, text in error.lines)
    return error.faults if isinstance(error, MoreThanSent) else ()
