"""What a process gives up before it touches a stranger's file: the network, memory, time, rights; and what it hides.

Linux only; elsewhere, and where the kernel refuses, a process keeps what it has, and the answers say so.
"""

from __future__ import annotations

import ctypes
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path

_NEW_NETWORK, _NEW_USER = 0x4000_0000, 0x1000_0000
_DEATH_SIGNAL, _DUMPABLE, _NO_NEW_PRIVILEGES = 1, 4, 38
_CAPABILITIES = 0x2008_0522  # the third version of the call


def offline() -> bool:
    """Leave the network for one without any connection; whether the kernel let us."""
    unshare = getattr(ctypes.CDLL(None, use_errno=True), "unshare", None)
    if unshare is None:
        return False
    # Without privileges it takes a user namespace, which some kernels and container runtimes do not give.
    return any(unshare(flags) == 0 for flags in (_NEW_NETWORK, _NEW_USER | _NEW_NETWORK))


def main() -> None:
    """For a process that only finds out whether ``offline`` works here."""
    sys.exit(0 if offline() else 1)


def limit(memory: int, seconds: float, files: int = 0) -> None:
    """At most ``memory`` bytes more than now, ``seconds`` of CPU more, no file written that has more than ``files``
    bytes, and no life after the parent's.

    No program that is started has more rights than this process.
    """
    end_with_parent()
    without_rights()
    used = resource.getrusage(resource.RUSAGE_SELF)
    spent = used.ru_utime + used.ru_stime
    for what, most in (
        (resource.RLIMIT_AS, _mapped() + memory),
        (resource.RLIMIT_CPU, int(spent + seconds) + 1),
        (resource.RLIMIT_FSIZE, files),
        (resource.RLIMIT_CORE, 0),
    ):
        # A limit that the machine has set lower stays.
        with suppress(ValueError, OSError):
            resource.setrlimit(what, (most, most))


def end_with_parent() -> None:
    """Be killed when the thread ends that started this process."""
    _control(_DEATH_SIGNAL, signal.SIGKILL)


def without_rights() -> None:
    """No program that is started gets more rights than this process, and an administrator's process loses its own.

    What belongs to the user stays open to it.
    """
    _control(_NO_NEW_PRIVILEGES, 1)
    change = getattr(ctypes.CDLL(None, use_errno=True), "capset", None)
    if change is not None:
        change((ctypes.c_uint32 * 2)(_CAPABILITIES, 0), (ctypes.c_uint32 * 6)())


def unreadable() -> bool:
    """Let no other process of this user read this one's memory and environment; whether the kernel does that.

    Programs that it starts are readable again: they are given no key.
    """
    return _control(_DUMPABLE, 0) == 0


def _control(what: int, value: int) -> int:
    control = getattr(ctypes.CDLL(None, use_errno=True), "prctl", None)
    return -1 if control is None else int(control(what, value, 0, 0, 0))


def _mapped() -> int:
    """Bytes of this process's address space; a guess where the kernel does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        return 4 << 30
