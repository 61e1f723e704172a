"""``gitml ci replay due`` and ``evaluate``: proposed versions answer logged requests where there is no key."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from gitml.cijobs.handover import folder_of
from gitml.cijobs.lookfile import MOST_LOOKS, REPLAYS, LookFile, write_looks
from gitml.cijobs.replaydue import (
    ProposedVersion,
    due_replay,
    needed_since,
    proposed_versions,
    remote_branches,
)
from gitml.control.ledger import Here
from gitml.control.looks import read_looks
from gitml.control.mainline import Mainline
from gitml.errors import GitmlError, InconclusiveError
from gitml.evidence.canaries import KIND, Canaries, canaries_of, canary_details
from gitml.evidence.reader import EvidenceRules
from gitml.git.commands import Git
from gitml.git.ledger import LOOKS
from gitml.inference.candidate import TrialPlace
from gitml.inference.replay import ReplayCall, replay

# The replay of one version at a moment of the schedule, as ``gitml.rollout`` tells it.
Replay = Callable[[ProposedVersion, datetime], Mapping[str, Any]]
Due = tuple[tuple[ProposedVersion, datetime], ...]


@dataclass(frozen=True)
class Replayed:
    """``told`` is the evaluation. ``later``: why there is none, so that it stays due."""

    proposed: ProposedVersion
    told: Mapping[str, Any]
    details: Mapping[str, Any] | None = None
    later: str = ""


def due_replays(root: Path, here: Here, at: datetime, models: Collection[str] = ()) -> tuple[Mainline, Due]:
    """Main, and what is due of ``models``, or of all. Raises InconclusiveError for a shallow clone."""
    git = Git(root)
    if git.is_shallow():
        raise InconclusiveError("this clone is shallow: what was signed before is not here", "git fetch --unshallow")
    main = Mainline(git, git.resolve("HEAD") or "")
    found = proposed_versions(main, main.application(), main.policy(), remote_branches(git))
    mine = [one for one in found if not models or one.one.model in models]
    canaries = _canaries(here, main, mine, at)
    due = ((one, moment) for one in mine if (moment := due_replay(one, canaries, at)))
    return main, tuple(due)[:MOST_LOOKS]


def replay_due(
    root: Path, here: Here, at: datetime, models: Sequence[str], run: str, judge: Replay
) -> tuple[Replayed, ...]:
    """Replay what is due, and hand it over. One that cannot be replayed does not keep the others back."""
    main, due = due_replays(root, here, at, models)
    done = tuple(_replayed(one, moment, judge) for one, moment in due)
    handed = [dict(one.details) for one in done if one.details]
    write_looks(folder_of(root), LookFile(commit=main.commit, run=run, evaluations=handed), REPLAYS)
    return done


def replaying(place: TrialPlace) -> Replay:
    """What replays a version of the checkout."""

    def judge(proposed: ProposedVersion, at: datetime) -> Mapping[str, Any]:
        one = proposed.one
        call = ReplayCall(
            f"{one.model}@{one.pin.version}", f"{one.model}@{one.state.champion.version}", one.environment,
            proposed.since, at, digest=one.digest,
        )  # fmt: skip
        return replay(place, call).to_dict()

    return judge


def _replayed(one: ProposedVersion, moment: datetime, judge: Replay) -> Replayed:
    told: Mapping[str, Any] = {}
    try:
        told = judge(one, moment)
        return Replayed(one, told, canary_details(told))
    except GitmlError as exc:
        return Replayed(one, told, later=exc.message.splitlines()[0])
    except ValueError as exc:
        return Replayed(one, told, later=f"its evaluation cannot be signed: {exc}")


def _canaries(here: Here, main: Mainline, found: Sequence[ProposedVersion], at: datetime) -> Canaries:
    """As the clone has them."""
    heads = here.heads(LOOKS)
    if not heads or not found:
        return Canaries()
    rules = EvidenceRules(main.policy(), here.repository, at, here.settings.host)
    return canaries_of(one for one in read_looks(here.root, heads[0], rules, needed_since(found), KIND) if one)
