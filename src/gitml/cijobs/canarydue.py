"""Which candidates are to be judged now: on main beside a champion, and without a signed evaluation. From Git alone."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from gitml.control.mainline import SPEC, Mainline
from gitml.derivation.candidate import CandidateOnMain, candidates_on, guards_on
from gitml.errors import GitmlError
from gitml.evidence.canaries import Canaries
from gitml.evidence.evaluations import made_at
from gitml.evidence.trust import LEEWAY
from gitml.registry.deploymentpast import Past
from gitml.registry.desired import part_of
from gitml.registry.resolve import deployment_path
from gitml.spec import Application, Policy
from gitml.spec.deployment import Deployment, parse_deployment
from gitml.spec.policy import POLICY

_ORIGIN = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class WatchedCandidate:
    """A candidate, or a guard. ``together``: when main first had it beside this champion; ``since``: under these rules
    as well."""

    one: CandidateOnMain
    together: datetime
    since: datetime

    @property
    def ends(self) -> datetime:
        """The last look is soon after it."""
        return self.since + (
            self.one.rules.guard or self.one.rules.maximum if self.one.is_guard else self.one.rules.maximum
        )

    @property
    def modes(self) -> tuple[str, ...]:
        return ("split",) if self.one.part == "canary" else ("shadow",)


def candidates_of(main: Mainline, app: Application, policy: Policy) -> tuple[WatchedCandidate, ...]:
    """All of the application with their guards, by model and environment. Needs main's whole history."""
    places = ((model, environment) for model in app.models for environment in policy.environments)
    found = (one for p in places for one in (*candidates_on(main.tree, *p), *guards_on(main.tree, *p)))
    return tuple(_watched(main, one) for one in found)


def _watched(main: Mainline, one: CandidateOnMain) -> WatchedCandidate:
    first = _together(main, one)
    together = datetime.fromisoformat(first.time) if first else _ORIGIN
    return WatchedCandidate(one, together, max(together, _under_these_rules(main, one, first) or together))


def _came(main: Mainline, commit: str, first: str) -> datetime:
    """When a commit was on main: not before any that lies under it down to ``first``, since its date is what its
    committer wrote."""
    words = ("log", "--no-show-signature", "--first-parent", "--format=%cI", f"{first}..{commit}")
    return max(map(datetime.fromisoformat, main.git.text(*words).split()))


def _together(main: Mainline, one: CandidateOnMain) -> Past | None:
    """The state of the file that first had both, since when it has."""
    began = None
    for past in main.history(deployment_path(one.model, one.environment)):
        if not _has_both(past.content, one):
            break
        began = past
    return began


def _has_both(content: bytes | None, one: CandidateOnMain) -> bool:
    try:
        state = parse_deployment(content or b"", "deployment")
    except (GitmlError, ValueError):
        return False
    champion = (state.champion.version, state.champion.digest)
    is_there = any((pin.version, pin.digest) == one.pair.candidate for pin in state.pins[1:])
    return champion == one.pair.champion and is_there and _same_mode(state, one)


def _same_mode(state: Deployment, one: CandidateOnMain) -> bool:
    """A shadow that becomes canary is judged anew: what was paired then is split now."""
    return part_of(state, one.pin.version) == one.part


def _under_these_rules(main: Mainline, one: CandidateOnMain, first: Past | None) -> datetime | None:
    """When the newest commit came that changed the rules of its test since both are there."""
    found = []
    for path in (POLICY, SPEC):
        for past in main.history(path):
            # By the line and not by times: clocks of those who commit differ.
            if first is None or past.commit == first.commit or not main.git.is_ancestor(first.commit, past.commit):
                break
            if _digest_before(main, past.commit, one) != one.digest:
                found.append(_came(main, past.commit, first.commit))
                break
    return max(found, default=None)


def _digest_before(main: Mainline, commit: str, one: CandidateOnMain) -> str:
    try:
        tree = main.git.at(f"{commit}^")
        found = (guards_on if one.is_guard else candidates_on)(tree, one.model, one.environment)
    except GitmlError:
        return ""
    return next((other.digest for other in found if other.pin == one.pin), "")


def slot(every: timedelta, at: datetime) -> datetime:
    """The last moment of the schedule: looks are made at those alone, whenever a job comes.

    >>> slot(timedelta(hours=6), datetime(2026, 3, 1, 13, 5, tzinfo=UTC))
    datetime.datetime(2026, 3, 1, 12, 0, tzinfo=datetime.timezone.utc)
    """
    return at - (at - _ORIGIN) % every


def due_moment(watched: WatchedCandidate, canaries: Canaries, at: datetime) -> datetime | None:
    """For when it is to be judged; None where nothing is due: it failed, it was judged, or it was judged after the end
    of its test.

    All is counted anew each time, so looks that were missed are not made up for, but for the last one: it says that the
    test expired, however late a job comes.
    """
    moment = slot(watched.one.rules.every, at)
    if moment <= watched.since or canaries.failed(watched.one.pair):
        return None
    newest = _newest_look(watched, canaries)
    return None if newest is not None and newest >= min(moment, watched.ends) else moment


def _newest_look(watched: WatchedCandidate, canaries: Canaries) -> datetime | None:
    one = watched.one
    mine = (c.told for c in canaries.of(one.pair) if c.told.rules == one.digest and c.told.mode in watched.modes)
    return max((told.at for told in mine), default=None)


def next_evaluation(watched: Collection[WatchedCandidate], canaries: Canaries, at: datetime) -> datetime:
    """When something is due next: at once while something waits."""
    return min(_next(watched, canaries, at), default=datetime.max.replace(tzinfo=UTC))


def _next(watched: Collection[WatchedCandidate], canaries: Canaries, at: datetime) -> Iterator[datetime]:
    for one in watched:
        every, newest = one.one.rules.every, _newest_look(one, canaries)
        if due_moment(one, canaries, at):
            yield at
        elif not canaries.failed(one.one.pair) and (newest is None or newest < one.ends):
            yield slot(every, at) + every


def needed_since(watched: Collection[WatchedCandidate]) -> datetime | None:
    """No evaluation of these was signed before; None where there are none."""
    return min((made_at(one.one.pin.version) - LEEWAY for one in watched), default=None)
