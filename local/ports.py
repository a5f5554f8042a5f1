"""The ports of the local stack: settings, checked before anything starts."""

import errno
import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache
from itertools import cycle, islice
from pathlib import Path
from typing import Self

from local.processes import LocalError

LOOPBACK = "127.0.0.1"
SUGGESTION_DISTANCE = 10
HIGHEST = 65535
LOWEST = 10240
SHARES = 128
TRIES = 200
KERNELS_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


@dataclass(frozen=True, kw_only=True)
class Ports:
    """One TCP port each on loopback. The environment variable of a field is its name in upper case and `_PORT`."""

    web: int = 8000
    worker: int = 8001
    temporal: int = 7233
    temporal_ui: int = 8233
    postgres: int = 54329
    sandbox: int = 8400
    smtp: int = 8425
    mailbox: int = 8426

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """The ports that the environment names, defaults for the rest. Raises LocalError for what is no port."""
        given = {
            field.name: _port(variable(field.name), environment[variable(field.name)])
            for field in fields(cls)
            if environment.get(variable(field.name))
        }
        ports = cls(**given)
        ports._refuse_doubles()
        return ports

    @classmethod
    def ephemeral(cls) -> Self:
        """Ports that are free now, for tests and measures."""
        return cls(**{field.name: free_port() for field in fields(cls)})

    def check_free(self, *, without: frozenset[str] = frozenset()) -> None:
        """Raises LocalError, in one line with a way out, where a port is taken; `without` are not needed."""
        taken = [
            (name, port) for name, port in asdict(self).items() if name not in without and not _is_free(name, port)
        ]
        if not taken:
            return
        others = " ".join(f"{variable(name)}={_next_free(port)}" for name, port in taken)
        if len(taken) == 1:
            [(name, port)] = taken
            raise LocalError(f"Port {port} is in use ({variable(name)}). Stop what uses it or run with {others}.")
        listed = ", ".join(f"{port} ({variable(name)})" for name, port in taken)
        raise LocalError(f"Ports {listed} are in use. Stop what uses them or run with {others}.")

    def _refuse_doubles(self) -> None:
        seen: dict[int, str] = {}
        for name, port in asdict(self).items():
            if other := seen.get(port):
                raise LocalError(f"{variable(other)} and {variable(name)} are both {port}; give each one of its own.")
            seen[port] = name


def variable(name: str) -> str:
    """The environment variable that sets a port."""
    return f"{name.upper()}_PORT"


def free_port() -> int:
    """A port that is free now and that nobody is likely to take before it is used.

    The kernel gives its own choice of port to the next connection that anybody opens; those below its range it leaves
    alone. Processes that ask at the same time look in different places, and none is told the same port twice in a row.
    """
    for port in islice(_own_places(), TRIES):
        try:
            _listen(port).close()
        except OSError:
            continue
        return port
    with _listen(0) as listener:
        return int(listener.getsockname()[1])


@cache
def _own_places() -> Iterator[int]:
    try:
        kernels = int(KERNELS_RANGE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        kernels = LOWEST
    each = max(0, kernels - LOWEST) // SHARES
    first = LOWEST + os.getpid() % SHARES * each
    return cycle(range(first, first + each))


def _port(name: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= HIGHEST:
        raise LocalError(f"{name} must be a port number from 1 to {HIGHEST}, not {text!r}.")
    return int(text)


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        # as servers do, so that a connection lately closed does not count; on Linux a listener still does
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((LOOPBACK, port))
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


def _is_free(name: str, port: int) -> bool:
    try:
        _listen(port).close()
    except PermissionError:
        raise LocalError(f"This user may not open port {port} ({variable(name)}); choose one above 1023.") from None
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise LocalError(f"Port {port} ({variable(name)}) cannot be opened: {error.strerror}.") from None
        return False
    return True


def _next_free(port: int) -> int:
    for candidate in range(port + SUGGESTION_DISTANCE, HIGHEST, SUGGESTION_DISTANCE):
        try:
            _listen(candidate).close()
        except OSError:
            continue
        return candidate
    return free_port()
