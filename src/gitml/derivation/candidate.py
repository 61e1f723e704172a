"""What the proposals about a candidate share: what main has there, and the one evaluation that one follows from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from gitml.derivation.claim import Claim
from gitml.derivation.testrules import digest_of_test, rules_on
from gitml.errors import FailedError
from gitml.evidence.canaries import details_of
from gitml.evidence.evaluations import Pair, ToldEvaluation
from gitml.evidence.statement import Statement
from gitml.git.commands import Git
from gitml.git.edit import tree_with
from gitml.git.tree import Tree
from gitml.registry.desired import Part, part_of
from gitml.registry.resolve import deployment_in, deployment_path
from gitml.spec import Deployment, render_deployment
from gitml.spec.canary import CanaryRules
from gitml.spec.deployment import Pin

# An evaluation that is older says nothing of how the candidate does now.
FRESH = timedelta(days=2)


@dataclass(frozen=True)
class CandidateOnMain:
    """A version that is canary or shadow beside a champion, where policy.yaml says how it is judged.

    ``digest`` is that of the rules of its test.
    """

    model: str
    environment: str
    state: Deployment
    part: Part
    pin: Pin
    rules: CanaryRules
    digest: str

    @property
    def weight(self) -> float:
        """Percent of the traffic that it answers."""
        canary = self.state.canary
        return float(canary.weight) if canary and self.part == "canary" else 0.0

    @property
    def pair(self) -> Pair:
        arms = ((pin.version, pin.digest) for pin in (self.pin, self.state.champion))
        return Pair(self.model, self.environment, *arms)

    @property
    def is_guard(self) -> bool:
        """A shadow that is older than the champion was there before: it is no candidate."""
        return self.part == "shadow" and self.pin.version < self.state.champion.version

    @property
    def subject(self) -> str:
        return f"{self.model} {self.environment} {self.pin.version}"

    @property
    def next_weight(self) -> float | None:
        """The next of the policy's steps; None where only the champion's place comes next."""
        found = self.rules.step_after(self.weight)
        return None if found == "champion" else found

    def is_held(self, now: datetime) -> bool:
        hold = self.state.hold
        return hold is not None and (hold.until is None or hold.until > now)


def candidates_on(tree: Tree, model: str, environment: str) -> tuple[CandidateOnMain, ...]:
    """The canary, then the shadows. Empty where nobody judges. Raises SpecError for files that cannot be read."""
    return tuple(one for one in _beside(tree, model, environment) if not one.is_guard)


def undecided_on(tree: Tree, model: str, environment: str) -> tuple[str, ...]:
    """Versions that are tried beside the champion: candidates, and a canary that nobody judges. Raises as above."""
    state = deployment_in(tree, model, environment)
    found = [one.pin.version for one in candidates_on(tree, model, environment)]
    return tuple(dict.fromkeys([*found, *([state.canary.version] if state and state.canary else [])]))


def guards_on(tree: Tree, model: str, environment: str) -> tuple[CandidateOnMain, ...]:
    """Shadows that were there before the champion, where policy.yaml lets them guard. Raises as ``candidates_on``."""
    return tuple(one for one in _beside(tree, model, environment) if one.is_guard and one.rules.guard)


def _beside(tree: Tree, model: str, environment: str) -> Iterator[CandidateOnMain]:
    rules = rules_on(tree, model, environment)
    state = deployment_in(tree, model, environment) if rules else None
    if rules is None or state is None:
        return
    digest = digest_of_test(tree, model, environment, rules)
    for pin in state.pins[1:]:
        part = part_of(state, pin.version) or "shadow"
        yield CandidateOnMain(model, environment, state, part, plain_pin(pin), rules, digest)


def plain_pin(pin: Pin) -> Pin:
    return Pin(version=pin.version, digest=pin.digest)


def claimed(git: Git, claim: Claim, *, guard: bool = False) -> CandidateOnMain:
    """The candidate (or guard) that the subject, ``MODEL ENVIRONMENT VERSION``, names. Raises FailedError."""
    parts = claim.subject.split(" ")
    if len(parts) != 3:
        raise FailedError("does not name model, environment and version alone")
    model, environment, version = parts
    there = (guards_on if guard else candidates_on)(git.at(claim.base), model, environment)
    found = [one for one in there if one.pin.version == version]
    if not found:
        raise FailedError(f"{version or 'nothing'} is no candidate of {model} that is judged in {environment or 'it'}")
    return found[0]


def judged(one: CandidateOnMain, causes: Sequence[Statement]) -> ToldEvaluation:
    """The one evaluation of exactly this candidate beside exactly this champion that is named as the cause."""
    if len(causes) != 1:
        raise FailedError("names not exactly one evaluation as its cause")
    try:
        told = details_of(causes[0]).evaluation
    except ValueError as exc:
        raise FailedError(f"names a cause that {exc}") from None
    if told.pair != one.pair:
        raise FailedError("names an evaluation of another candidate, or beside another champion")
    return told


def tree_of(git: Git, claim: Claim, one: CandidateOnMain, wanted: Deployment) -> str:
    path = f"{git.prefix}{deployment_path(one.model, one.environment)}"
    base = git.repository.tree_of(claim.base) or ""
    return tree_with(git.repository, base, path, render_deployment(wanted).encode())
