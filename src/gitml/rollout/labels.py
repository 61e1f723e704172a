"""Which labels count: those of rows so old that their label must have come, and that came in time, in both arms."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gitml.rollout.evaluation import ArmShares, JudgedPart, LabelState
from gitml.rollout.reading import TrialRows
from gitml.rollout.rowtable import ANSWERED, RowTable
from gitml.rollout.trial import TrialRules
from gitml.verdict import Phase

Mask = NDArray[np.bool_]
_MICRO = timedelta(microseconds=1)
_DAY = 86_400_000_000.0
# What chance makes of a difference of shares, in standard errors.
_CHANCE = 3.0


@dataclass(frozen=True)
class MaturedLabels:
    """Of both arms. ``ripe``: answered so long ago that labels have come; ``told``: ripe with a label that came in
    time. ``within``: microseconds that a label may take."""

    ripe: tuple[Mask, Mask]
    told: tuple[Mask, Mask]
    within: int

    @property
    def coverage(self) -> ArmShares:
        return ArmShares(*(share(told, ripe) for told, ripe in zip(self.told, self.ripe, strict=True)))


def matured(rows: TrialRows, rules: TrialRules, until: datetime, paired: bool) -> MaturedLabels:
    """The cut is the same for both arms: whoever was exposed longer has no more labels than the other."""
    within = rules.labels_within // _MICRO
    newest = int(until.timestamp() * 1e6) - within
    ripe = [(table.outcome == ANSWERED) & (table.arrived <= newest) for table in rows.arms]
    told = [mask & _in_time(table, within) for table, mask in zip(rows.arms, ripe, strict=True)]
    if paired:
        # The label is the request's: both shares are those of the same rows.
        ripe, told = [ripe[0] & ripe[1]] * 2, [told[0] & told[1]] * 2
    return MaturedLabels((ripe[0], ripe[1]), (told[0], told[1]), within)


def _in_time(table: RowTable, within: int) -> Mask:
    found: Mask = (table.told >= 0) & (table.told - table.arrived <= within) & np.isfinite(table.truth)
    return found


def share(some: Mask, of: Mask) -> float | None:
    """None where there is nothing to have a share of."""
    return float(some.sum() / of.sum()) if of.any() else None


def label_state(rows: TrialRows, labels: MaturedLabels) -> LabelState:
    """Coverage by arm, and the median delay in days."""
    delays = [(t.told - t.arrived)[mask] for t, mask in zip(rows.arms, labels.told, strict=True)]
    every = np.concatenate(delays)
    return LabelState(labels.coverage, round(float(np.median(every)) / _DAY, 4) if len(every) else None)


def coverage_parts(rows: TrialRows, labels: MaturedLabels, rules: TrialRules) -> list[JudgedPart]:
    """Whether labels come for both arms alike, all together and by who tells them."""
    if rules.depend_on_answers or not all(mask.any() for mask in labels.ripe):
        return []
    found = [_compared("labels", labels, labels.told, rules.coverage, "labels come")]
    for number, name in enumerate(rows.sources):
        told = [mask & (t.source == number) for t, mask in zip(rows.arms, labels.told, strict=True)]
        part = _compared(f"labels by {name}", labels, (told[0], told[1]), rules.coverage, f"labels by {name} come")
        found += [part] if part.phase is not Phase.SUCCESSFUL else []
    return found


def _compared(name: str, labels: MaturedLabels, told: tuple[Mask, Mask], most: float, words: str) -> JudgedPart:
    old, new = (float(share(t, r) or 0.0) for t, r in zip(told, labels.ripe, strict=True))
    counts = [int(mask.sum()) for mask in labels.ripe]
    spread = sum(p * (1 - p) / n for p, n in ((old, counts[0]), (new, counts[1])))
    apart = abs(new - old) > max(most, _CHANCE * spread**0.5)
    phase = Phase.INCONCLUSIVE if apart else Phase.SUCCESSFUL
    reason = f"{words} for {new:.1%} of the candidate's rows and {old:.1%} of the champion's"
    reason += f": more than {most:.0%} apart, so they say nothing of the difference" if apart else ""
    return JudgedPart("integrity", name, phase, reason, old, new, new - old, margin=most)


def early_labels(rows: TrialRows) -> int:
    """Labels that came more than an hour before their requests, which no honest clock brings about."""
    hour = 3_600_000_000
    return sum(int(((t.told >= 0) & (t.told < t.arrived - hour)).sum()) for t in rows.arms)


def known_at(table: RowTable, mask: Mask, within: int) -> Any:
    """When each of the rows could be judged."""
    return table.arrived[mask] + within
