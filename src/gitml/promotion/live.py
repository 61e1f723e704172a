"""What runs, as the agents report it to the forge: one deployment for each model of an environment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gitml.errors import GitmlError
from gitml.forges.governed import GovernedForge


@dataclass(frozen=True)
class LiveReport:
    """``state`` in the forge's words (success, failure, in_progress …) of the newest report."""

    version: str
    state: str
    time: str
    description: str = ""
    by: str = ""

    @property
    def is_up(self) -> bool:
        return self.state == "success"


def task_of(model: str) -> str:
    """What tells the models of one environment apart on the forge."""
    return f"deploy:{model}"


def live(forge: GovernedForge, model: str, environment: str, say: Callable[[str], None]) -> LiveReport | None:
    """The newest report, None where there is none, or the forge does not tell."""
    try:
        found = forge.deployments.list(environment, task_of(model), most=1)
        if not found:
            return None
        states = forge.deployments.states(found[0].id, most=1)
    except GitmlError as exc:
        say(f"what runs in {environment} is not known: {exc.message.splitlines()[0]}")
        return None
    version = found[0].payload.get("champion")
    named = version if isinstance(version, str) else ""
    if not states:
        return LiveReport(named, "queued", found[0].created, by=found[0].by)
    newest = states[0]
    return LiveReport(named, newest.state, newest.created or found[0].created, newest.description, newest.by)
