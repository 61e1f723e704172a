"""Which files a process may touch from now on, and which programs it may start: Linux's Landlock, by system calls.

What is given up is given up for good, by the calling thread, all that it starts, and every program that these run; call
it after ``confined.without_rights``, without which the kernel refuses, and before there are other threads. A process
that is closed in so can neither trace nor signal others, nor read their /proc entries.
https://docs.kernel.org/userspace-api/landlock.html
"""

from __future__ import annotations

import ctypes
import os
import stat
import sys
from collections.abc import Iterable

CONNECTIONS, SIGNALS = 4, 6  # the versions that know of them

_CREATE, _ADD, _RESTRICT = 444, 445, 446  # the same on all of Linux's common machines
_VERSION, _BENEATH = 1, 1

_WRITE_FILE, _READ_FILE, _READ_FOLDER = 1 << 1, 1 << 2, 1 << 3
_REFER, _TRUNCATE, _DEVICES = 1 << 13, 1 << 14, 1 << 15
_FIRST = (1 << 13) - 1  # all that the first version knows
_READ = _READ_FILE | _READ_FOLDER
# Folders and files are made, moved and deleted; devices, sockets and links are not made.
_CHANGE = _READ | _WRITE_FILE | 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8 | _REFER | _TRUNCATE
_RUN = 1 << 0
_OF_FILES = _RUN | _WRITE_FILE | _READ_FILE | _TRUNCATE | _DEVICES
_BIND, _CONNECT = 1 << 0, 1 << 1
_SOCKETS, _SIGNALS = 1 << 0, 1 << 1


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def version() -> int:
    """What this kernel knows of Landlock: 0 nothing; from 1 on files, from 4 connections, from 6 signals."""
    return max(0, _call(_CREATE, None, 0, _VERSION))


def close_in(reads: Iterable[str], writes: Iterable[str], *, connects: bool, runs: Iterable[str] = ()) -> int:
    """From now on read below ``reads``, change below ``writes``, and run no program but those below ``runs``, which it
    reads too; what is not there is left out.

    Without ``connects`` no TCP connection is opened and no port bound; sockets that are open stay. Returns the version
    that holds from now on, 0 where the kernel has none: then nothing was given up.
    """
    found = version()
    if not found:
        return 0
    known = _FIRST | (_REFER if found >= 2 else 0) | (_TRUNCATE if found >= 3 else 0) | (_DEVICES if found >= 5 else 0)
    rules = _Ruleset(known, 0 if connects else _BIND | _CONNECT, _SOCKETS | _SIGNALS)
    size = 8 if found < CONNECTIONS else 16 if found < SIGNALS else 24
    ruleset = _call(_CREATE, ctypes.byref(rules), size, 0)
    if ruleset < 0:
        return 0
    try:
        for places, allowed in ((reads, _READ), (writes, _CHANGE), (runs, _READ | _RUN)):
            for place in places:
                _allow(ruleset, place, allowed & known, _DEVICES & known)
        return found if _call(_RESTRICT, ruleset, 0) == 0 else 0
    finally:
        os.close(ruleset)


def _allow(ruleset: int, place: str, allowed: int, devices: int) -> None:
    try:
        parent = os.open(place, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        mode = os.fstat(parent).st_mode
        if stat.S_ISCHR(mode) and allowed & _WRITE_FILE:
            # A GPU is spoken to by nothing else.
            allowed |= devices
        if not stat.S_ISDIR(mode):
            allowed &= _OF_FILES
        _call(_ADD, ruleset, _BENEATH, ctypes.byref(_Beneath(allowed, parent)), 0)
    finally:
        os.close(parent)


def _call(number: int, *words: object) -> int:
    """The system call's answer; -1 on other systems, where the number is another call's."""
    if not sys.platform.startswith("linux"):
        return -1
    call = ctypes.CDLL(None, use_errno=True).syscall
    call.restype = ctypes.c_long
    return int(call(ctypes.c_long(number), *[ctypes.c_long(w) if isinstance(w, int) else w for w in words]))
