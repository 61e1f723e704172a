"""What a process gives up before it touches a stranger's file: network, memory, time, rights; and what it hides.

Linux only; elsewhere, and where the kernel refuses, a process keeps what it has, and the answers say so.
"""

from __future__ import annotations

import ctypes
import platform
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path

_NEW_NETWORK, _NEW_USER = 0x4000_0000, 0x1000_0000
_DEATH_SIGNAL, _DUMPABLE, _NO_NEW_PRIVILEGES = 1, 4, 38
_CAPABILITIES = 0x2008_0522  # the third version of the call

# A filter of system calls, as classic BPF: load a word, compare, answer (linux/filter.h, linux/seccomp.h).
_LOAD, _EQUAL, _AT_LEAST, _HAS_BITS, _ANSWER = 0x20, 0x15, 0x35, 0x45, 0x06
_CALL, _MACHINE, _FIRST_ARGUMENT = 0, 4, 16
_FILTER, _BY_FILTER = 22, 2
_ALLOW, _KILL, _ERROR = 0x7FFF_0000, 0x8000_0000, 0x0005_0000
_NOT_PERMITTED, _UNKNOWN_CALL = 1, 38
_THREAD, _CLONE3, _X32 = 0x0001_0000, 435, 0x4000_0000
# By machine: its number, its call `clone`, and older calls that make a process.
_MACHINES = {"x86_64": (0xC000_003E, 56, (57, 58)), "aarch64": (0xC000_00B7, 220, ())}


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


class _Step(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint16), ("then", ctypes.c_uint8), ("other", ctypes.c_uint8), ("k", ctypes.c_uint32))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("steps", ctypes.POINTER(_Step)))


def without_children() -> bool:
    """Start threads, and no process, from now on; whether the kernel holds this one to it.

    A child that left its parent's session would live on when the parent is ended, with all that it had open. To be
    called after ``without_rights``, before there are other threads. Of `clone3` the kernel is said to know nothing, as
    its flags lie in memory that a filter cannot see; libraries fall back to `clone`.
    """
    found = _MACHINES.get(platform.machine())
    if found is None:
        return False
    machine, clone, others = found
    steps = [
        (_LOAD, 0, 0, _MACHINE), (_EQUAL, 1, 0, machine), (_ANSWER, 0, 0, _KILL),
        (_LOAD, 0, 0, _CALL), (_AT_LEAST, 0, 1, _X32), (_ANSWER, 0, 0, _KILL),
        (_EQUAL, 0, 1, _CLONE3), (_ANSWER, 0, 0, _ERROR | _UNKNOWN_CALL),
    ]  # fmt: skip
    for call in others:
        steps += [(_EQUAL, 0, 1, call), (_ANSWER, 0, 0, _ERROR | _NOT_PERMITTED)]
    steps += [
        (_EQUAL, 0, 3, clone), (_LOAD, 0, 0, _FIRST_ARGUMENT), (_HAS_BITS, 1, 0, _THREAD),
        (_ANSWER, 0, 0, _ERROR | _NOT_PERMITTED), (_ANSWER, 0, 0, _ALLOW),
    ]  # fmt: skip
    program = _Program(len(steps), (_Step * len(steps))(*(_Step(*step) for step in steps)))
    control = getattr(ctypes.CDLL(None, use_errno=True), "prctl", None)
    return control is not None and control(_FILTER, _BY_FILTER, ctypes.byref(program), 0, 0) == 0


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
