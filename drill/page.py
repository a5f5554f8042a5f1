"""The verdict as one HTML file: tables and charts, nothing from the network."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape
from pathlib import Path

from drill.board import figures
from drill.verdict import Told, Verdict, seconds

WIDTH, HEIGHT, LEFT, FOOT = 860, 220, 46, 22
COLOURS = {
    "delivered": "#2f855a",
    "returned": "#805ad5",
    "cancelled": "#718096",
    "expired": "#a0aec0",
    "open": "#3182ce",
}
STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:900px;margin:2rem auto;padding:0 1rem;color:#1a202c;background:#fff}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse;width:100%}
td,th{text-align:left;padding:.2rem .8rem .2rem 0;vertical-align:top;border-bottom:1px solid #e2e8f0}
.holds{color:#276749}.broken{color:#c53030;font-weight:600}pre{background:#f7fafc;padding:.6rem;overflow-x:auto}
svg{width:100%;height:auto}text{font:11px system-ui,sans-serif;fill:#4a5568}
@media(prefers-color-scheme:dark){body{color:#e2e8f0;background:#171923}td,th{border-color:#2d3748}pre{background:#2d3748}
text{fill:#a0aec0}.holds{color:#68d391}.broken{color:#fc8181}}
"""


def write_page(verdict: Verdict, path: Path) -> None:
    """Write the page."""
    path.write_text(render(verdict), encoding="utf-8")


def render(verdict: Verdict) -> str:
    """The page as text."""
    count = f"{verdict.broken} law was" if verdict.broken == 1 else f"{verdict.broken} laws were"
    title = "Everything holds" if verdict.holds else f"{count} broken"
    parts = [
        f"<h1 class='{'holds' if verdict.holds else 'broken'}'>{title}</h1>",
        _table(figures(verdict).items()),
        _findings(verdict.drill.findings),
        "<h2>Laws</h2>" + _laws(verdict),
        "".join(_breach(told) for told in verdict.told()),
        "<h2>Orders over time, and the faults</h2>" + _orders_chart(verdict),
        "<h2>From a fault's end to the first order that moved</h2>" + _recovery_chart(verdict),
        "<h2>Memory of the whole stack</h2>" + _memory_chart(verdict),
        "<h2>Faults</h2>" + _faults(verdict),
    ]
    head = f"<meta charset='utf-8'><title>Drill {verdict.drill.settings.seed}</title><style>{STYLE}</style>"
    return f"<!doctype html><html lang='en'><head>{head}</head><body>{''.join(parts)}</body></html>\n"


def _table(rows: Iterable[tuple[str, str]]) -> str:
    return "<table>" + "".join(f"<tr><th>{escape(a)}</th><td>{escape(b)}</td></tr>" for a, b in rows) + "</table>"


def _laws(verdict: Verdict) -> str:
    rows = (
        f"<tr><td>{escape(name)}</td>"
        + (f"<td class='broken'>broken {len(found)} ×</td></tr>" if found else "<td class='holds'>holds</td></tr>")
        for name, found in verdict.laws.items()
    )
    return f"<table>{''.join(rows)}</table>"


def _findings(findings: Sequence[str]) -> str:
    """What was found beside the laws."""
    items = "".join(f"<li>{escape(finding)}</li>" for finding in findings)
    return f"<h2>Found beside the laws</h2><ul>{items}</ul>" if items else ""


def _breach(told: Told) -> str:
    head = f"{told.number} ({told.shape}): " if told.number else ""
    body = "\n".join([*told.timeline, "", "Faults around:", *told.faults])
    text = f"<p class='broken'>{escape(told.breach.law)}: {escape(head + told.breach.text)}</p>"
    return f"{text}<pre>{escape(body)}</pre>"


