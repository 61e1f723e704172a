"""What an ensemble pins: a member that nobody promoted must itself pass what policy asks of its model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from gitml.errors import SpecError
from gitml.gate.tree import deployment
from gitml.gate.version import Shelf, file_of
from gitml.gates.facts import Commit, Facts, MemberFact, Part, Unknown, Version
from gitml.registry.desired import part_of
from gitml.registry.record import Record
from gitml.registry.resolve import deployment_path
from gitml.spec.deployment import Deployment, Pin
from gitml.spec.ensemble import Combiner, Member, parse_ensemble

# The facts of a version of another model, as if it were promoted alone.
Alone = Callable[[str, Pin], Facts | Unknown]


def members_of(shelf: Shelf, record: Record, environment: str, alone: Alone) -> tuple[MemberFact, ...] | Unknown:
    """The members and the combiner of the ensemble, from the file that its record vouches for."""
    raw = file_of(shelf, record, record.artifact)
    if isinstance(raw, Unknown):
        return Unknown(f"what the ensemble pins is not known: {raw.reason}")
    try:
        wanted = parse_ensemble(raw, record.artifact)
    except SpecError as exc:
        return Unknown(f"what the ensemble pins cannot be read: {exc.problems[0]}")
    return tuple(_member(shelf, pin, environment, alone) for pin in wanted.pins)


def _member(shelf: Shelf, pin: Member | Combiner, environment: str, alone: Alone) -> MemberFact:
    part = _part(shelf, pin, environment)
    if part is not None:
        return MemberFact(pin.model, pin.version, part, Unknown("it is there, so nobody asked"))
    if pin.model not in shelf.application.models:
        return MemberFact(pin.model, pin.version, None, Unknown(f"gitml.yaml has no model {pin.model}"))
    facts = alone(pin.model, Pin(version=pin.version, digest=pin.digest))
    if not isinstance(facts, Unknown) and facts.candidate.format == "ensemble":
        facts = Unknown(f"{pin.model} is an ensemble itself: pin its members")
    return MemberFact(pin.model, pin.version, None, facts)


def _part(shelf: Shelf, pin: Member | Combiner, environment: str) -> Part | None:
    """As what base has exactly these bytes in the environment."""
    path = deployment_path(pin.model, environment)
    entry = shelf.main.tree.entry(path)
    state = deployment(shelf.main.git, entry.id, path) if entry else None
    if not isinstance(state, Deployment):
        return None
    pins = (state.champion, *([state.canary] if state.canary else []), *state.shadow)
    exact = any((one.version, one.digest) == (pin.version, pin.digest) for one in pins)
    return part_of(state, pin.version) if exact else None


def with_members(candidate: Version, members: tuple[MemberFact, ...] | Unknown) -> Version:
    """Who made a member that nobody promoted made the ensemble too: they do not approve it."""
    if isinstance(members, Unknown):
        return candidate
    authors: list[Commit] = []
    for source in (candidate, *(m.facts.candidate for m in members if isinstance(m.facts, Facts))):
        if isinstance(source.authors, Unknown):
            return replace(candidate, authors=source.authors)
        authors += source.authors
    return replace(candidate, authors=tuple(dict.fromkeys(authors)))
