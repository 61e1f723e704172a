"""Which proposed versions are to answer logged requests again, before anybody decides on them. From Git alone.

A version is proposed where a branch of a promotion names it. The branch is only a name: what is replayed is the version
of main, beside the champion of main, by the rules of main.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from gitml.cijobs.canarydue import slot
from gitml.control.change import PROMOTE, branch_of
from gitml.control.mainline import Mainline
from gitml.derivation.candidate import CandidateOnMain
from gitml.derivation.testrules import digest_of_test
from gitml.errors import GitmlError
from gitml.evidence.canaries import Canaries
from gitml.evidence.evaluations import made_at
from gitml.evidence.trust import LEEWAY
from gitml.git.commands import Git
from gitml.registry.resolve import deployment_in
from gitml.registry.store import record_in, versions
from gitml.spec import Application, Policy
from gitml.spec.canary import CanaryRules
from gitml.spec.deployment import Pin

# So often is one replayed while it is proposed: labels come in the meantime.
EVERY = timedelta(days=1)
_PARTS = ("", "-canary", "-shadow")


@dataclass(frozen=True)
class ProposedVersion:
    """A version that a promotion would bring in. ``since``: requests from then on are replayed, so that all replays of
    one pair are looks at one sequence. ``branches`` that propose it."""

    one: CandidateOnMain
    since: datetime
    branches: tuple[str, ...]


def remote_branches(git: Git) -> frozenset[str]:
    """Those of promotions, as this clone knows the server."""
    refs = git.text("for-each-ref", "--format=%(refname:lstrip=3)", f"refs/remotes/origin/{PROMOTE}/")
    return frozenset(refs.split())


def proposed_versions(
    main: Mainline, app: Application, policy: Policy, branches: Collection[str]
) -> tuple[ProposedVersion, ...]:
    """Of all models and environments whose rules ask for replays, by branches that propose one."""
    return tuple(one for one in _replayable(main, app, policy) if set(one.branches) & set(branches))


def replayable(main: Mainline, app: Application, policy: Policy) -> tuple[ProposedVersion, ...]:
    """All versions that might be proposed: newer than the champion, and nothing there yet."""
    return tuple(_replayable(main, app, policy))


def _replayable(main: Mainline, app: Application, policy: Policy) -> Iterator[ProposedVersion]:
    for model in app.models:
        for environment, asked in policy.environments.items():
            rules = asked.canary_of(model)
            if rules is not None and rules.replay is not None:
                yield from _beside_champion(main, model, environment, rules, rules.replay)


def _beside_champion(
    main: Mainline, model: str, environment: str, rules: CanaryRules, back: timedelta
) -> Iterator[ProposedVersion]:
    state = deployment_in(main.tree, model, environment)
    if state is None:
        return
    there = {pin.version for pin in state.pins}
    digest = digest_of_test(main.tree, model, environment, rules)
    for version in versions(main.tree, model):
        if version in there or version < state.champion.version:
            continue
        try:
            record = record_in(main.tree, model, version)
        except GitmlError:
            continue  # one that cannot be read is no reason to replay no other
        pin = Pin(version=version, digest=record.files[record.artifact].sha256)
        if pin.digest == state.champion.digest:
            continue
        one = CandidateOnMain(model, environment, state, "shadow", pin, rules, digest)
        names = tuple(branch_of(main, PROMOTE, model, environment, f"{version}{part}") for part in _PARTS)
        yield ProposedVersion(one, made_at(version) - back, names)


def due_replay(proposed: ProposedVersion, canaries: Canaries, at: datetime) -> datetime | None:
    """For which moment it is to be replayed; None where that was done lately, or it failed."""
    one, moment = proposed.one, slot(proposed.one.rules.every, at)
    if canaries.failed(one.pair) or moment <= made_at(one.pin.version):
        return None
    newest = newest_replay(proposed, canaries)
    return None if newest is not None and moment < newest + EVERY else moment


def newest_replay(proposed: ProposedVersion, canaries: Canaries) -> datetime | None:
    """The moment of the newest under exactly these rules."""
    one = proposed.one
    told = (c.told for c in canaries.of(one.pair) if (c.told.mode, c.told.rules) == ("replay", one.digest))
    return max((t.at for t in told), default=None)


def needed_since(proposed: Collection[ProposedVersion]) -> datetime | None:
    """No replay of these was signed before; None where there are none."""
    return min((made_at(p.one.pin.version) - LEEWAY for p in proposed), default=None)
