"""When a canary gets no more traffic, without statistics: it fails again and again where the champion answers.

A request counts only if the champion answers it: what neither can answer says nothing of the canary, so callers cannot
stop one with bad input. Once open it stays open for this version.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

IN_A_ROW = 5
FEW, SHARE = 20, 0.5
_RECENT = 100


@dataclass
class Breaker:
    """Of one canary; on the event loop's thread alone. ``reason`` says why it is open, '' while it is not.

    >>> breaker = Breaker()
    >>> [breaker.count(failed=True) for _ in range(5)]
    [False, False, False, False, True]
    >>> breaker.reason
    '5 requests in a row failed that the champion answered'
    """

    reason: str = ""
    _row: int = 0
    _recent: deque[bool] = field(default_factory=lambda: deque(maxlen=_RECENT))

    @property
    def is_open(self) -> bool:
        return bool(self.reason)

    def count(self, *, failed: bool) -> bool:
        """One request that the champion answers, or would have; whether that opens it."""
        if self.is_open:
            return False
        self._row = self._row + 1 if failed else 0
        self._recent.append(failed)
        bad, all_ = sum(self._recent), len(self._recent)
        if self._row >= IN_A_ROW:
            self.reason = f"{self._row} requests in a row failed that the champion answered"
        elif all_ >= FEW and bad > SHARE * all_:
            self.reason = f"{bad} of {all_} requests failed that the champion answered"
        return self.is_open
