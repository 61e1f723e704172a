"""What policy is judged on, gathered from Git's trees, the ledger and DVC: bytes that are read, never run.

The deployment file comes from the head; versions, policy, roles and what tells which direction is better come from the
base branch. A file of a version counts only if it has the SHA-256 that the record says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from gitml.errors import SpecError
from gitml.evidence import bearing
from gitml.evidence.statement import Binding, SignedChange
from gitml.evidence.trust import Believed
from gitml.gate.beside import rules_of_test
from gitml.gate.changed import NOT_COMPARED, changes_since
from gitml.gate.departed import departure
from gitml.gate.described import misdescribed
from gitml.gate.members import members_of, with_members
from gitml.gate.tree import Edit, Edits, deployment
from gitml.gate.version import Shelf, original_of, record_of, verified, version_of
from gitml.gates.facts import (
    Commit,
    Facts,
    JudgedBeside,
    MemberFact,
    MonitorLook,
    Part,
    Person,
    Proof,
    Unknown,
    UpstreamFact,
    Version,
)
from gitml.policy.change import Move, classify
from gitml.policy.facts import Case, Pull
from gitml.registry.desired import part_of
from gitml.registry.record import Record
from gitml.spec.deployment import Deployment, Pin
from gitml.spec.policy import Policy

Proofs = tuple[Proof, ...] | Unknown
Lineage = Callable[[Record, Record | None, str], tuple[Commit, ...] | Unknown]
UpstreamsOf = Callable[[Record, str], tuple[UpstreamFact, ...] | Unknown]
_NOBODY_ASKS = Unknown("no gate of policy.yaml asks what it is built on")


def _nothing_known(_: Record, __: str) -> tuple[UpstreamFact, ...] | Unknown:
    return Unknown("nobody looked at the models that it is built on")


def _nobody_looked(_: Record, __: Record | None, ___: str) -> tuple[Commit, ...] | Unknown:
    return Unknown("nobody looked who made the version")


@dataclass(frozen=True)
class Sources:
    """Where facts are looked up. ``policy`` is the base branch's, ``believed`` the whole ledger, judged by its keys.

    ``lineage`` says whose commits a version came from, given its record, the champion's and the environment.
    ``teams`` are the members of the policy's teams, ``looks`` what the monitors saw, ``beside`` how candidates were
    judged beside their champions.
    """

    shelf: Shelf
    repository: str
    now: datetime
    policy: Policy
    believed: Sequence[Believed] | Unknown
    lineage: Lineage = _nobody_looked
    teams: Mapping[str, tuple[Person, ...] | Unknown] = field(default_factory=dict)
    looks: tuple[MonitorLook, ...] | Unknown = field(
        default_factory=lambda: Unknown("nobody read what the monitors saw")
    )
    beside: tuple[JudgedBeside, ...] | Unknown = field(
        default_factory=lambda: Unknown("nobody read how candidates were judged")
    )
    upstreams: UpstreamsOf = _nothing_known


def case_of(sources: Sources, found: Edits, edit: Edit, pull: Pull | Unknown) -> Case:
    """One edit of a deployment file, with all that policy is judged on. Never raises for what is in the files."""
    old, new = (deployment(sources.shelf.main.git, blob, edit.path) for blob in (edit.old, edit.new))
    proofs = proofs_of(sources, edit, None if isinstance(pull, Unknown) else pull.number)
    return Case(
        now=sources.now,
        repository=sources.repository,
        model=edit.model,
        environment=edit.environment,
        old=old,
        new=Unknown(found.stale) if found.stale else new,
        candidates=_candidates(sources, edit, old, new, proofs),
        pull=pull,
        blob=edit.new,
        teams=sources.teams,
        proofs=proofs,
        refused=(*found.refused, *_unknown_places(sources, edit)),
    )


def _unknown_places(sources: Sources, edit: Edit) -> Iterator[str]:
    if edit.environment not in sources.policy.environments:
        yield f"policy.yaml of the base branch has no environment {edit.environment}"
    if edit.model not in sources.shelf.application.models:
        yield f"gitml.yaml of the base branch has no model {edit.model}"


def proofs_of(sources: Sources, edit: Edit, pull: int | None) -> Proofs:
    """The ledger's statements as policy reads them. ``edit`` is the change that they may speak of, by ``pull``."""
    if isinstance(sources.believed, Unknown):
        return sources.believed
    told = [one for one in sources.believed if one.binding is not None]
    return tuple(
        one.unless(_not_of_this(sources, one.binding, edit, pull)) if one.binding and one.kind == "overridden" else one
        for one in told
    )


def _not_of_this(sources: Sources, about: Binding, edit: Edit, pull: int | None) -> str:
    """Why what people signed is not of this change, this pull request and this time."""
    main = sources.shelf.main
    if edit.old == edit.new:
        return "nothing changes"
    change = SignedChange(path=edit.path, old=edit.old, new=edit.new)
    return bearing.why_not(about, change, bearing.touched_in(main.git, change.path, main.commit), pull)


