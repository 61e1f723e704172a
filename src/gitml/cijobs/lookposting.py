"""``gitml ci monitor publish``: what signed looks say stands on the pull requests that they concern.

One comment for each monitor stays up to date. Edits notify nobody, so when a verdict fails that did not, a short new
comment is posted as well: one for each model and day, into which the rest of the day is edited. What is to be said
follows from the signed looks and the comments that are there, so a run that was killed is made up for by the next one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from gitml.cijobs.biasdue import counted_models, next_count
from gitml.cijobs.biasposting import ToldBias, tell_biases
from gitml.cijobs.canarydue import candidates_of, needed_since, next_evaluation
from gitml.cijobs.canaryproposing import ToldCandidate, tell_candidates
from gitml.cijobs.impactdue import OLDEST, next_impact, view_of
from gitml.cijobs.impactposting import ToldBusiness, tell_impacts
from gitml.cijobs.lookdue import (
    MOST_WINDOWS,
    MonitorOnMain,
    Span,
    monitors_before,
    monitors_of,
    needed_looks,
    next_due,
)
from gitml.cijobs.retrain import RETRAIN
from gitml.cijobs.reviewposting import ToldReview, next_review, reviewed_models, tell_reviews, wants_reviews
from gitml.cijobs.telling import Teller, tried
from gitml.cijobs.upstreamtelling import ToldUpstreams, tell_upstreams
from gitml.control.change import branch_of
from gitml.control.looks import heard_biases, heard_canaries, heard_impacts, heard_looks, mark_told
from gitml.control.mainline import Mainline
from gitml.control.place import Place
from gitml.control.signing import heard, rules_of
from gitml.errors import GitmlError
from gitml.evidence.canaries import Canaries
from gitml.evidence.looks import Looks, SignedLook, began
from gitml.forges.base import OnPull
from gitml.forges.job import ForgeJob
from gitml.promotion.promote import open_promotions
from gitml.publishing.webhook import address_of as webhook_of
from gitml.publishing.webhook import announce
from gitml.reports.lookhook import webhook_body
from gitml.reports.monitor import Page, report
from gitml.verdict import Phase

_ALARM = re.compile(r"<!-- gitml:alarm:([0-9a-f]{64}):([a-z]+) -->")
_KEY = re.compile(r"<!-- gitml:report:([^ ]+) -->")
Onset = tuple[str, str]


@dataclass(frozen=True)
class ToldMonitor:
    """``comments``: pull request → posted, updated, unchanged or superseded. ``alarm``: what became of the short
    comment, empty where there is none. ``problem``: why something could not be posted."""

    model: str
    environment: str
    phase: Phase
    comments: Mapping[int, str]
    alarm: str = ""
    problem: str = ""


@dataclass(frozen=True)
class LooksTold:
    monitors: tuple[ToldMonitor, ...]
    candidates: tuple[ToldCandidate, ...] = ()
    upstreams: tuple[ToldUpstreams, ...] = ()
    impacts: tuple[ToldBusiness, ...] = ()
    biases: tuple[ToldBias, ...] = ()
    reviews: tuple[ToldReview, ...] = ()

    @property
    def has_problem(self) -> bool:
        told = (self.monitors, self.candidates, self.upstreams, self.impacts, self.biases, self.reviews)
        return any(one.problem for group in told for one in group)


def publish(place: Place, job: ForgeJob, env: Mapping[str, str]) -> LooksTold:
    """Every monitor that has a signed look, every candidate, what alarms upstream of a promotion, every change with a
    signed impact, ratios of selections that moved, and reviews that are due.

    ``env``: the PATH on which cml is looked for, and secrets by their names.

    One that fails does not keep the others back. Raises OutsideError when the looks cannot be read.
    """
    main = place.newest(whole=True)
    policy, app = main.policy(), main.application()
    rules, now, teller = rules_of(place, policy), place.clock(), Teller(place, main, job, env)
    watched = (*monitors_of(main, app), *monitors_before(main, app, now))
    looks = needed_looks(lambda since: heard_looks(place, rules, since), watched, now)
    work = _Work(teller, looks)
    told = tuple(one for model in dict.fromkeys(w.model for w in watched) for one in work.model(model, watched))
    candidates = candidates_of(main, app, policy) if policy.judges_candidates else ()
    canaries = heard_canaries(place, rules, needed_since(candidates)) if candidates else Canaries()
    judged = tell_candidates(teller, candidates, canaries) if policy.judges_candidates else ()
    impacts = heard_impacts(place, rules, now - OLDEST) if app.kpis else ()
    counted = list(counted_models(main, app))
    biases = heard_biases(place, rules) if counted else ()
    believed = heard(place, policy).believed if app.kpis or wants_reviews(policy, app) else ()
    running = list(reviewed_models(main, believed))
    done = LooksTold(
        told, judged, tell_upstreams(teller), tell_impacts(teller, impacts), tell_biases(teller, counted, biases),
        tell_reviews(teller, running),
    )  # fmt: skip
    if not done.has_problem:
        view = view_of(main, believed, now) if app.kpis else None
        ends = (
            next_due(watched, looks, now),
            next_evaluation(candidates, canaries, now),
            next_impact(view, impacts),
            next_count(counted, biases, now),
            next_review(running, now),
        )
        try:
            mark_told(place, main.commit, min(ends))
        except GitmlError as exc:
            place.say(f"the next run looks once more: {exc.message.splitlines()[0]}")
    return done


@dataclass(frozen=True)
class _Part:
    """One monitor: its page, and the verdicts that fail, by the look with which each began to."""

    watched: MonitorOnMain
    look: SignedLook
    page: Page
    pulls: tuple[int, ...]

    def onsets(self, history: Sequence[SignedLook]) -> tuple[Onset, ...]:
        failed = (part for part, v in self.look.details.look.verdicts.items() if v.phase is Phase.FAILED)
        found = tuple((began(part, history).id, part) for part in failed)
        # What fails for longer than anybody looks back was told when it began.
        old = history[0].id if len(history) > MOST_WINDOWS else ""
        return tuple(onset for onset in found if onset[0] != old)


@dataclass(frozen=True)
class _Work:
    teller: Teller
    looks: Looks

    @property
    def place(self) -> Place:
        return self.teller.place

    @property
    def main(self) -> Mainline:
        return self.teller.main

    def model(self, model: str, watched: Sequence[MonitorOnMain]) -> Iterator[ToldMonitor]:
        """What fails for one monitor keeps no other back."""
        problems: list[str] = []
        parts = [part for one in watched if one.model == model for part in tried(partial(self._part, one), problems)]
        posted = [self._posted(part, problems) for part in parts]
        alarm = next(iter(tried(partial(self._alarm, model, parts), problems)), "")
        problem = "; ".join(dict.fromkeys(problems))
        for part, comments in zip(parts, posted, strict=True):
            where, phase = part.watched.environment, part.look.details.look.phase
            yield ToldMonitor(model, where, phase, comments, alarm, problem)
        if problem and not parts:
            yield ToldMonitor(model, "", Phase.ERROR, {}, "", problem)

    def _posted(self, part: _Part, problems: list[str]) -> dict[int, str]:
        key, text = self._key(part), part.page.sticky
        return {pull: how for pull in part.pulls for how in tried(partial(self._stick, pull, key, text), problems)}

    def _key(self, part: _Part) -> str:
        return f"{self.teller.application}/monitor/{part.watched.model}/{part.watched.environment}"

    def _history(self, one: MonitorOnMain) -> tuple[SignedLook, ...]:
        """The looks at the version, while it served if it does no more, one for each window, oldest first."""
        found: dict[Span, SignedLook] = {}
        for look in self.looks.of(*one.name):
            if look.version == one.version and (one.until is None or look.window[1] <= one.until):
                found.setdefault(look.window, look)
        return tuple(found.values())

    def _part(self, one: MonitorOnMain) -> _Part | None:
        """None where nothing is to be told: of a version that serves no more, what was told while it did."""
        history = self._history(one)
        if not history or (one.until and history[-1].details.look.at <= one.until):
            return None
        # Whom an alarm calls is main's to say, not the job's that looked.
        tell = self.main.application().monitors.told(one.model)
        told = {**history[-1].told, "tell": {"people": tell.people, "teams": tell.teams}}
        if one.before and history[-1].window[0] < one.since:
            told |= {"came": one.since.isoformat(), "before": one.before}
        if one.until:
            told |= {"gone": one.until.isoformat(), "after": one.after, "brought": one.brought}
        page = report(told, [look.told for look in history[:-1]], run=self.teller.job.run_url)
        return _Part(one, history[-1], self._with_pictures(page), tuple(self._pulls(one)))

    def _pulls(self, one: MonitorOnMain) -> list[int]:
        """The one that brought the champion, then, if it serves, every open promotion and retraining of the model."""
        forge, branch = self.place.forge, self.place.branch
        brought = [p.number for p in forge.pulls.of_commit(one.brought) if p.is_merged and p.base.branch == branch]
        if not brought:
            self.place.say(f"no pull request brought {one.model} {one.version} to {one.environment}")
        if one.until:
            return brought[:1]
        environments = self.main.policy().environments
        proposed = (p for e in environments for p in open_promotions(self.place, self.main, one.model, e))
        again = forge.merges.under(f"{branch_of(self.main, RETRAIN, one.model)}/") if self._retrains(one.model) else ()
        asked = [p.number for p in again if p.base.branch == branch]
        return list(dict.fromkeys([*brought[:1], *(p.number for p in proposed), *asked]))

    def _retrains(self, model: str) -> bool:
        return model in self.main.application().retrain

    def _with_pictures(self, page: Page) -> Page:
        shown = partial(self.teller.shown, pictures=page.pictures)
        return Page(shown(page.sticky), page.alert and shown(page.alert))

    def _stick(self, pull: int, key: str, text: str) -> str:
        return self.teller.stick(pull, key, text)

    def _alarm(self, model: str, parts: Sequence[_Part]) -> str:
        """One short comment a day, where the most serious environment's version came from."""
        loud = [part for part in parts if part.page.alert and part.pulls]
        if not loud:
            return ""
        order = list(self.main.policy().environments)
        loud.sort(key=lambda p: -order.index(p.watched.environment) if p.watched.environment in order else 1)
        today = f"{self.teller.application}/alarm/{model}/{self.place.clock():%Y-%m-%d}"
        told = self._told(model, {pull for part in parts for pull in part.pulls})
        before = {onset for key, onsets in told.items() if key != today for onset in onsets}
        fresh = [(part, onsets) for part in loud if set(onsets := part.onsets(self._history(part.watched))) - before]
        if not fresh:
            return ""
        there = before.union(*told.values())
        self._call([part for part, onsets in fresh if set(onsets) - there], loud[0].pulls[0])
        lines = [f"<!-- gitml:alarm:{look}:{verdict} -->" for _, onsets in fresh for look, verdict in onsets]
        text = "\n\n".join(part.page.alert or "" for part, _ in fresh)
        return self._stick(loud[0].pulls[0], today, "\n".join([*lines, "", text]))

    def _call(self, parts: Sequence[_Part], pull: int) -> None:
        """The webhook, before the comment: told twice is better than never."""
        monitors, page = self.main.application().monitors, self.place.page(f"pull/{pull}")
        for part in parts:
            if address := webhook_of(monitors.told(part.watched.model), self.teller.env, self.place.say):
                announce(address, webhook_body(part.look.told, page), self.place.say)

    def _told(self, model: str, pulls: set[int]) -> dict[str, set[Onset]]:
        """What our alarms of this model have said, by the keys of their days."""
        comments = (c for pull in sorted(pulls) for c in self.place.forge.comments.list(OnPull(pull)))
        found: dict[str, set[Onset]] = {}
        for body in (c.body for c in comments if c.author == self.teller.me):
            key = _KEY.match(body)
            if key and key[1].startswith(f"{self.teller.application}/alarm/{model}/"):
                found.setdefault(key[1], set()).update((one[1], one[2]) for one in _ALARM.finditer(body))
        return found
