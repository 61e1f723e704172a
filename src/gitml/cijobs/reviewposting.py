"""``gitml ci monitor publish``, of reviews: that one is due stands where the version that runs came from.

A comment of its own for each review that is missed; it is edited when somebody signed one. It follows from main and the
ledger, so a run that was killed is made up for by the next one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from gitml.cijobs.telling import Teller, tried
from gitml.control.mainline import Mainline
from gitml.evidence.trust import Believed
from gitml.gates.facts import Proof
from gitml.gates.review_age import reviews
from gitml.reports.accountable import review_due
from gitml.spec import Application, Deployment, Policy


@dataclass(frozen=True)
class ToldReview:
    """``why`` it is due, or what ended that. ``comments``: pull request → posted, updated, unchanged or superseded."""

    model: str
    environment: str
    is_due: bool
    why: str
    comments: Mapping[int, str] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True)
class RunningModel:
    """A model that has to be reviewed, where it runs nearest to its users, and its reviews, the newest first."""

    name: str
    environment: str
    state: Deployment
    within: timedelta
    reviews: Sequence[Proof]

    @property
    def due(self) -> datetime:
        """When it is reviewed next; long ago where nobody ever did, or the last review failed."""
        last = self.reviews[0] if self.reviews else None
        return last.time + self.within if last and last.result == "passed" else datetime.min.replace(tzinfo=UTC)

    @property
    def why(self) -> str:
        if not self.reviews:
            return "it runs, and no review of it is signed"
        last = self.reviews[0]
        if last.result != "passed":
            return f"its review of {last.time:%Y-%m-%d} failed"
        return f"its review was due on {self.due:%Y-%m-%d}, {self.within.days} days after the last one"


def wants_reviews(policy: Policy, app: Application) -> bool:
    """Whether somebody said of a model how often it is reviewed."""
    return any(policy.reviews.within(model) for model in app.models.values())


def reviewed_models(main: Mainline, believed: Sequence[Believed]) -> Iterator[RunningModel]:
    """Those that run on main and have to be reviewed, by policy.yaml or gitml.yaml."""
    policy, app = main.policy(), main.application()
    for name, model in app.models.items():
        within = policy.reviews.within(model)
        states = {e: s for e in policy.environments if (s := main.deployment(name, e)) and not s.retired}
        if within and states:
            environment, state = [*states.items()][-1]
            yield RunningModel(name, environment, state, within, reviews(believed, name))


def next_review(models: Sequence[RunningModel], at: datetime) -> datetime:
    """When something is to be told next."""
    return min((one.due for one in models if one.due > at), default=datetime.max.replace(tzinfo=UTC))


def tell_reviews(teller: Teller, models: Sequence[RunningModel]) -> tuple[ToldReview, ...]:
    """What fails for one keeps no other back."""
    return tuple(told for one in models for told in _told(teller, one))


def _told(teller: Teller, one: RunningModel) -> Iterator[ToldReview]:
    is_due, problems = one.due <= teller.place.clock(), list[str]()
    pulls = [
        pull
        for found in tried(lambda: teller.brought(one.name, one.environment, one.state.champion.version), problems)
        for pull in found
    ]
    if is_due:
        key, text = _key(teller, one, 0), review_due(one.name, one.environment, one.why)
    else:
        # What was told of the review before this one is over.
        last, key = one.reviews[0], _key(teller, one, 1)
        said = (
            f"{last.by or 'CI'} signed on {last.time:%Y-%m-%d} that it may go on"
            if last.kind == "reviewed"
            else (f"people approved a promotion on {last.time:%Y-%m-%d}")
        )
        text = review_due(one.name, one.environment, "It was overdue", done=said)
        pulls = [p for p in pulls for there in tried(lambda p=p: teller.has(p, key), problems) if there]  # type: ignore[misc]
    comments = {
        pull: how
        for pull in pulls
        for how in tried(lambda pull=pull: teller.stick(pull, key, text), problems)  # type: ignore[misc]
    }
    if is_due or comments or problems:
        why = one.why if is_due else "reviewed"
        yield ToldReview(one.name, one.environment, is_due, why, comments, "; ".join(dict.fromkeys(problems)))


def _key(teller: Teller, one: RunningModel, place: int) -> str:
    """By the review that was the last one, so that a new one begins a new comment."""
    last = one.reviews[place] if len(one.reviews) > place else None
    return f"{teller.application}/review/{one.name}/{f'{last.time:%Y-%m-%dT%H%M%S}' if last else 'never'}"
