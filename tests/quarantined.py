"""The quarantine that tests share: its process imports scikit-learn once, not once for each test."""

from __future__ import annotations

import atexit
from functools import cache

from gitml.models.quarantine import Quarantine


@cache
def quarantine() -> Quarantine:
    made = Quarantine()
    atexit.register(made.close)
    return made