def _faults(verdict: Verdict) -> str:
    rows = []
    began = verdict.drill.began
    for recovery in verdict.recoveries:
        each = recovery.injected
        lasted = (each.mended - each.began).total_seconds() if each.mended else 0.0
        at = (each.began - began).total_seconds()
        cells = (f"{at:.0f} s", each.fault.told, f"{lasted:.1f} s", seconds(recovery.took))
        rows.append("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
    for each in (one for one in verdict.drill.injected if one.skipped):
        rows.append(f"<tr><td></td><td>{escape(each.fault.told)}</td><td>not done: {escape(each.skipped)}</td></tr>")
    heads = "".join(f"<th>{name}</th>" for name in ("At", "Fault", "Until mended", "First order moved after"))
    return f"<table><tr>{heads}</tr>{''.join(rows)}</table>"


def _orders_chart(verdict: Verdict) -> str:
    """Open and ended orders at each second, over bars for the faults."""
    drill, rows = verdict.drill, [row for _, row in verdict.case.orders()]
    moments = [row["closed_at"] or row["placed_at"] for row in rows]
    last = max([drill.mended_at or drill.began, *moments])
    total = max(1.0, (last - drill.began).total_seconds())

    def since(at: datetime) -> float:
        return max(0.0, (at - drill.began).total_seconds())

    bands = []
    for each in drill.injected:
        x, width = _x(since(each.began), total), _x(since(each.mended or last), total)
        bands.append(
            f"<rect x='{x:.1f}' y='0' width='{max(1.0, width - x):.1f}' height='{HEIGHT - FOOT}' "
            f"fill='#e53e3e' opacity='.12'><title>{escape(each.fault.told)}</title></rect>"
        )
    ends = Counter(row["status"] for row in rows if row["closed_at"])
    placed = sorted(since(row["placed_at"]) for row in rows)
    lines = [_steps(placed, total, len(rows), COLOURS["open"], f"placed ({len(rows)})")]
    for status in sorted(ends):
        closed = sorted(since(row["closed_at"]) for row in rows if row["closed_at"] and row["status"] == status)
        colour = COLOURS.get(status, COLOURS["open"])
        lines.append(_steps(closed, total, len(rows), colour, f"{status} ({ends[status]})"))
    legend = [("placed", COLOURS["open"]), *((status, COLOURS.get(status, COLOURS["open"])) for status in sorted(ends))]
    return _svg([*bands, *lines, *_axis(total, "s"), _top(len(rows), "orders")]) + _legend(legend)


def _legend(entries: Iterable[tuple[str, str]]) -> str:
    said = (f"<span style='color:{colour}'>■</span> {escape(name)}" for name, colour in entries)
    return f"<p>{' &nbsp; '.join(said)} &nbsp; <span style='color:#e53e3e'>▮</span> a fault is under way</p>"


def _steps(times: Sequence[float], total: float, most: int, colour: str, label: str) -> str:
    points = [(0.0, 0), *((at, count) for count, at in enumerate(times, start=1)), (total, len(times))]
    drawn = " ".join(f"{_x(at, total):.1f},{_y(count, most):.1f}" for at, count in points)
    title = f"<title>{escape(label)}</title>"
    return f"<polyline points='{drawn}' fill='none' stroke='{colour}' stroke-width='2'>{title}</polyline>"


def _recovery_chart(verdict: Verdict) -> str:
    took = [(each.injected.fault, each.took.total_seconds()) for each in verdict.recoveries if each.took is not None]
    if not took:
        return "<p>Nothing had to move.</p>"
    most = max(1.0, *(value for _, value in took))
    width = (WIDTH - LEFT) / len(took)
    bars = []
    for place, (fault, value) in enumerate(took):
        y, title = _y(value, most), escape(f"{fault.told}: {value:.1f} s")
        bars.append(
            f"<rect x='{LEFT + place * width:.1f}' y='{y:.1f}' width='{max(1.0, width - 1):.1f}' "
            f"height='{HEIGHT - FOOT - y:.1f}' fill='#3182ce'><title>{title}</title></rect>"
        )
    return _svg([*bars, _top(most, "s")])


def _memory_chart(verdict: Verdict) -> str:
    memory = verdict.drill.memory
    if len(memory) < 2:
        return "<p>It was not weighed.</p>"
    total, most = memory[-1][0] or 1.0, max(mb for _, mb in memory)
    drawn = " ".join(f"{_x(at, total):.1f},{_y(mb, most):.1f}" for at, mb in memory)
    line = f"<polyline points='{drawn}' fill='none' stroke='#805ad5' stroke-width='2'/>"
    return _svg([line, *_axis(total, "s"), _top(most, "MB")])


def _svg(parts: Iterable[str]) -> str:
    base = f"<line x1='{LEFT}' y1='{HEIGHT - FOOT}' x2='{WIDTH}' y2='{HEIGHT - FOOT}' stroke='#a0aec0'/>"
    return f"<svg viewBox='0 0 {WIDTH} {HEIGHT}' role='img'>{''.join(parts)}{base}</svg>"


def _axis(total: float, unit: str) -> list[str]:
    foot = f"y='{HEIGHT - 6}' text-anchor='middle'"
    return [
        f"<text x='{_x(total * share, total):.0f}' {foot}>{total * share:.0f} {unit}</text>"
        for share in (0.0, 0.25, 0.5, 0.75)
    ]


def _top(most: float, unit: str) -> str:
    return f"<text x='0' y='12'>{most:.0f} {unit}</text>"


def _x(at: float, total: float) -> float:
    return LEFT + (WIDTH - LEFT) * at / total


def _y(value: float, most: float) -> float:
    return (HEIGHT - FOOT) * (1 - 0.92 * value / max(most, 1e-9))
