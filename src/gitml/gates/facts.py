"""What a version is judged on: frozen records without I/O. ``gitml.gate.facts`` gathers them.

Wherever something can be missing, its place holds ``Unknown`` with the reason: what is not known is never passing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from gitml.gates.exemption import Exemption
from gitml.stats.comparison import Estimate
from gitml.verdict import Phase, Verdict

Part = Literal["champion", "canary", "shadow"]
Result = Literal["passed", "failed", "inconclusive"]


@dataclass(frozen=True)
class Unknown:
    """Stands where a fact should be; ``reason`` says in words of a sentence why it is not known.

    ``later``: it was not to be had just now, and asking again may tell.
    """

    reason: str
    later: bool = False


@dataclass(frozen=True)
class Person:
    """An account of the forge. ``email`` is all that is known of somebody whom the forge maps to no account."""

    login: str = ""
    id: int | None = None
    email: str = ""
    bot: bool = False

    @property
    def is_known(self) -> bool:
        return bool(self.login) or self.id is not None

    @property
    def name(self) -> str:
        """For people: the login, else whatever there is."""
        return self.login or (f"id {self.id}" if self.id is not None else self.email or "somebody unknown")


@dataclass(frozen=True)
class Commit:
    """Who stands behind one commit: author, committer, and everybody in its Co-authored-by trailers.

    ``started_by``: who started the coding agent that made it, as the commit says.
    """

    sha: str
    people: tuple[Person, ...]
    started_by: tuple[Person, ...] = ()


@dataclass(frozen=True)
class Version:
    """One version as its record and the files that the record vouches for describe it.

    ``artifact`` is the SHA-256 that the record says, ``size`` in bytes. ``verified`` says how the bytes were compared
    with it. ``resamples`` names the rows and seed of the metrics' replicates: equal names pair, "" pairs with nothing.
    ``authors`` made the commits that the version came from. ``bias_audited``: when its model was, last. ``holdout``:
    the digest of how base compares two versions on the same rows, "" where it does not.
    """

    model: str
    version: str
    digest: str
    artifact: str
    format: str
    size: int
    verified: str | Unknown = field(default_factory=lambda: Unknown("nobody compared the artifact with its digest"))
    origin: str = "ci"
    metrics: Mapping[str, Estimate] | Unknown = field(default_factory=dict)
    better: Mapping[str, str] = field(default_factory=dict)
    resamples: str = ""
    holdout: str = ""
    slices: Sequence[Mapping[str, Any]] | Unknown = field(default_factory=lambda: Unknown("the version has no slices"))
    signature: Mapping[str, Any] | Unknown = field(default_factory=lambda: Unknown("the version has no signature"))
    data_until: datetime | Unknown = field(
        default_factory=lambda: Unknown("nothing says when the newest training data is from")
    )
    authors: tuple[Commit, ...] | Unknown = field(default_factory=lambda: Unknown("nobody looked who made the version"))
    bias_audited: datetime | Unknown = field(
        default_factory=lambda: Unknown("nothing says when the model was last audited for bias")
    )

    @property
    def short(self) -> str:
        """The eight digits by which people name it."""
        return self.version.rpartition("-")[2]


class Proof(Protocol):
    """One statement of the ledger, as gates read it: ``gitml.evidence.trust.Believed`` is one.

    ``why_not`` says why it is not believed; "" means that it is. ``owner`` is the owner of the key that signed it, as
    policy.yaml names him. ``new`` is the blob of the file that it speaks of, "" where it speaks of none.
    """

    @property
    def kind(self) -> str: ...
    @property
    def time(self) -> datetime: ...
    @property
    def result(self) -> Result: ...
    @property
    def model(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def artifact(self) -> str: ...
    @property
    def environment(self) -> str: ...
    @property
    def repository(self) -> str: ...
    @property
    def new(self) -> str: ...
    @property
    def by(self) -> str: ...
    @property
    def owner(self) -> str: ...
    @property
    def details(self) -> Mapping[str, Any]: ...
    @property
    def why_not(self) -> str: ...


@dataclass(frozen=True)
class MonitorLook:
    """One look of a monitor, signed and believed: ``name`` is that of its statement, ``time`` when it was signed,
    ``until`` the end of its window. ``verdicts`` by `quality`, `drift`, `harm`, as far as they are watched."""

    name: str
    time: datetime
    repository: str
    model: str
    environment: str
    version: str
    artifact: str
    until: datetime
    verdicts: Mapping[str, Verdict]


@dataclass(frozen=True)
class JudgedBeside:
    """One evaluation of a candidate beside a champion, signed and believed. Both are a version and its artifact;
    ``until``: the traffic up to then was judged. ``rules`` is the digest of all that decided the test."""

    name: str
    time: datetime
    repository: str
    model: str
    environment: str
    candidate: tuple[str, str]
    champion: tuple[str, str]
    rules: str
    mode: str
    until: datetime
    phase: Phase
    reason: str


@dataclass(frozen=True)
class RulesOfTest:
    """The rules of the environment's `canary` as base has them: their digest, and the modes that may open the gate."""

    digest: str
    modes: tuple[str, ...]


