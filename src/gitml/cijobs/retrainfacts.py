"""What is known of the models that gitml.yaml retrains: from main, the signed looks, the ledger and the forge.

Past retrainings are told from their branches: the pull requests of a branch stay at the forge, with their commits,
and each commit says for which moment it asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property

from gitml.cijobs.lookdue import MOST_WINDOWS
from gitml.cijobs.retrain import RETRAIN
from gitml.cijobs.retrain import branch_of as stale_branch
from gitml.control.change import branch_of
from gitml.control.looks import heard_looks
from gitml.control.mainline import Mainline
from gitml.control.place import Place
from gitml.control.signing import BelievedEvents, heard, rules_of
from gitml.control.upstreamchanges import SeenElsewhere, seen_elsewhere
from gitml.control.upstreams import Upstreams
from gitml.derivation import retrain
from gitml.derivation.claim import Claim, claim_of
from gitml.derivation.retrain import changes_anything, watched_on
from gitml.errors import GitmlError, SpecError
from gitml.evidence.looks import Looks
from gitml.evidence.statement import Statement
from gitml.forges.base import OnPull, PullRequest
from gitml.gate.mayrefuse import DeclineRights
from gitml.git.edit import bring
from gitml.registry.resolve import deployment_path
from gitml.registry.store import versions
from gitml.retraining.brakes import MONTH, WEEK, Brake, PastRetraining, Situation
from gitml.retraining.causes import BY_HAND, STALE, NamedLook
from gitml.retraining.data import changed_data
from gitml.retraining.declined import declined_of, refusals
from gitml.retraining.erased import remembered_by
from gitml.retraining.observed import KIND as OBSERVED
from gitml.retraining.observed import Downstream, last_observed
from gitml.retraining.upstream import changed_upstream
from gitml.spec.deployment import parse_deployment
from gitml.spec.retrain import RETRAIN_CAUSES, RetrainSpec

ENDED, OURS = "<!-- gitml:retrain:ended -->", "<!-- gitml:retrain:"
_MOST_COMMITS = 60
# Comments on pull requests that were last trained before say nothing of this week.
_TALKED = timedelta(days=60)


@dataclass(frozen=True)
class PastPull:
    """A pull request of a retraining, and the claims of its commits, oldest first, with their moments."""

    pull: PullRequest
    claims: tuple[tuple[datetime, Claim], ...]


@dataclass
class RetrainFacts:
    """Gathered once a run. ``main`` needs its history. ``since``: the first moment that is asked about."""

    place: Place
    main: Mainline
    now: datetime
    since: datetime | None = None
    looks: Looks = field(init=False)
    heard: BelievedEvents = field(init=False)
    _rights: DeclineRights = field(init=False, repr=False)

    def __post_init__(self) -> None:
        policy = self.main.policy()
        self._rights = DeclineRights(self.main, self.place)
        self.heard = heard(self.place, policy)
        self.looks = heard_looks(self.place, rules_of(self.place, policy), self._oldest, self.heard.believed)

    @cached_property
    def specs(self) -> Mapping[str, RetrainSpec]:
        app = self.main.application()
        return {name: spec for name, spec in app.retrain.items() if name in app.models}

    @property
    def _oldest(self) -> datetime:
        windows = [self.main.application().monitors.of(model).window for model in self.specs]
        return (self.since or self.now) - 2 * MOST_WINDOWS * max(windows, default=timedelta(days=1))

    def situations(self) -> tuple[Situation, ...]:
        """Of every model that is trained again, by the order of gitml.yaml."""
        past = {model: self.past(model) for model in self.specs}
        hours = sum(
            spec.cost.gpu_hours
            for model, spec in self.specs.items()
            for one in past[model]
            for run in one.runs
            if run > self.now - MONTH
        )
        return tuple(
            replace(self.situation(model, self.now), past=past[model], gpu_hours=hours) for model in self.specs
        )

    def situation(self, model: str, at: datetime, main: Mainline | None = None) -> Situation:
        """Without what was asked for before. ``main``: as it was then; rules and causes are always those of now."""
        elsewhere = self._elsewhere(model, at, main)
        main, spec, app = main or self.main, self.specs[model], self.main.application()
        watched, names = watched_on(main.tree, app, model), versions(main.tree, model)
        newest = names[-1] if names else ""
        return Situation(
            model=model, at=at, spec=spec, rules=self.main.policy().retraining, newest=newest,
            better=app.models[model].better, watched=watched, looks=self._named(model, at),
            data=changed_data(main.git, main.commit, model, newest, spec.data),
            upstream=changed_upstream(main.git, main.commit, model, at),
            observed=elsewhere.moved, unknown=elsewhere.unknown,
            erased=remembered_by(main.tree, model, newest),
            declined=declined_of(self._refusals(model), at),
            final=tuple(self._final(main, model, at)),
            changes=_changes(main, spec, at),
            promoted=max(champions(main, model).values(), default=None),
        )  # fmt: skip

    def _elsewhere(self, model: str, at: datetime, main: Mainline | None) -> SeenElsewhere:
        """What runs in other repositories: as they are now, and of a ``main`` of before as it was signed."""
        if "upstream" not in self.specs[model].causes:
            return SeenElsewhere()
        if main is None:
            return seen_elsewhere(self._upstreams, model, at)
        signed = (s for s in reversed(self.heard.all(OBSERVED, model=model)) if s.binding.moment <= at)
        return SeenElsewhere(last_observed(self.downstream(model, main), tuple(signed)))

    def downstream(self, model: str, main: Mainline | None = None) -> Downstream:
        """The model with what it needs. ``main``: as it was then; what it needs is always that of now."""
        return Downstream(self.main.application(), (main or self.main).tree, self.main.git.prefix.strip("/"), model)

    @cached_property
    def _upstreams(self) -> Upstreams:
        return Upstreams(self.place, self.main, self.heard)

    def _named(self, model: str, at: datetime) -> tuple[NamedLook, ...]:
        mine = (look for look in self.looks.counting if look.monitor[0] == model and look.said.time <= at)
        return tuple(NamedLook(look.said.name, look.said.time, look.details) for look in mine)

    def _refusals(self, model: str) -> tuple[Statement, ...]:
        return refusals(self.main.policy(), self.heard.believed, model, self._rights)

    def _final(self, main: Mainline, model: str, at: datetime) -> Iterator[Brake]:
        if wrong := _wrong_params(main, self.specs[model], at):
            yield Brake("params", wrong, is_final=True)
        yield from retrain.forbidden_on(main.tree, self.main.policy(), model, at)

    # What was asked for before.

    def branch(self, model: str, kind: str) -> str:
        if kind == STALE:
            return stale_branch(self.main.application().application)
        return branch_of(self.main, RETRAIN, model, kind)

    def past(self, model: str) -> tuple[PastRetraining, ...]:
        """Oldest first; also for causes that gitml.yaml names no more."""
        champion = champions(self.main, model)
        kinds = (*RETRAIN_CAUSES, BY_HAND, STALE)
        found = [self._told(one, kind, model, champion) for kind in kinds for one in self.pulls(model, kind)]
        return tuple(sorted(found, key=lambda one: (one.asked, one.pull)))

    def pulls(self, model: str, kind: str) -> Iterator[PastPull]:
        """Those of a branch whose commits claim it; of a stale main the open one alone."""
        branch = self.branch(model, kind)
        for pull in self.place.forge.pulls.of_branch(branch, closed=kind != STALE):
            if pull.base.branch != self.place.branch:
                continue
            claims = self.claims(pull.head.commit)
            mine = tuple(one for one in claims if one[1].subject == ("" if kind == STALE else f"{model} {kind}"))
            if mine:
                yield PastPull(pull, mine)

    def claims(self, head: str) -> tuple[tuple[datetime, Claim], ...]:
        """What the commits of a branch claim, oldest first: along it down to the one that stands on main alone.

        Raises OutsideError for one that cannot be had: what is not known of before would open too much.
        """
        bring(self.place.git, self.place.remote, head)
        words = ("log", "--first-parent", f"-{_MOST_COMMITS}", "--no-show-signature", "-z", "--format=%P%x1f%cI%x1f%B")
        found: list[tuple[datetime, Claim]] = []
        for entry in self.place.git.text(*words, head).split("\0"):
            above, time, message = (*entry.split("\x1f", 2), "", "")[:3]
            claim = claim_of(message)
            if claim and claim.kind == retrain.NAME:
                found.append((_moment(claim, time), claim))
                if above.split() == [claim.base]:
                    break
        return tuple(reversed(found))

    def _told(self, one: PastPull, kind: str, model: str, champion: Mapping[str, datetime]) -> PastRetraining:
        pull, runs = one.pull, tuple(time for time, _ in one.claims)
        # Closed with a label is closed for the time that the label says; only one that is signed counts.
        ended = ENDED in pull.body or any(one.binding.pull == pull.number for one in self._refusals(model))
        state = "open" if pull.is_open else "merged" if pull.is_merged else "ended" if ended else "closed"
        gained = self._gained(one, model, champion) if state == "merged" else False if state == "closed" else None
        talked = runs[-1] > self.now - _TALKED
        return PastRetraining(
            kind, runs, state, pull.number, gained, self._comments(pull) if talked else 0  # type: ignore[arg-type]
        )  # fmt: skip

    def _gained(self, one: PastPull, model: str, champion: Mapping[str, datetime]) -> bool | None:
        """Whether a version that it brought became champion; not decided while it is the newest one of a month."""
        git = self.place.git
        before = versions(git.at(one.claims[0][1].base), model)
        brought = set(versions(git.at(one.pull.head.commit), model)) - set(before)
        if brought & champion.keys():
            return True
        newest = versions(self.main.tree, model)[-1:]
        is_waiting = bool(brought & set(newest)) and one.claims[-1][0] > self.now - MONTH
        return None if is_waiting else False

    def _comments(self, pull: PullRequest) -> int:
        said = self.place.forge.comments.list(OnPull(pull.number))
        ours = (c for c in said if c.author == pull.author and OURS in c.body)
        return sum(datetime.fromisoformat(c.created) > self.now - WEEK for c in ours)


def champions(main: Mainline, model: str) -> Mapping[str, datetime]:
    """Every version that was a champion anywhere, and when it first was."""
    found: dict[str, datetime] = {}
    for place in main.environments(model):
        for past in main.history(deployment_path(model, place)):
            try:
                version = parse_deployment(past.content or b"", "deployment").champion.version
            except (GitmlError, ValueError):
                continue
            time = past.moment or datetime.max.replace(tzinfo=UTC)
            found[version] = min(time, found.get(version, time))
    return found


def _changes(main: Mainline, spec: RetrainSpec, at: datetime) -> bool:
    return bool(_wrong_params(main, spec, at)) or changes_anything(main.git, main.commit, spec, at)


def _wrong_params(main: Mainline, spec: RetrainSpec, at: datetime) -> str:
    """Why what is to be set cannot be set on main, or ""."""
    try:
        changes_anything(main.git, main.commit, spec, at)
    except SpecError as exc:
        return f"{spec.params} cannot be set: {exc.problems[0].message}"
    return ""


def _moment(claim: Claim, time: str) -> datetime:
    """What the commit claims, else when it was made: a branch can claim anything, and its commit be of any time."""
    for said in (claim.moment, time):
        try:
            found = datetime.fromisoformat(said)
        except ValueError:
            continue
        if found.tzinfo is not None:
            return found
    return datetime.min.replace(tzinfo=UTC)
