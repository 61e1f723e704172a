"""What libraries of numbers may take of a server, cores and pauses; this module imports none of them."""

from __future__ import annotations

import ctypes
import gc
import os
from contextlib import suppress


def one_core_each() -> None:
    """Libraries of numbers use one thread each; call it before numpy is imported.

    With threads of their own on busy cores they wait for one another: p99 of a call is then 45 ms instead of 0.6.
    """
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")


def return_freed_memory() -> None:
    """Give back to the machine what was freed, where the C library can: glibc keeps it, and a load frees several times
    what the model takes."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def leave_out_of_collections() -> None:
    """What is loaded by now is never garbage: Python's collector need not look at it again.

    Looking through scikit-learn, pandas and torch takes it a tenth of a second and more, in which nothing is answered.
    """
    gc.collect()
    gc.freeze()
