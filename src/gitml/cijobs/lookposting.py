"""``gitml ci monitor publish``: what signed looks say stands on the pull requests that they concern.

One comment for each monitor stays up to date. Edits notify nobody, so when a verdict fails that did not, a short new
comment is posted as well: one for each model and day, into which the rest of the day is edited. What is to be said
follows from the signed looks and the comments that are there, so a run that was killed is made up for by the next one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TypeVar

from gitml.cijobs.lookdue import MOST_WINDOWS, MonitorOnMain, Span, monitors_of, needed_looks, next_due
from gitml.control.looks import heard_looks, mark_told
from gitml.control.mainline import Mainline
from gitml.control.place import Place
from gitml.control.signing import rules_of
from gitml.errors import GitmlError
from gitml.evidence.looks import Looks, SignedLook
from gitml.forges.base import OnPull, State, Status
from gitml.forges.job import ForgeJob
from gitml.git.assets import BRANCH as ASSETS
from gitml.git.assets import address_of, push_pictures
from gitml.promotion.promote import open_promotions
from gitml.publishing.posting import Publisher, post
from gitml.publishing.sticky import Age, Stamp, Sticky
from gitml.publishing.webhook import address_of as webhook_of
from gitml.publishing.webhook import announce
from gitml.publishing.whoami import login_of
from gitml.reports.lookhook import webhook_body
from gitml.reports.monitor import Page, report
from gitml.verdict import Phase

CONTEXT = "gitml/monitor"
_ALARM = re.compile(r"<!-- gitml:alarm:([0-9a-f]{64}):([a-z]+) -->")
_KEY = re.compile(r"<!-- gitml:report:([^ ]+) -->")
Onset = tuple[str, str]
T = TypeVar("T")


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


def publish(place: Place, job: ForgeJob, env: Mapping[str, str]) -> tuple[ToldMonitor, ...]:
    """Every monitor that has a signed look. ``env``: the PATH on which cml is looked for, and secrets by their names.

    One that fails does not keep the others back. Raises OutsideError when the looks cannot be read.
    """
    main = place.newest(whole=True)
    watched = tuple(monitors_of(main, main.application()))
    rules, now = rules_of(place, main.policy()), place.clock()
    looks = needed_looks(lambda since: heard_looks(place, rules, since), watched, now)
    work = _Work(place, main, job, looks, env)
    told = tuple(one for model in dict.fromkeys(w.model for w in watched) for one in work.model(model, watched))
    if not any(one.problem for one in told):
        try:
            mark_told(place, main.commit, next_due(watched, looks, now))
        except GitmlError as exc:
            place.say(f"the next run looks once more: {exc.message.splitlines()[0]}")
    return told


@dataclass(frozen=True)
class _Part:
    """One monitor: its page, and the verdicts that fail, by the look with which each began to."""

    watched: MonitorOnMain
    look: SignedLook
    page: Page
    pulls: tuple[int, ...]

    def onsets(self, history: Sequence[SignedLook]) -> tuple[Onset, ...]:
        failed = (part for part, v in self.look.details.look.verdicts.items() if v.phase is Phase.FAILED)
        found = tuple((_began(part, history), part) for part in failed)
        # What fails for longer than anybody looks back was told when it began.
        old = history[0].id if len(history) > MOST_WINDOWS else ""
        return tuple(onset for onset in found if onset[0] != old)


def _began(part: str, history: Sequence[SignedLook]) -> str:
    """The first look of those that fail, up to the last that was well; one that could not tell is no end."""
    first = history[-1].id
    for look in reversed(history):
        verdict = look.details.look.verdicts.get(part)  # type: ignore[call-overload]
        if verdict is None or verdict.phase is Phase.SUCCESSFUL:
            break
        first = look.id if verdict.phase is Phase.FAILED else first
    return first


def _tried(call: Callable[[], T | None], problems: list[str]) -> Iterator[T]:
    """What the call gives, if anything; what went wrong joins the problems."""
    try:
        found = call()
    except GitmlError as exc:
        problems.append(exc.message.splitlines()[0])
        return
    if found is not None:
        yield found


@dataclass(frozen=True)
class _Work:
    place: Place
    main: Mainline
    job: ForgeJob
    looks: Looks
    env: Mapping[str, str]

    def model(self, model: str, watched: Sequence[MonitorOnMain]) -> Iterator[ToldMonitor]:
        """What fails for one monitor keeps no other back."""
        problems: list[str] = []
        parts = [part for one in watched if one.model == model for part in _tried(partial(self._part, one), problems)]
        posted = {part.watched.environment: self._posted(part, problems) for part in parts}
        alarm = next(iter(_tried(partial(self._alarm, model, parts), problems)), "")
        problem = "; ".join(dict.fromkeys(problems))
        for part in parts:
            where, phase = part.watched.environment, part.look.details.look.phase
            yield ToldMonitor(model, where, phase, posted[where], alarm, problem)
        if problem and not parts:
            yield ToldMonitor(model, "", Phase.ERROR, {}, "", problem)

    def _posted(self, part: _Part, problems: list[str]) -> dict[int, str]:
        key, text = self._key(part), part.page.sticky
        return {pull: how for pull in part.pulls for how in _tried(partial(self._stick, pull, key, text), problems)}

    def _key(self, part: _Part) -> str:
        return f"{self._application}/monitor/{part.watched.model}/{part.watched.environment}"

    @cached_property
    def _application(self) -> str:
        return self.main.application().application

    def _history(self, one: MonitorOnMain) -> tuple[SignedLook, ...]:
        """The looks at the version that serves, one for each window, oldest first."""
        found: dict[Span, SignedLook] = {}
        for look in self.looks.of(*one.name):
            if look.version == one.version:
                found.setdefault(look.window, look)
        return tuple(found.values())

    def _part(self, one: MonitorOnMain) -> _Part | None:
        history = self._history(one)
        if not history:
            return None
        # Whom an alarm calls is main's to say, not the job's that looked.
        tell = self.main.application().monitors.told(one.model)
        told = {**history[-1].told, "tell": {"people": tell.people, "teams": tell.teams}}
        page = report(told, [look.told for look in history[:-1]], run=self.job.run_url)
        return _Part(one, history[-1], self._with_pictures(page), tuple(self._pulls(one)))

    def _pulls(self, one: MonitorOnMain) -> list[int]:
        """The one that brought the champion, then every open promotion of the model."""
        forge, branch = self.place.forge, self.place.branch
        brought = [p.number for p in forge.pulls.of_commit(one.brought) if p.is_merged and p.base.branch == branch]
        if not brought:
            self.place.say(f"no pull request brought {one.model} {one.version} to {one.environment}")
        environments = self.main.policy().environments
        proposed = (p for e in environments for p in open_promotions(self.place, self.main, one.model, e))
        return list(dict.fromkeys([*brought[:1], *(p.number for p in proposed)]))

    def _with_pictures(self, page: Page) -> Page:
        """With addresses in place of names; without the pictures, where they cannot be pushed."""
        if not page.pictures:
            return page
        try:
            places = {name: address_of(name, content) for name, content in page.pictures.items()}
            push_pictures(self.place.remote, {places[name]: raw for name, raw in page.pictures.items()})
        except GitmlError as exc:
            self.place.say(f"the report goes without pictures: {exc.message}")
            places = {}

        def shown(text: str) -> str:
            for name in page.pictures:
                where = places.get(name)
                image = re.compile(rf"!\[([^\]\n]*)\]\({re.escape(name)}\)")
                address = f"{self.place.settings.home}/raw/{ASSETS}/{where}"
                text = image.sub(rf"![\1]({address})" if where else "", text)
            return text

        return Page(shown(page.sticky), page.alert and shown(page.alert))

    @cached_property
    def _me(self) -> str:
        status = Status(CONTEXT, State.SUCCESS, "looks are told", self.job.run_url)
        return login_of(self.place.forge, self.main.commit, status, self.place.say)

    def _stick(self, pull: int, key: str, text: str) -> str:
        place, application = self.place, self.main.application()
        sticky = Sticky(key, text, Stamp(self.main.commit, self.job.run, self.job.attempt), self._me)
        publisher = Publisher(application.publisher, place.settings, place.say, self.env.get("PATH"))
        age = Age(place.forge.commits, self.main.commit, {})
        posted, _ = post(publisher, place.forge.comments, OnPull(pull), sticky, age)
        return posted.how

    def _alarm(self, model: str, parts: Sequence[_Part]) -> str:
        """One short comment a day, where the most serious environment's version came from."""
        loud = [part for part in parts if part.page.alert and part.pulls]
        if not loud:
            return ""
        order = list(self.main.policy().environments)
        loud.sort(key=lambda p: -order.index(p.watched.environment) if p.watched.environment in order else 1)
        today = f"{self._application}/alarm/{model}/{self.place.clock():%Y-%m-%d}"
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
            if address := webhook_of(monitors.told(part.watched.model), self.env, self.place.say):
                announce(address, webhook_body(part.look.told, page), self.place.say)

    def _told(self, model: str, pulls: set[int]) -> dict[str, set[Onset]]:
        """What our alarms of this model have said, by the keys of their days."""
        comments = (c for pull in sorted(pulls) for c in self.place.forge.comments.list(OnPull(pull)))
        found: dict[str, set[Onset]] = {}
        for body in (c.body for c in comments if c.author == self._me):
            key = _KEY.match(body)
            if key and key[1].startswith(f"{self._application}/alarm/{model}/"):
                found.setdefault(key[1], set()).update((one[1], one[2]) for one in _ALARM.finditer(body))
        return found
