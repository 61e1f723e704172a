"""A year in minutes: a model that ages, what the loop sees of it, what it asks for, and what that was worth.

    python demo/year.py [--since 2013-07-01] [--until 2013-05-13] [--away 2013-09-16] [--broken 2013-07-08]
                        [--place FOLDER] [--keep]

Flights of April to December 2013 are answered week by week on a turned clock. Looks, retrainings, reviews and gates are
those of gitml, called as its jobs call them; the forge is in this process. What happened is written to FOLDER, by
default .year: year.md, year.html and year.png. ``--keep`` leaves the repository there too.

Exit code 0 only if every step held.
"""

from __future__ import annotations

import argparse
import os
import sys
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from box import ROOT, StepError, environment

THREADS = {"OMP_NUM_THREADS": "1"}
FIRST, WEEK = date(2013, 4, 1), timedelta(weeks=1)
LAST = date(2013, 12, 30)  # 39 whole weeks
AWAY, BROKEN = date(2013, 9, 16), date(2013, 7, 8)


def main() -> int:
    words = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    words.add_argument("--since", type=date.fromisoformat, default=FIRST, metavar="MONDAY", help="nobody asks before")
    words.add_argument("--until", type=date.fromisoformat, default=LAST, metavar="DAY", help="of 2013; whole weeks")
    words.add_argument("--away", type=date.fromisoformat, default=AWAY, metavar="MONDAY", help="no weather that week")
    words.add_argument("--broken", type=date.fromisoformat, default=BROKEN, metavar="MONDAY", help="a bad change comes")
    words.add_argument("--place", type=Path, default=ROOT / ".year", metavar="FOLDER", help="default: .year")
    words.add_argument("--keep", action="store_true", help="leave the repository of the year in .year")
    asked = words.parse_args()
    if not FIRST + WEEK <= asked.until <= LAST:
        words.error(f"--until is a day from {FIRST + WEEK:%Y-%m-%d} to {LAST}")
    if asked.away.weekday() or asked.broken.weekday() or asked.since.weekday():
        words.error("--since, --away and --broken are Mondays")
    if not FIRST <= asked.since <= asked.until - WEEK:
        words.error(f"--since is a Monday from {FIRST:%Y-%m-%d} on, a week before --until at least")
    forget_outside()
    # Small models gain nothing from threads, which wait for each other by turning in circles.
    os.environ.update(THREADS)
    # Here, so that who asks for help does not wait for all of gitml.
    from yearlife import forget, live
    from yearstate import Incidents

    weeks = range((asked.since - FIRST) // WEEK, (asked.until - FIRST) // WEEK)
    try:
        away, broken = (datetime.combine(day, time(), UTC) for day in (asked.away, asked.broken))
        live(asked.place.absolute(), weeks, Incidents(away, broken))
    except StepError as exc:
        print(f"\nthe year stopped here: {exc}", file=sys.stderr)
        return 1
    finally:
        if not asked.keep:
            forget(asked.place)
    return 0


def forget_outside() -> None:
    """What says that this is a job of CI, or which forge there is: the year has its own, in this process."""
    for name in set(os.environ) - set(environment()):
        del os.environ[name]


if __name__ == "__main__":
    sys.exit(main())
