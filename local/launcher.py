"""Becomes another program, having first tied its life to its parent's and given up root where asked.

Run by path (`python -I -S launcher.py …`) so that it needs nothing but the standard library:

    launcher.py PARENT DEATH_SIGNAL IDENTITY PROGRAM [ARGUMENT …]

PARENT is the pid that must still be our parent, DEATH_SIGNAL the number of the signal to receive when it dies.
IDENTITY is `-` (stay who we are), `UID:GID` (become that user; root only) or `namespace` (a user namespace
in which our user is number 1000: root without root's powers, but still the owner of root's files).

The order matters: a change of user clears the death signal, so that is set last.
"""

import ctypes
import os
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1  # linux/prctl.h
CLONE_NEWUSER = 0x10000000  # linux/sched.h
NAMESPACE_ID = 1000


def main(arguments: list[str]) -> None:
    """Never returns: the process becomes PROGRAM, or ends with 127 and one line on standard error."""
    parent, death_signal, identity, *command = arguments
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        take_identity(libc, identity)
        die_with(libc, parent=int(parent), death_signal=int(death_signal))
        os.execvp(command[0], command)  # noqa: S606 - becoming the program is the purpose
    except OSError as error:
        sys.stderr.write(f"cannot run {command[0]} as {identity}: {error}\n")
        sys.exit(127)


def take_identity(libc: ctypes.CDLL, identity: str) -> None:
    """Gives up root as `identity` says. Raises OSError where the system refuses."""
    if identity == "namespace":
        enter_namespace(libc)
    elif identity != "-":
        user, group = (int(part) for part in identity.split(":"))
        os.setgroups([])
        os.setgid(group)
        os.setuid(user)


def enter_namespace(libc: ctypes.CDLL) -> None:
    """What `unshare --user --map-user=1000 --map-group=1000` does, for machines without that program."""
    user, group = os.geteuid(), os.getegid()
    check(libc.unshare(CLONE_NEWUSER))
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    Path("/proc/self/uid_map").write_text(f"{NAMESPACE_ID} {user} 1", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"{NAMESPACE_ID} {group} 1", encoding="ascii")


def die_with(libc: ctypes.CDLL, *, parent: int, death_signal: int) -> None:
    """Asks the kernel (Linux only) for `death_signal` when the parent dies, however it dies."""
    if sys.platform != "linux":
        return
    check(libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0))
    if os.getppid() != parent:  # it died before we asked
        sys.exit(128 + death_signal)


def check(result: int) -> None:
    """Raises the OSError that a C call left behind."""
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    main(sys.argv[1:])
