"""From a deployment file to models that answer: all of its versions loaded, warmed up and checked, or none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gitml.agent.fetch import MirrorShelf, application_at, private_at
from gitml.agent.judge import Go
from gitml.agent.source import Wanted
from gitml.agent.state import Applied, stamp
from gitml.models.parity import Parity
from gitml.models.quarantine import Quarantine
from gitml.registry.load import LoadedVersion, Loader
from gitml.spec.deployment import Deployment
from gitml.spec.policy import Policy
from gitml.urls import shown


@dataclass(frozen=True)
class LoadedModel:
    """Everything that one deployment file pins: members by version. ``commit`` is main's that said so. Columns in
    ``private`` are not logged."""

    name: str
    deployment: Deployment
    members: Mapping[str, LoadedVersion]
    commit: str
    private: frozenset[str] = frozenset()

    @property
    def digests(self) -> frozenset[str]:
        """SHA-256 of all files that it was loaded from."""
        records = [record for member in self.members.values() for record in (member.record, *member.inner)]
        return frozenset(file.sha256 for record in records for file in record.files.values())


@dataclass(frozen=True)
class LoadOrder:
    """What to load, and what is loaded already: members by version are taken over if their artifact is the same.

    ``served``: it was served from here before, so it is known to come to an end.
    """

    name: str
    deployment: Deployment
    commit: str
    pickle: bool = False
    there: Mapping[str, LoadedVersion] | None = None
    served: bool = False


def bring_up(shelf: MirrorShelf, order: LoadOrder, quarantine: Quarantine) -> LoadedModel:
    """Fetch, try in quarantine, load, warm up, and check every pinned version. What serves meanwhile is not touched.

    Raises SpecError, IntegrityError, OutsideError, UsageError, or FailedError when predictions differ from the samples.
    """
    application = application_at(shelf.mirror, shelf.commit)
    tried_in = None if order.served else quarantine
    loader = Loader(shelf, application.models if application else {}, order.pickle, quarantine=tried_in)
    members: dict[str, LoadedVersion] = {}
    for pin in order.deployment.pins:
        kept = (order.there or {}).get(pin.version)
        if kept is None or kept.model.digest != pin.digest:
            kept = loader.pinned(order.name, pin)
        members[pin.version] = kept
    private = private_at(shelf.mirror, shelf.commit)
    return LoadedModel(order.name, order.deployment, members, order.commit, private)


def applied_by(
    found: Go, loaded: LoadedModel, wanted: Wanted | None, since: datetime, *, pickle: bool, seconds: float
) -> Applied:
    """What is remembered of a change that serves from now on."""
    change = found.trusted.change
    return Applied(
        commit=change.commit,
        path=change.path,
        blob=change.new,
        text=(wanted.content if wanted else b"").decode(),
        since=stamp(since),
        parent=change.parent,
        old=change.old,
        evidence=found.trusted.events,
        rollback=found.trusted.rollback,
        pickle=pickle,
        seconds=round(seconds, 3),
        checked={version: _checked(member.parity) for version, member in loaded.members.items()},
    )


def _checked(parity: Parity) -> dict[str, Any]:
    return {"sample_rows": parity.rows, "largest_difference": parity.largest}


def may_pickle(policy: Policy, model: str, now: datetime) -> bool:
    """Whether policy.yaml has an exception for this model that is in force."""
    return any(e.allow == "pickle" and e.model == model and now < e.until for e in policy.exceptions)


def why_not_loaded(exc: BaseException) -> str:
    """An error of loading in one line."""
    hint = getattr(exc, "hint", "")
    said = shown(" ".join(str(exc).split()))
    return f"{said}; {hint}" if hint else said or type(exc).__name__
