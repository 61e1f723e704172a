"""Pull requests about a candidate: make it champion, give it more traffic, take it back. By the bot, or by a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from gitml.control.change import (
    OVERTAKEN,
    PROMOTE,
    RAISE,
    RELIEVE,
    ROLLBACK,
    TAKE_BACK,
    Put,
    Wish,
    branch_of,
    put_branch,
    put_pull,
)
from gitml.control.mainline import Mainline
from gitml.control.place import Place
from gitml.control.proofs import ledger_of
from gitml.derivation import raising, relief, reversion, succession, takeback
from gitml.derivation.candidate import CandidateOnMain
from gitml.derivation.claim import Claim, claim_of, moment_of
from gitml.errors import FailedError
from gitml.evidence.canaries import SignedCanary
from gitml.forges.base import OnPull, PullRequest
from gitml.forges.governed import Asked, Reviewers
from gitml.git.edit import bring
from gitml.promotion.promote import Proposed, ask
from gitml.promotion.text import Story, origin_of
from gitml.reports.promotion import short
from gitml.spec import Deployment, Policy
from gitml.spec.canary import CanaryChange

KINDS = {
    succession.NAME: PROMOTE,
    raising.NAME: RAISE,
    takeback.NAME: TAKE_BACK,
    reversion.NAME: ROLLBACK,
    relief.NAME: RELIEVE,
}

_APPROVED_AS: Mapping[str, CanaryChange] = {
    succession.NAME: "promote",
    raising.NAME: "raise",
    takeback.NAME: "take-back",
    relief.NAME: "take-back",
}


@dataclass(frozen=True)
class AgentStop:
    """``name`` of the event in which an agent says that it stopped a canary, and why it did."""

    name: str
    reason: str


@dataclass(frozen=True)
class CandidateWish:
    """``kind`` of derivation, and the deployment file that follows. ``cause``: the evaluation that it follows from, or
    ``stop``, what an agent says."""

    kind: str
    one: CandidateOnMain
    wanted: Deployment
    cause: SignedCanary | None = None
    draft: bool = False
    stop: AgentStop | None = None

    @property
    def title(self) -> str:
        name = f"{self.one.model}@{short(self.one.pin.version)}"
        if self.kind == takeback.NAME:
            return f"Take {name} back in {self.one.environment}"
        if self.kind == relief.NAME:
            return f"Stop {name} guarding {self.one.environment}"
        if self.kind == reversion.NAME:
            return f"Roll back {self.one.model} to {short(self.one.pin.version)} in {self.one.environment}"
        if self.kind == raising.NAME:
            return f"Give {name} {self.weight:g} % of the traffic in {self.one.environment}"
        return f"Make {name} the champion of {self.one.environment}"

    @property
    def weight(self) -> float:
        return float(self.wanted.canary.weight) if self.wanted.canary else 0.0

    def branch(self, main: Mainline) -> str:
        # Not the branch of a rollback by hand, whose words are others.
        more = {raising.NAME: f"-{self.weight:g}", reversion.NAME: "-guard"}.get(self.kind, "")
        version = f"{self.one.pin.version}{more}"
        return branch_of(main, KINDS[self.kind], self.one.model, self.one.environment, version)

    @property
    def reason(self) -> str:
        """Why, in one sentence; '' where it may be asked for at any time."""
        return self.cause.told.reason if self.cause else self.stop.reason if self.stop else ""

    def claim(self, main: Mainline, now: datetime) -> Claim:
        causes = (self.cause.said.name,) if self.cause else (self.stop.name,) if self.stop else ()
        return Claim(self.kind, main.commit, causes, f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}", self.one.subject)


def propose_candidate(place: Place, main: Mainline, wish: CandidateWish, now: datetime) -> Proposed:
    """Open it, or bring the open one up to date; called twice it does nothing the second time.

    ``now`` is the moment of its claim, with which ``wish.wanted`` was derived.
    """
    one, policy = wish.one, _asking(main.policy(), wish)
    reason = wish.reason
    story = Story(
        place=place,
        main=main,
        record=main.record(one.model, one.pin.version),
        model=one.model,
        environment=one.environment,
        version=one.pin.version,
        old=one.state,
        new=wish.wanted,
        policy=policy,
        application=main.application(),
        ledger=ledger_of(place, main),
        origin=origin_of(place, main, one.model, one.pin.version),
        reason=reason,
        is_rollback=wish.kind == reversion.NAME,
    )
    change = Wish(
        model=one.model,
        environment=one.environment,
        branch=wish.branch(main),
        wanted=wish.wanted,
        title=wish.title,
        words=f"{one.pin.version}\n",
        reason=reason,
        asked_by=(),
        claim=wish.claim(main, now).trailers(),
        draft=wish.draft,
    )
    put = put_pull(place, change, put_branch(place, change, main), story.text)
    if put.pull.is_draft and not wish.draft:
        put = Put(place.forge.pulls.ready(put.pull.number), "ready")
    # Where the forge has no drafts its gate is shut, and nobody need look yet.
    asked = Asked(Reviewers())
    if not wish.draft:
        asked = ask(place, put.pull, policy, one.environment, without=story.shut_out)
    return Proposed(one.model, one.pin.version, one.environment, put.pull, put.how, asked)


def _asking(policy: Policy, wish: CandidateWish) -> Policy:
    """As far as this is concerned: who approves it, where the rules for candidates say that."""
    name = _APPROVED_AS.get(wish.kind)
    asked = wish.one.rules.approvals.get(name) if name else None
    if asked is None:
        return policy
    here = policy.environments[wish.one.environment].model_copy(update={"approvals": asked})
    return policy.model_copy(update={"environments": {**policy.environments, wish.one.environment: here}})


def refused_by_people(place: Place, branch: str) -> PullRequest | None:
    """The newest pull request of the branch, where people closed it; what the bot closes says so in a comment."""
    known = [p for p in place.forge.pulls.of_branch(branch, closed=True) if p.base.branch == place.branch]
    if not known or any(p.is_open for p in known) or known[-1].is_merged:
        return None
    said = place.forge.comments.list(OnPull(known[-1].number))
    return None if any(c.author == known[-1].author and c.body.startswith(OVERTAKEN) for c in said) else known[-1]


@dataclass(frozen=True)
class OpenProposal:
    """One of the bot's that is open, as its commit claims it: of ``moment``."""

    pull: PullRequest
    kind: str
    model: str
    environment: str
    version: str
    moment: datetime

    @property
    def subject(self) -> str:
        return f"{self.model} {self.environment} {self.version}"


def open_proposals(place: Place, main: Mainline, models: Sequence[str]) -> tuple[OpenProposal, ...]:
    """Those about candidates. A promotion that a person asked for is none."""
    found = []
    for kind, prefix in KINDS.items():
        for model in models:
            for pull in place.forge.merges.under(f"{branch_of(main, prefix, model)}/"):
                claim = _claimed(place, pull) if pull.base.branch == place.branch else None
                moment = _moment(claim)
                if claim and claim.kind == kind and moment:
                    _, environment, version = (*claim.subject.split(" "), "", "", "")[:3]
                    found.append(OpenProposal(pull, kind, model, environment, version, moment))
    return tuple(found)


def _moment(claim: Claim | None) -> datetime | None:
    try:
        return moment_of(claim) if claim else None
    except FailedError:
        return None


def _claimed(place: Place, pull: PullRequest) -> Claim | None:
    bring(place.git, place.remote, pull.head.commit)
    return claim_of(place.git.text("show", "-s", "--format=%B", "--no-show-signature", pull.head.commit))
