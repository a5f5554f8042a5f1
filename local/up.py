"""`make up`: the stack until Ctrl-C, its data kept under .waybill/up."""

import os
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from rich.console import Console

from local.ports import Ports
from local.processes import shown
from local.stack import Stack
from local.terminal import run, until_told

FOLDER = Path(".waybill/up")
STARTING = "Starting PostgreSQL, Temporal, sandbox, mail, web and worker …"


async def main() -> int:
    """Starts the stack, says where everything is, and waits."""
    console = Console(highlight=False)
    stack = Stack(FOLDER, ports=Ports.from_environment(os.environ), say=console.print)
    async with AsyncExitStack() as exits:
        with console.status(STARTING):
            await exits.enter_async_context(stack)
        exits.callback(console.print, "Stopping …")
        show(console, "Waybill is up. Ctrl-C stops it.", {**address_book(stack), **papers(stack)})
        await until_told()
    return 0


def show(console: Console, title: str, entries: dict[str, str]) -> None:
    """One entry a line, never wrapped, so that addresses can be clicked and copied."""
    console.print(f"\n[bold]{title}[/bold]\n")
    for name, value in entries.items():
        console.print(f"  [bold]{name:<20}[/bold] {value}", soft_wrap=True)
    console.print()


def address_book(stack: Stack) -> dict[str, str]:
    """The addresses to open, by what is found there."""
    addresses = stack.addresses
    return {
        "Console": f"{addresses.web}/console",
        "API and its docs": addresses.api_docs,
        "Orders in Temporal": addresses.orders_in_temporal,
        "Mailbox": addresses.mailbox,
        "Provider sandbox": addresses.sandbox,
    }


def papers(stack: Stack) -> dict[str, str]:
    """Where the files are, and the key to begin with."""
    return {
        "API key": stack.secrets.api_key,
        "Data": f"{shown(stack.folder)} (removed by `make clean`)",
        "Logs": shown(stack.logs),
    }


if __name__ == "__main__":
    sys.exit(run(main))
