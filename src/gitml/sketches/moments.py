"""What a moment tells: the hour that a row belongs to, and the calendar's words for it. All in UTC."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

_HOUR = 3_600_000_000
_ZONED = pa.timestamp("us", tz="UTC")


def moments_of(column: Any, zone: str = "") -> Any:
    """An Arrow array of times, dates, or texts such as 2026-04-01T06:00:00, as moments. Those that say no zone are of
    ``zone``, such as America/New_York, by default of UTC; of an hour that comes twice they are the first, and of one
    that is left out the one before.

    Raises pyarrow.ArrowInvalid for other texts and zones.

    >>> str(moments_of(pa.array(["2013-07-01T08:00:00"]), "America/New_York")[0])
    '2013-07-01 12:00:00+00:00'
    """
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        try:
            column = column.cast(pa.timestamp("us"))
        except pa.ArrowInvalid:
            return column.cast(_ZONED)
    if pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("us"))
    if zone and column.type.tz is None:
        column = pc.assume_timezone(column, zone, ambiguous="earliest", nonexistent="earliest")
    return column.cast(_ZONED)


def hours_of(moments: Any) -> NDArray[np.int64]:
    """Hours since 1970; rows without a moment are of hour -1."""
    micros = moments.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
    found: NDArray[np.int64] = np.floor_divide(micros, _HOUR)
    return found


def calendar(name: str, moments: Any) -> Any:
    """``hour`` 0 to 23, ``weekday`` 0 (Monday) to 6, or ``month`` 1 to 12."""
    functions = {"hour": pc.hour, "weekday": pc.day_of_week, "month": pc.month}
    return functions[name](moments)
