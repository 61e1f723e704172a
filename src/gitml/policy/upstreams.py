"""When a version is stale because a model that it is built on has a new champion; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gitml.gates.facts import Unknown, UpstreamFact


@dataclass(frozen=True)
class StaleUpstream:
    """An upstream that runs in a version which the downstream one was not made with: the cause `upstream`.

    ``name`` is its key under `needs`, ``model`` what it means, ``environment`` where both run. ``used`` are the
    versions that the downstream one can have been made with, ``running`` is what runs, with its artifact's SHA-256
    ``artifact``, and ``since`` when main began to say so. ``told_by`` says how ``used`` is known.
    """

    name: str
    model: str
    environment: str
    used: tuple[str, ...]
    running: str
    artifact: str
    since: datetime | None
    told_by: str

    @property
    def reason(self) -> str:
        """For people, as part of a sentence."""
        since = f" since {self.since:%Y-%m-%d}" if self.since else ""
        made = " or ".join(self.used)
        return f"{self.model} runs in {self.environment} as {self.running}{since}, and this was made with {made}"


def stale_upstreams(upstreams: Sequence[UpstreamFact] | Unknown) -> tuple[StaleUpstream, ...]:
    """The upstreams with a new champion, in the order of gitml.yaml.

    ``upstreams`` are those of the version in question, as ``gitml.control.upstreams.Upstreams.facts`` tells them: ask
    for the champion of the environment, and for the newest version on main, which may have caught up already. What is
    not known makes nothing stale: no retraining starts on a guess. Nor does one while a promotion of the upstream is
    open, because what runs is about to change.
    """
    if isinstance(upstreams, Unknown):
        return ()
    return tuple(found for one in upstreams if (found := _stale(one)))


def _stale(one: UpstreamFact) -> StaleUpstream | None:
    if isinstance(one.used, Unknown) or isinstance(one.running, Unknown) or one.promotions:
        return None
    if not one.used or one.running in one.used:
        return None
    used = tuple(dict.fromkeys(version for version, _ in one.used))
    return StaleUpstream(one.name, one.model, one.environment, used, *one.running, one.since, one.told_by)
