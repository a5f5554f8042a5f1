"""`python -m local COMMAND`, with a Ctrl-C that stays quiet while the command's imports take a second."""

import runpy
import signal
import sys

COMMANDS = ("up", "demo", "backup", "restore")


def main(arguments: list[str]) -> None:
    """Becomes the command. Ends with status 2 where it is none."""
    if len(arguments) != 1 or arguments[0] not in COMMANDS:
        sys.stderr.write(f"usage: python -m local {'|'.join(COMMANDS)}\n")
        sys.exit(2)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    runpy.run_module(f"local.{arguments[0]}", run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
