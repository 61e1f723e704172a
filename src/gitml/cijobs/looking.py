"""``gitml ci monitor evaluate``: every window that is due is looked at, where there is no key and nothing is signed."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from gitml.cijobs.biaslooking import CountedNow, biases_due
from gitml.cijobs.canaryjudge import judging
from gitml.cijobs.canarylooking import Judge, JudgedNow, judge_due
from gitml.cijobs.handover import folder_of
from gitml.cijobs.impactlooking import HeldAgainst, impacts_due
from gitml.cijobs.lookdue import MonitorOnMain, Span, due_windows, monitors_before, monitors_of, needed_looks
from gitml.cijobs.lookfile import MOST_LOOKS, LookFile, write_looks
from gitml.control.ledger import Here
from gitml.control.looks import read_looks
from gitml.control.mainline import Mainline
from gitml.errors import InconclusiveError
from gitml.evidence.looks import MOST_DETAILS, LookDetails, Looks, looks_of, most_spent, spent_after
from gitml.evidence.reader import EvidenceRules
from gitml.git.commands import Git
from gitml.git.ledger import LOOKS
from gitml.inference.candidate import TrialPlace
from gitml.inference.earlier import Earlier
from gitml.inference.lookdetails import look_details, recount, size_of
from gitml.inference.monitor import UNREADABLE, MonitorCall, MonitorRound, judged, monitor_round
from gitml.inference.monitored import Monitored
from gitml.inference.watches import watch_of
from gitml.success.facts import FactPlace

_TOO_MUCH = "a look at so many columns is too large for a statement: name those that matter, `columns` under `monitors`"


@dataclass(frozen=True)
class LookedAt:
    """One window. Without ``id`` it was not looked at for good, and stays due; ``waits``: its rows are on their way,
    which is no trouble."""

    found: Monitored
    id: str = ""

    @property
    def waits(self) -> bool:
        known = self.found.completeness
        return not self.id and known is not None and known.state == "waiting"


@dataclass(frozen=True)
class LookRound:
    looks: tuple[LookedAt, ...]
    candidates: tuple[JudgedNow, ...] = ()
    impacts: tuple[HeldAgainst, ...] = ()
    biases: tuple[CountedNow, ...] = ()


def evaluate(root: Path, here: Here, call: MonitorCall, run: str = "", judge: Judge | None = None) -> LookRound:
    """All monitors, oldest window first, all candidates, all changes that a KPI is for, and the hand-over file.

    ``run`` is the address of the CI run, ``judge`` what judges a candidate.

    Raises InconclusiveError for a shallow clone, whose history does not say when a champion came.
    """
    git = Git(root)
    if git.is_shallow():
        raise InconclusiveError("this clone is shallow: when a champion came is not here", "git fetch --unshallow")
    main = Mainline(git, git.resolve("HEAD") or "")
    job = monitor_round(root, call)
    watched = (*monitors_of(main, job.app), *monitors_before(main, job.app, job.at))
    looks = _looks(here, main, watched, job.at)
    todo = sorted(
        ((span, one) for one in watched for span in due_windows(one, looks, job.at)), key=lambda d: (d[0][1], d[1].name)
    )
    done, handed = [], []
    seen = {one.name: [look.details for look in looks.of(*one.name)] for one in watched}
    for span, one in todo[:MOST_LOOKS]:
        at, details = _look(one, job, span, seen[one.name])
        if details is not None:
            seen[one.name].append(LookDetails.model_validate(details))
            handed.append(details)
        done.append(at)
    place = TrialPlace(root, call.traffic, call.spool)
    judged = judge_due(here, main, judge or judging(main, place), job.at)
    held = impacts_due(here, main, FactPlace(root, call.traffic, call.spool, os.environ), job.at)
    counted = biases_due(root, here, main, call, job.at)
    found, business, people = ([dict(one.details) for one in some if one.details] for some in (judged, held, counted))
    told = {"looks": handed, "evaluations": found, "impacts": business, "biases": people}
    write_looks(folder_of(root), LookFile(commit=main.commit, run=run, **told))
    return LookRound(tuple(done), judged, held, counted)


def _looks(here: Here, main: Mainline, watched: tuple[MonitorOnMain, ...], at: datetime) -> Looks:
    """As the clone has them: there is no token here, and two runs that look at the same window sign it once."""
    heads = here.heads(LOOKS)
    if not heads:
        return Looks()
    rules = EvidenceRules(main.policy(), here.repository, at, here.settings.host)
    return needed_looks(
        lambda since: looks_of(one for one in read_looks(here.root, heads[0], rules, since) if one), watched, at
    )


def _look(
    one: MonitorOnMain, job: MonitorRound, span: Span, seen: list[LookDetails]
) -> tuple[LookedAt, dict[str, object] | None]:
    watch = next(w for w in job.watches if (w.model, w.environment) == one.name)
    if one.version != watch.record.version:
        watch = watch_of(job.root, watch, job.app, one.version)
    spent = spent_after(most_spent(seen, span[1].year), span[1], one.spec.looks_a_year)
    mine = [d for d in seen if d.look.version == one.version and d.sketch]
    earlier = Earlier({(d.look.since, d.look.until): d.sketch or {} for d in reversed(mine)}, spent)
    found = judged(watch, job, span, earlier)
    if found.later:
        return LookedAt(found), None
    before = [d for d in mine if d.look.until == span[0]]
    try:
        recounts = tuple(wrong for d in before[:1] if (wrong := recount(watch, job, d)))
        details = look_details(watch, job, found, spent, recounts)
    except UNREADABLE as exc:
        return LookedAt(replace(found, later=f"the traffic cannot be read: {exc}")), None
    if size_of(details) > MOST_DETAILS:
        return LookedAt(replace(found, later=_TOO_MUCH)), None
    return LookedAt(found, str(details["id"])), details
