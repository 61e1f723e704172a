"""How often and how long a call to the outside is tried again."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Patience:
    """How long one call may take: tries, seconds in all, seconds to wait first and at most, seconds per answer."""

    tries: int = 7
    total: float = 180.0
    first: float = 0.5
    longest: float = 30.0
    answer: float = 30.0

    def wait(self, failures: int) -> float:
        """Seconds before the next try: doubled each time, with jitter so that many clients do not come together."""
        return min(self.longest, self.first * 2.0 ** (failures - 1)) * random.uniform(0.6, 1.4)  # noqa: S311