@dataclass(frozen=True)
class Departure:
    """The last time that a version stopped being an environment's champion on the base branch.

    ``by_rollback``: what replaced it had been the champion before, and came with a hold.
    """

    time: datetime
    by_rollback: bool


@dataclass(frozen=True)
class UpstreamFact:
    """What is known of a model that a version is built on, in the ``environment`` where it must run.

    ``name`` is the key under `needs` of gitml.yaml, ``model`` what it means, with its application or repository where
    that is another one. Versions are a name and the SHA-256 of the artifact. ``used`` are those that the version can
    have been made with, and ``told_by`` says in words how that is known; ``running`` is what runs there by main's word
    and signed evidence. ``promotions`` are open pull requests that would change it there.
    """

    name: str
    model: str
    environment: str
    used: tuple[tuple[str, str], ...] | Unknown
    running: tuple[str, str] | Unknown
    told_by: str = ""
    promotions: tuple[int, ...] | Unknown = ()


@dataclass(frozen=True)
class MemberFact:
    """A version that an ensemble pins. ``part``: as what base has exactly it in the environment; None where it has it
    not. Then ``facts`` are those of the member itself, as if it were promoted there alone."""

    model: str
    version: str
    part: Part | None
    facts: Facts | Unknown


@dataclass(frozen=True)
class Facts:
    """What one version is judged on for one environment, as champion, canary or shadow there.

    ``champion`` is what answers there now; None means that nothing does. ``order`` holds the environments as
    policy.yaml orders them, ``pinned`` those where base pins exactly this version and artifact. ``left`` is looked up
    for a rollback alone; None: base never had it as the champion. ``looks`` are those that count of an id, of all
    monitors, read where a gate asks for them; ``judged_beside`` are evaluations of the candidate, under ``test_rules``
    or others. ``was``: as what base has it there. ``upstreams`` are the models that it is built on, looked up where a
    gate asks for them; ``members`` what an ensemble pins, empty for a model that is none. ``review_within``: how long
    after its last review a model is to be reviewed again. ``changed``: what differs from the champion, by part of the
    lineage, and under ``use`` what gitml.yaml says of the model.
    """

    now: datetime
    repository: str
    environment: str
    candidate: Version
    champion: Version | Unknown | None
    part: Part = "champion"
    order: tuple[str, ...] = ()
    pinned: frozenset[str] = frozenset()
    left: Departure | None = None
    proofs: tuple[Proof, ...] | Unknown = ()
    exceptions: tuple[Exemption, ...] = ()
    looks: tuple[MonitorLook, ...] | Unknown = field(
        default_factory=lambda: Unknown("nobody read what the monitors saw")
    )
    judged_beside: tuple[JudgedBeside, ...] | Unknown = field(
        default_factory=lambda: Unknown("nobody read how candidates were judged")
    )
    test_rules: RulesOfTest | Unknown = field(
        default_factory=lambda: Unknown("policy.yaml does not say under `canary` how candidates are judged there")
    )
    was: Part | None = None
    upstreams: tuple[UpstreamFact, ...] | Unknown = field(
        default_factory=lambda: Unknown("nobody looked at the models that it is built on")
    )
    members: tuple[MemberFact, ...] | Unknown = ()
    changed: Mapping[str, tuple[str, ...]] | Unknown = field(
        default_factory=lambda: Unknown("nobody compared it with what runs")
    )
    review_within: timedelta | Unknown = field(
        default_factory=lambda: Unknown("nothing says how often the model is to be reviewed")
    )
