"""Whether what a model is built on has moved on: an upstream has a champion that the newest version does not know."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from gitml.errors import GitmlError
from gitml.git.commands import Git
from gitml.registry.deploymentpast import champion_since
from gitml.registry.record import Record
from gitml.registry.resolve import deployment_in, environments
from gitml.registry.store import record_in, versions
from gitml.registry.used import UpstreamAt, versions_used
from gitml.retraining.causes import UpstreamChange
from gitml.spec import parse_application
from gitml.spec.modelgraph import upstream_at
from gitml.spec.root import APPLICATION
from gitml.spec.upstream import UpstreamNeed


def changed_upstream(git: Git, commit: str, model: str, at: datetime) -> tuple[UpstreamChange, ...]:
    """From ``commit`` of main alone, so that the gate finds the same; by the order of `needs` and of environments.

    The upstreams of this repository that have, where the model runs, another champion than the newest version of the
    model was made with, at the moment ``at``. What is not known is no change: nothing is trained on a guess. Of an
    upstream in another repository ``commit`` does not say what runs there: ``observed`` does.
    """
    tree = git.at(commit)
    try:
        needs = parse_application(tree.read(APPLICATION) or b"").models[model].needs
        names = versions(tree, model) if needs else ()
        newest = record_in(tree, model, names[-1]) if names else None
    except (GitmlError, KeyError):
        return ()
    places = environments(tree, model) if newest else ()
    found = (
        one
        for name, need in needs.items()
        for environment in places
        if newest and not need.repository
        for one in _changed(git, commit, newest, (name, need), environment)
    )
    return tuple(dict.fromkeys(one for one in found if one.since <= at))


def _changed(
    git: Git, commit: str, newest: Record, named: tuple[str, UpstreamNeed], environment: str
) -> Iterator[UpstreamChange]:
    name, need = named
    what = upstream_at(name, need, git.prefix.strip("/"))
    there = Git(git.root, f"{what.application}/" if what.application else "")
    upstream = UpstreamAt(there, commit, what.model, need.environment or environment)
    try:
        state = deployment_in(there.at(commit), what.model, upstream.environment)
    except GitmlError:
        return
    used = versions_used(newest, need, upstream)
    if state is None or not used.pins or used.has(state.champion):
        return
    since = champion_since(there, commit, what.model, upstream.environment, state.champion)
    if since is not None:
        told = str(what) if need.is_elsewhere else what.model
        trained_with = " or ".join(pin.version for pin in used.pins)
        yield UpstreamChange(told, upstream.environment, trained_with, state.champion.version, since)
