"""Times in which nothing is promoted, and environments that somebody holds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from gitml.gates.verdicts import failed, listed, passed
from gitml.policy.change import in_force
from gitml.spec.deployment import Hold
from gitml.spec.policy import Freeze
from gitml.verdict import Verdict


def frozen(freezes: Sequence[Freeze], environment: str, now: datetime) -> tuple[Freeze, ...]:
    """The freezes in force: ``from`` is included, ``until`` is not (a day that is named as the last one is)."""
    return tuple(
        f for f in freezes if f.since <= now < f.until and (not f.environments or environment in f.environments)
    )


def judge_freeze(freezes: Sequence[Freeze], environment: str, now: datetime) -> Verdict:
    """No promotion while a freeze of policy.yaml is in force; rollbacks, stops and the end of a hold still are.

        freezes:
          - {from: 2026-12-20, until: 2027-01-03, reason: Year-end closing, environments: [production]}

    A day that is named last is included. Without ``environments`` it holds everywhere.
    """
    active = frozen(freezes, environment, now)
    if active:
        return failed(listed(f"frozen until {moment(f.until)}: {f.reason}" for f in active))
    return passed("no freeze")


def judge_hold(hold: Hold | None, now: datetime) -> Verdict:
    """No promotion while the file on the base branch has a hold. Who removes it needs the environment's approvals."""
    held = in_force(hold, now)
    if held is None:
        return passed("no hold")
    end = f"until {moment(held.until)}" if held.until else "until somebody removes it"
    return failed(f"held by {held.by} {end}: {held.reason}")


def moment(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"