def _candidates(
    sources: Sources, edit: Edit, old: Deployment | Unknown | None, new: Deployment | Unknown | None, proofs: Proofs
) -> tuple[tuple[Part, str, Facts | Unknown], ...]:
    if isinstance(old, Unknown) or isinstance(new, Unknown) or edit.model not in sources.shelf.application.models:
        return ()
    change = classify(old, new, sources.now)
    champion = _champion(sources, edit.model, old) if change.judged else None
    found = ((part, pin, _facts(sources, edit, part, pin, champion, proofs)) for part, pin in change.judged)
    return tuple((part, pin.version, _described(sources, change.move, pin, facts)) for part, pin, facts in found)


def _described(sources: Sources, move: Move, pin: Pin, facts: Facts | Unknown) -> Facts | Unknown:
    """A promotion needs a record that says what its files say; a rollback goes to what ran, though they are gone."""
    if isinstance(facts, Unknown):
        return facts
    if move is Move.ROLLBACK:
        return replace(facts, left=departure(sources.shelf.main, facts.candidate.model, facts.environment, pin))
    if move is not Move.PROMOTION:
        return facts
    record = original_of(sources.shelf.main, facts.candidate.model, pin)
    return facts if isinstance(record, Unknown) else misdescribed(record, facts.candidate) or facts


@dataclass(frozen=True)
class _Known:
    record: Record
    version: Version


def _champion(sources: Sources, model: str, old: Deployment | None) -> _Known | Unknown | None:
    if old is None:
        return None
    record = original_of(sources.shelf.main, model, old.champion)
    if isinstance(record, Unknown):
        return record
    return _Known(record, version_of(sources.shelf, record))


def _facts(
    sources: Sources, edit: Edit, part: Part, pin: Pin, champion: _Known | Unknown | None, proofs: Proofs
) -> Facts | Unknown:
    found = _alone(sources, edit.model, edit.environment, pin, champion, proofs)
    if isinstance(found, Unknown):
        return found
    facts, record = found
    members = _members(sources, edit, record, facts, proofs)
    candidate = with_members(facts.candidate, members)
    return replace(facts, part=part, was=_was(sources, edit, pin), members=members, candidate=candidate)


def _members(
    sources: Sources, edit: Edit, record: Record, facts: Facts, proofs: Proofs
) -> tuple[MemberFact, ...] | Unknown:
    if facts.candidate.format != "ensemble":
        return ()

    def alone(model: str, pin: Pin) -> Facts | Unknown:
        try:
            old = sources.shelf.main.deployment(model, edit.environment)
        except (SpecError, ValueError) as exc:
            return Unknown(f"what {edit.environment} has of {model} cannot be read: {exc}")
        found = _alone(sources, model, edit.environment, pin, _champion(sources, model, old), proofs)
        if isinstance(found, Unknown):
            return found
        return misdescribed(found[1], found[0].candidate) or found[0]

    return members_of(sources.shelf, record, edit.environment, alone)


def _alone(
    sources: Sources, model: str, environment: str, pin: Pin, champion: _Known | Unknown | None, proofs: Proofs
) -> tuple[Facts, Record] | Unknown:
    """A version by itself, with its record; nothing of the edit is in it."""
    record = record_of(sources.shelf.main, model, pin)
    if isinstance(record, Unknown):
        return record
    before = champion.record if isinstance(champion, _Known) else None
    compared = verified(sources.shelf, record, proofs)
    authors = sources.lineage(record, before, environment)
    here = sources.policy.environments.get(environment)
    asked = here is not None and "upstream" in here.wanted(model)
    found = Facts(
        now=sources.now,
        repository=sources.repository,
        environment=environment,
        candidate=version_of(sources.shelf, record, compared=compared, authors=authors),
        champion=champion.version if isinstance(champion, _Known) else champion,
        order=tuple(sources.policy.environments),
        pinned=_pinned(sources, model, pin),
        proofs=proofs,
        exceptions=sources.policy.exceptions,
        looks=sources.looks,
        judged_beside=sources.beside,
        test_rules=rules_of_test(sources.shelf.main, model, environment),
        upstreams=sources.upstreams(record, environment) if asked else _NOBODY_ASKS,
        review_within=_review_within(sources, model),
        changed=changes_since(sources.shelf, before, record) if before else NOT_COMPARED,
    )
    return found, record


def _review_within(sources: Sources, model: str) -> timedelta | Unknown:
    spec = sources.shelf.application.models.get(model)
    found = sources.policy.reviews.within(spec) if spec else None
    return found or Unknown(f"neither `reviews` of policy.yaml nor gitml.yaml says how often {model} is reviewed")


def _was(sources: Sources, edit: Edit, pin: Pin) -> Part | None:
    """As what base has it there."""
    old = deployment(sources.shelf.main.git, edit.old, edit.path)
    return None if isinstance(old, Unknown) else part_of(old, pin.version)


def _pinned(sources: Sources, model: str, pin: Pin) -> frozenset[str]:
    """The environments whose champion on base is exactly this."""
    found = set()
    for environment in sources.policy.environments:
        try:
            state = sources.shelf.main.deployment(model, environment)
        except (SpecError, ValueError):
            continue  # what cannot be read pins nothing
        if state and (state.champion.version, state.champion.digest) == (pin.version, pin.digest):
            found.add(environment)
    return frozenset(found)
