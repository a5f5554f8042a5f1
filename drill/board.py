"""What a drill shows in the terminal: orders by stage, faults and invariants while it runs, then the verdict."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from drill.laws import AT_EVERY_MOMENT
from drill.run import Drill
from drill.verdict import Verdict, seconds

STAGES = (
    *("accepted", "awaiting_stock", "awaiting_payment", "fulfilling", "partly_shipped", "shipped"),
    *("cancelling", "cancelled", "expired", "returned", "delivered"),
)
LATEST = 6
BAR = 40


def live_view(drill: Drill) -> RenderableType:
    """The moving picture."""
    age = (datetime.now(UTC) - drill.began).total_seconds()
    head = Text(f"seed {drill.settings.seed}   {age:5.0f} s   {drill.stage}", style="bold")
    return Group(head, Text(), _stages(drill.statuses, drill.settings.orders), Text(), _faults(drill), _laws(drill))


def _stages(statuses: Counter[str], wanted: int) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    placed = sum(statuses.values())
    for stage, count in [("to come", wanted - placed), *((stage, statuses[stage]) for stage in STAGES)]:
        bar = "█" * max(1, round(BAR * count / wanted)) if count > 0 else ""
        table.add_row(stage.replace("_", " "), str(max(0, count)), Text(bar, style="cyan"))
    return table


def _faults(drill: Drill) -> RenderableType:
    under_way = [each for each in drill.injected if each.mended is None]
    latest = [*under_way, *[each for each in reversed(drill.injected) if each.mended is not None]][:LATEST]
    lines = [Text(f"{len(drill.injected)} faults of {len(drill.faults)} so far", style="bold")]
    for each in latest:
        style = "red" if each.mended is None else "dim"
        lines.append(Text(f"  {each.began:%H:%M:%S}  {each.fault.told}", style=style, no_wrap=True))
    return Group(*lines, Text())


def _laws(drill: Drill) -> RenderableType:
    lines = []
    for name in AT_EVERY_MOMENT:
        found = drill.invariants.get(name)
        told = "not looked at yet" if found is None else "holds" if found == 0 else f"BROKEN {found} times"
        lines.append(Text(f"  {name}: {told}", style="dim" if found is None else "green" if not found else "bold red"))
    return Group(*lines)


def show_verdict(console: Console, verdict: Verdict, *, page: str) -> None:
    """The verdict page in the terminal."""
    for told in verdict.told():
        head = f"{told.number} ({told.shape}) " if told.number else ""
        text = f"{escape(told.breach.law)}: {escape(head + told.breach.text)}"
        console.print(f"\n[bold red]BROKEN[/bold red] {text}", soft_wrap=True)
        for line in told.timeline:
            console.print(f"    {escape(line)}", style="dim", soft_wrap=True)
        for line in told.faults:
            console.print(f"    {escape(line)}", style="yellow", soft_wrap=True)
    console.print(laws_table(verdict))
    console.print(_summary(verdict), soft_wrap=True)
    for each in verdict.repeated:
        line = f"{escape(each.subject)}, after: {escape(each.fault)}"
        console.print(f"  [yellow]told twice[/yellow] {line}", soft_wrap=True)
    for skipped in (each for each in verdict.drill.injected if each.skipped):
        line = f"{escape(skipped.fault.told)}: {escape(skipped.skipped)}"
        console.print(f"  [yellow]not done[/yellow] {line}", soft_wrap=True)
    for finding in verdict.drill.findings:
        console.print(f"  [yellow]found[/yellow] {escape(finding)}", soft_wrap=True)
    console.print(f"The whole story: {page}")


def laws_table(verdict: Verdict) -> Table:
    """Every law and whether it held."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("Law", no_wrap=True)
    table.add_column("", no_wrap=True)
    for name, breaches in verdict.laws.items():
        table.add_row(name, f"[bold red]broken {len(breaches)} ×[/bold red]" if breaches else "[green]holds[/green]")
    return table


def figures(verdict: Verdict) -> Mapping[str, str]:
    """The drill in figures, by what they measure."""
    drill = verdict.drill
    memory = [mb for _, mb in drill.memory]
    return {
        "seed": str(drill.settings.seed),
        "orders accepted": str(len(drill.accepted)),
        "how they ended": ", ".join(f"{count} {status}" for status, count in sorted(verdict.ends.items())),
        "faults": ", ".join(f"{count} {kind}" for kind, count in sorted(verdict.kinds.items())),
        "first order moved again, median": verdict.recovery(0.5),
        "first order moved again, slowest": verdict.recovery(1.0),
        "e-mails sent twice, with a reason": str(len(verdict.repeated)),
        "memory of the stack": f"{memory[0]:.0f} MB at first, {max(memory):.0f} MB at most, {memory[-1]:.0f} MB at last"
        if memory
        else "not weighed",
        "seconds, from the first order until all had ended": f"{drill.lasted:.0f}",
    }


def _summary(verdict: Verdict) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for name, value in figures(verdict).items():
        table.add_row(Text(name, style="dim"), value)
    return table


def plain_line(drill: Drill) -> str:
    """Where a drill stands, in one line, for where there is no terminal."""
    age = (datetime.now(UTC) - drill.began).total_seconds()
    stages = ", ".join(
        f"{drill.statuses[stage]} {stage.replace('_', ' ')}" for stage in STAGES if drill.statuses[stage]
    )
    broken = sum(drill.invariants.values())
    return f"{age:5.0f} s  {drill.stage}  {len(drill.injected)} faults  {stages or 'no orders'}  {broken} broken"


__all__ = ["figures", "laws_table", "live_view", "plain_line", "seconds", "show_verdict"]
