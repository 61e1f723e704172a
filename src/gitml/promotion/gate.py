"""``gitml gate``: whether a pull request may promote, signed, and said on the pull request.

In the default branch's own workflow the judgement is signed, the status posted and the comment brought up to date;
everywhere else it is a preview. Only what is signed is ever green. A status stands on the commit that was judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gitml.control.place import Place
from gitml.control.signing import Signer, heard_or_unknown
from gitml.errors import GitmlError
from gitml.evidence.keys import SigningKey
from gitml.forges.base import OnPull, PullRequest, State, Status
from gitml.forges.governed import Review
from gitml.gate.beside import keep_judged
from gitml.gate.derived import statement_of as derived_statement
from gitml.gate.ground import Ground, ground
from gitml.gate.judge import Judged, judge
from gitml.gate.seen import keep_used
from gitml.gate.statement import is_known, statement_of
from gitml.gate.status import context_of
from gitml.gate.words import cut, line_of, state_of, text_of
from gitml.gates.facts import Unknown
from gitml.publishing.status import CONTEXT as TRAIN
from gitml.publishing.sticky import Age, Stamp, Sticky, mine, stick
from gitml.verdict import Phase

_ROUNDS = 3
NO_KEY = "nothing signs here (no GITML_SIGNING_KEY), so it stays shut; `gitml doctor` says what is missing"


@dataclass(frozen=True)
class GateOrder:
    """Which pull requests (None: every open one), and as whom.

    ``official``: statuses, comments and evidence are written; ``key`` signs. ``run`` is the address of the CI run and
    ``stamp`` its number and attempt.
    """

    numbers: tuple[int, ...] | None
    official: bool = False
    key: SigningKey | None = None
    run: str = ""
    stamp: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class GateOutcome:
    """What became of one pull request. ``state`` and ``line`` are those of the status.

    ``signed`` is the ledger's event, ``known`` when the same judgement was there already; ``problem`` what kept it
    from being judged or told.
    """

    number: int
    head: str
    state: State
    line: str
    judged: Judged | None = None
    signed: str = ""
    known: bool = False
    comment: str = ""
    problem: str = ""


def gate(place: Place, order: GateOrder) -> tuple[GateOutcome, ...]:
    """Each pull request in turn; one that cannot be judged does not keep the others back."""
    with ground(place) as known:
        work = _Work(place, order, known)
        pulls = _pulls(place, order)
        return tuple(work.run(pull) for pull in pulls)


def _pulls(place: Place, order: GateOrder) -> Sequence[PullRequest]:
    if order.numbers is None:
        return place.forge.pulls.all_open()
    found = [place.forge.pulls.get(number) for number in order.numbers]
    return [pull for pull in found if pull.is_open or not order.official]


@dataclass
class _Work:
    place: Place
    order: GateOrder
    ground: Ground

    @property
    def context(self) -> str:
        git, main = self.place.git, self.ground.main
        return context_of(main.application().application, git.prefix.rstrip("/"))

    def run(self, pull: PullRequest) -> GateOutcome:
        """Judge, tell, and look whether what it was judged on is still so: reviews may have come in meanwhile."""
        for _ in range(_ROUNDS):
            try:
                before = self._reviews(pull)
                outcome = self._once(pull)
                now = self.place.forge.pulls.get(pull.number) if self.order.official else pull
                if now.head.commit != pull.head.commit or not now.is_open or self._reviews(pull) == before:
                    return outcome
                pull = now
            except GitmlError as exc:
                return self._trouble(pull, exc)
        return outcome

    def _reviews(self, pull: PullRequest) -> tuple[Review, ...]:
        return self.place.forge.reviews.list(pull.number) if self.order.official else ()

    def _once(self, pull: PullRequest) -> GateOutcome:
        if pull.base.branch != self.place.branch:
            line = f"its base is {pull.base.branch}, not {self.place.branch}: there is nothing to judge yet"
            return self._post(GateOutcome(pull.number, pull.head.commit, State.PENDING, cut(line)))
        judged = judge(self.place, self.ground, pull)
        outcome = GateOutcome(pull.number, pull.head.commit, state_of(judged), line_of(judged), judged)
        if not self.order.official:
            return outcome
        self._sign_derived(judged)
        outcome = self._sign(outcome, judged)
        outcome = self._post(outcome)
        return self._comment(outcome, judged)

    def _sign(self, outcome: GateOutcome, judged: Judged) -> GateOutcome:
        """The same judgement is signed once. Without a signature nothing is green."""
        if not judged.is_promotion:
            return outcome
        heard = self.ground.heard
        if isinstance(heard, Unknown):
            return replace(outcome, state=_shut(outcome.state), line=cut(heard.reason), problem=heard.reason)
        every = [statement_of(self.place, heard, one, self.order.run) for one in judged.parts]
        fresh = [one for one in every if not is_known(heard, one)]
        if not fresh:
            return self._standing(replace(outcome, known=True))
        if self.order.key is None:
            line = NO_KEY if outcome.state is State.SUCCESS else outcome.line
            return replace(outcome, state=_shut(outcome.state), line=cut(line), problem=NO_KEY)
        try:
            if judged.decision:
                keep_used(self.place, self.ground.seen, judged.decision)
                keep_judged(self.place, judged.beside, judged.decision)
            event = Signer(self.place, self.ground.policy, self.order.key).sign(fresh)[0]
        except GitmlError as exc:
            return replace(outcome, state=State.ERROR, line=cut(f"not signed: {exc.message}"), problem=exc.message)
        self.ground = self.ground.listening(heard_or_unknown(self.place, self.ground.policy))
        return self._standing(replace(outcome, signed=event))

    def _standing(self, outcome: GateOutcome) -> GateOutcome:
        """What is signed opens nothing while the ledger is broken, unless it brings back what was approved before."""
        heard = self.ground.heard
        if (
            isinstance(heard, Unknown)
            or not heard.broken
            or heard.newest("gate", pull=outcome.number, head=outcome.head)
        ):
            return outcome
        why = f"the ledger was broken by {heard.broken[0].commit[:12]}: people of the override role have to accept that"
        return replace(outcome, state=_shut(outcome.state), line=cut(why), problem=why)

    def _sign_derived(self, judged: Judged) -> None:
        """Once, before the merge. What is not signed now `gitml ci record` makes up for."""
        fresh = [d for d in judged.derived if d.verdict.phase is Phase.SUCCESSFUL and not d.is_known]
        if not fresh or self.order.key is None:
            return
        main, digest, number = self.ground.main, self.ground.digest, judged.pull.number
        made = [derived_statement(self.place, main, digest, number, d, self.order.run) for d in fresh]
        try:
            Signer(self.place, self.ground.policy, self.order.key).sign(made, parents=[d.commit for d in fresh])
        except GitmlError as exc:
            self.place.say(f"#{number}: that its commits are the bot's could not be signed: {exc.message}")
            return
        self.ground = self.ground.listening(heard_or_unknown(self.place, self.ground.policy))

    def _post(self, outcome: GateOutcome) -> GateOutcome:
        if not self.order.official:
            return outcome
        commits, url = self.place.forge.commits, self.order.run
        wanted = Status(self.context, outcome.state, outcome.line, url)
        there = {s.context: s for s in commits.statuses(outcome.head)}
        if not _says(there.get(wanted.context), wanted):
            commits.post(outcome.head, wanted)
        judged = outcome.judged
        if judged and judged.decision and not judged.refused and TRAIN not in there:
            # What the bot pushes starts no training, and a status that is required must not keep it waiting.
            commits.post(
                outcome.head, Status(TRAIN, State.SUCCESS, "nothing to train: a deployment alone changes", url)
            )
        return outcome

    def _comment(self, outcome: GateOutcome, judged: Judged) -> GateOutcome:
        place, forge = OnPull(outcome.number), self.place.forge
        key = f"{self.ground.main.application().application}/gate"
        run, attempt = self.order.stamp
        note = f"**{outcome.problem}**" if outcome.problem else ""
        text = text_of(judged, self.order.run, note)
        me = forge.me() or self._me(outcome)
        sticky = Sticky(key, text, Stamp(outcome.head, run, attempt), me)
        age = Age(forge.commits, outcome.head, {})
        if not judged.is_promotion and not mine(forge.comments, place, sticky, age):
            return outcome
        try:
            return replace(outcome, comment=stick(forge.comments, place, sticky, age).url)
        except GitmlError as exc:
            # The status and the evidence stand; the comment is for people, and comes with the next call.
            self.place.say(f"#{outcome.number}: the comment could not be posted: {exc.message}")
            return outcome

    def _me(self, outcome: GateOutcome) -> str:
        """A token of an app or a job learns who it is from what it posted."""
        found = [s for s in self.place.forge.commits.statuses(outcome.head) if s.context == self.context]
        return found[0].author if found else ""

    def _trouble(self, pull: PullRequest, exc: GitmlError) -> GateOutcome:
        line = cut(f"could not be judged: {exc.message}")
        outcome = GateOutcome(pull.number, pull.head.commit, State.ERROR, line, problem=exc.message)
        try:
            return self._post(outcome)
        except GitmlError as again:
            self.place.say(f"#{pull.number}: the status could not be posted: {again.message}")
            return outcome


def _says(there: Status | None, wanted: Status) -> bool:
    return there is not None and (there.state, there.description) == (wanted.state, wanted.description)


def _shut(state: State) -> State:
    return State.PENDING if state is State.SUCCESS else state
