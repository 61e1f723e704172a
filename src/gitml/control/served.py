"""What changed of what serves, from the believed statements of the ledger and the files of main that they are about."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from gitml.control.ledger import Here
from gitml.control.mainline import Mainline
from gitml.errors import GitmlError
from gitml.evidence.reader import EvidenceRules, read
from gitml.evidence.statement import Binding
from gitml.evidence.trust import Believed
from gitml.git import ledger
from gitml.git.commands import Git
from gitml.registry.resolve import deployment_path
from gitml.spec import Deployment
from gitml.spec.deployment import parse_deployment
from gitml.success.changes import ChangeKind, ServedChange

_PLACED = ("promoted", "rolled-back")


def served_of_clone(here: Here, at: datetime) -> tuple[ServedChange, ...]:
    """As this clone has main and the ledger. Raises UsageError where nothing says which repository it is."""
    return served_changes(told_of_clone(here, at), here.main)


def told_of_clone(here: Here, at: datetime) -> tuple[Believed, ...]:
    """The ledger's events of a clone, as main's keys vouch for them; none where it has no ledger."""
    heads = here.heads(ledger.BRANCH)
    rules = EvidenceRules(here.main.policy(), here.repository, at, here.settings.host)
    return read(here.root, heads[0], rules, whole=False).events if heads else ()


def served_changes(told: Iterable[Believed], main: Mainline) -> tuple[ServedChange, ...]:
    """Oldest first: what was promoted or rolled back, and the weights of canaries. Also what came past a shut gate: it
    served all the same."""
    counting = [one for one in told if one and one.binding]
    deployed = [one for one in counting if one.kind == "deployed" and one.result == "passed"]
    found: dict[tuple[str, str, str], ServedChange] = {}
    for one in counting:
        change = _change(main.git, one, deployed) if one.kind in _PLACED else None
        if change:
            found.setdefault((change.commit, change.model, change.environment), change)
    return tuple(sorted(found.values(), key=lambda c: (c.moment, c.model, c.environment)))


def _change(git: Git, said: Believed, deployed: Iterable[Believed]) -> ServedChange | None:
    about = said.binding
    commit = str(said.details.get("commit") or "")
    if about is None or not commit or not about.base:
        return None
    old, new = (_deployment(git, one, about) for one in (about.base, commit))
    if new is None:
        return None
    named = _named(old, new, said.kind)
    if named is None:
        return None
    kind, version = named
    moment = min((one.time for one in deployed if _is_same(one.binding, about, commit)), default=said.time)
    before = old.champion.version if old else ""
    return ServedChange(moment, about.model, about.environment, kind, version, before, commit, about.pull)


def _named(old: Deployment | None, new: Deployment, kind: str) -> tuple[ChangeKind, str] | None:
    """What kind of change it is and of which version; None where what answers stays as it is."""
    if old is None or old.champion != new.champion:
        return ("rollback" if kind == "rolled-back" else "promotion"), new.champion.version
    if old.canary == new.canary:
        return None
    canary = new.canary or old.canary
    return ("canary", canary.version) if canary else None


def _deployment(git: Git, commit: str, about: Binding) -> Deployment | None:
    try:
        content = git.read_file(commit, deployment_path(about.model, about.environment))
        return parse_deployment(content, "deployment") if content is not None else None
    except (GitmlError, ValueError):
        return None


def _is_same(deployed: Binding | None, placed: Binding, commit: str) -> bool:
    def key(one: Binding) -> Any:
        return one.model, one.environment, one.change

    return deployed is not None and key(deployed) == key(placed) and deployed.head == commit
