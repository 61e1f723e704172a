"""What a decision is made from, besides the facts of each version: the pull request, its people, the whole change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from gitml.gates.facts import Commit, Facts, Part, Person, Proof, Unknown
from gitml.spec.deployment import Deployment


@dataclass(frozen=True)
class CountedReview:
    """One review: ``state`` as GitHub names it (APPROVED, CHANGES_REQUESTED, DISMISSED, COMMENTED, PENDING)."""

    person: Person
    state: str
    commit: str
    time: datetime


@dataclass(frozen=True)
class Pull:
    """The pull request that would bring the change. ``head`` is its newest commit.

    ``asked_by`` made the bot open it; empty where nobody is known to have. ``commits`` are those that base lacks.
    ``pushers`` moved the branch since it left main.
    ``derived`` says what all of it follows from, where the gate derived it once more: then nobody made it.
    """

    head: str
    author: Person | Unknown
    pushers: tuple[Person, ...] | Unknown
    number: int | None = None
    asked_by: tuple[Person, ...] = ()
    commits: tuple[Commit, ...] | Unknown = ()
    reviews: tuple[CountedReview, ...] | Unknown = ()
    derived: str = ""


@dataclass(frozen=True)
class Case:
    """One change of one deployment file, whole: what ``decide`` judges.

    ``old`` is the file on base and None where there is none; ``new`` the one on the head, None where it is deleted.
    ``blob`` is the Git blob of the new one. ``candidates`` has Facts (or why there are none) for each pin that the
    change brings in or gives more to do. ``teams`` maps a team to its members, or to why they are not known.
    ``pull`` is Unknown in a preview without a forge. ``refused`` are reasons to refuse the pull request unread, such
    as that it changes policy.yaml as well.
    """

    now: datetime
    repository: str
    model: str
    environment: str
    old: Deployment | Unknown | None
    new: Deployment | Unknown | None
    candidates: tuple[tuple[Part, str, Facts | Unknown], ...]
    pull: Pull | Unknown
    blob: str = ""
    teams: Mapping[str, tuple[Person, ...] | Unknown] = field(default_factory=dict)
    proofs: tuple[Proof, ...] | Unknown = ()
    refused: tuple[str, ...] = ()
