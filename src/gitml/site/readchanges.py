"""What changed on main: its commits, and each change of a deployment with the evidence that counts for it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from gitml.control.mainline import Mainline
from gitml.errors import GitmlError
from gitml.evidence.audit import Audit, ChangeRow
from gitml.evidence.matching import deployment_of
from gitml.evidence.trust import Believed
from gitml.git import history
from gitml.git.filechange import FileChange
from gitml.git.history import Landed
from gitml.refs import NAME
from gitml.site.facts import SiteCommit, SiteDeployment, SiteGate
from gitml.spec import Deployment, parse_deployment
from gitml.spec.policy import POLICY
from gitml.verdict import Phase

# The newest commits that have a line of their own.
MOST_COMMITS = 3000
_PULL = re.compile(r"^Merge pull request #(\d{1,9})\b|\(#(\d{1,9})\)$")
_PARTS = ("deployments", "versions", "policy", "workflows", "data", "params", "pipeline", "code")


@dataclass(frozen=True)
class SiteHistory:
    """Newest first. ``left_out``: how many older commits have no line."""

    commits: tuple[SiteCommit, ...] = ()
    deployments: tuple[SiteDeployment, ...] = ()
    left_out: int = 0
    landed: Mapping[str, Landed] = field(default_factory=dict)
    titles: Mapping[str, str] = field(default_factory=dict)


def site_history(main: Mainline, audit: Audit | None) -> SiteHistory:
    """Of main's own line. ``audit`` joins the evidence to it; None where there is none to read."""
    root, prefix = main.git.root, main.git.prefix
    landed = history.line(root, main.commit, most=MOST_COMMITS + 1)
    titles = {commit: _title(*said) for commit, said in history.messages(root, main.commit).items()}
    every = len(titles)
    commits = tuple(_commit(one, titles.get(one.commit, ""), prefix) for one in reversed(landed[-MOST_COMMITS:]))
    globs = [f":(top,glob){history.escaped(prefix)}models/*/*.yaml"]
    changes = history.line(root, main.commit, globs)
    rows = {(row.path, row.commit): row for row in audit.changes} if audit else {}
    told = _Told.of(audit.events if audit else ())
    states = _States(main)
    found = [
        _deployment(states, one, touch, titles.get(one.commit, ""), rows.get((touch.path, one.commit)), told)
        for one in changes
        for touch in one.touches
        if _is_named(deployment_of(touch.path, prefix))
    ]
    known = {one.commit: one for one in (*landed, *changes)}
    return SiteHistory(commits, tuple(reversed(found)), max(every - len(commits), 0), known, titles)


def _is_named(place: tuple[str, str] | None) -> bool:
    """Names become files of the site, so that none may be more than a name."""
    return place is not None and all(NAME.fullmatch(name) for name in place)


@dataclass(frozen=True)
class _Told:
    """Believed statements by the event's name, and ``deployed`` ones by model, environment and version."""

    by_name: Mapping[str, Believed]
    served: Mapping[tuple[str, str, str], Believed]

    @classmethod
    def of(cls, events: Iterable[Believed]) -> _Told:
        counting = [one for one in events if one]
        served: dict[tuple[str, str, str], Believed] = {}
        for one in counting:
            if one.kind == "deployed" and one.result == "passed":
                served.setdefault((one.model, one.environment, one.version), one)
        return cls({one.name: one for one in counting}, served)


@dataclass
class _States:
    """Deployment files by their blobs: what one change leaves behind is what the next one finds."""

    main: Mainline
    known: dict[str, Deployment | None] = field(default_factory=dict)

    def get(self, blob: str, path: str) -> Deployment | None:
        """None where there is no file, or none that can be read."""
        if blob and blob not in self.known:
            try:
                self.known[blob] = parse_deployment(self.main.git.repository.blob(blob, 1_000_000), path)
            except GitmlError:
                self.known[blob] = None
        return self.known.get(blob)


def _deployment(
    states: _States, landed: Landed, touch: FileChange, title: str, row: ChangeRow | None, told: _Told
) -> SiteDeployment:
    inside = touch.path[len(states.main.git.prefix) :].split("/")
    model, environment = inside[1], inside[2].removesuffix(".yaml")
    old, new = states.get(touch.old, touch.path), states.get(touch.new, touch.path)
    champions = old.champion.version if old else "", new.champion.version if new else ""
    served = told.served.get((model, environment, champions[1])) if champions[0] != champions[1] else None
    move = _move(old, new, row)
    beside = new.canary if new and move.startswith("canary") else None
    seconds = served.details.get("seconds") if served else None
    return SiteDeployment(
        id=f"{landed.commit[:10]}+{model}+{environment}",
        model=model,
        environment=environment,
        commit=landed.commit,
        time=stamp(landed.time),
        author=person(landed.author),
        title=title[:300],
        move=move,
        old=champions[0],
        new=champions[1],
        candidate=beside.version if beside else "",
        share=beside.weight if beside else 0.0,
        pull=row.pull if row and row.pull else pull_of(title),
        gate=row.gate if row else "",
        approval=row.approval if row else "",
        approvers=row.approvers if row else (),
        overridden=row.overridden if row else "",
        by=row.by if row else "",
        recorded=row.placed if row else "",
        gates=_gates(told, row.events if row else ()),
        seconds=float(seconds) if isinstance(seconds, int | float) else None,
        served=served.binding.time if served and served.binding else "",
    )


def _move(old: Deployment | None, new: Deployment | None, row: ChangeRow | None) -> str:
    """In one word for people."""
    if new is None:
        return "removed"
    if old is None:
        return "first version"
    if old.champion.version != new.champion.version:
        return "rollback" if (row and row.placed == "rolled-back") or (new.hold and not old.hold) else "promotion"
    if (old.canary and old.canary.version) != (new.canary and new.canary.version):
        return "canary" if new.canary else "canary ended"
    if old.canary and new.canary and old.canary.weight != new.canary.weight:
        return "canary's share"
    if old.hold != new.hold:
        return "hold" if new.hold else "hold ended"
    return "change"


def _gates(told: _Told, events: Sequence[str]) -> tuple[SiteGate, ...]:
    """Of the newest judgement among the evidence of a change."""
    judged = [told.by_name[name] for name in events if name in told.by_name and told.by_name[name].kind == "gate"]
    return gates_of(judged[-1].details) if judged else ()


def gates_of(details: Mapping[str, Any]) -> tuple[SiteGate, ...]:
    """The answers of the gates, as a signed judgement has them."""
    verdicts = details.get("gates")
    found = verdicts.items() if isinstance(verdicts, Mapping) else ()
    return tuple(_gate(str(name), verdict) for name, verdict in found if isinstance(verdict, Mapping))


def _gate(name: str, verdict: Mapping[str, Any]) -> SiteGate:
    return SiteGate(name, phase_of(verdict.get("phase")), str(verdict.get("reason", ""))[:1000])


def phase_of(word: object) -> Phase:
    """What is no phase is inconclusive."""
    return next((phase for phase in Phase if phase.value == word), Phase.INCONCLUSIVE)


def _commit(landed: Landed, title: str, prefix: str) -> SiteCommit:
    paths = [touch.path[len(prefix) :] for touch in landed.touches if touch.path.startswith(prefix)]
    parts = {_part(path) for path in paths}
    models = {path.split("/")[1] for path in paths if path.startswith("models/") and path.count("/") > 1}
    models = {name for name in models if NAME.fullmatch(name)}
    return SiteCommit(
        commit=landed.commit,
        time=stamp(landed.time),
        author=person(landed.author),
        title=title[:300],
        pull=pull_of(title),
        parts=tuple(part for part in _PARTS if part in parts),
        models=tuple(sorted(models)),
        files=len(paths),
    )


def _part(path: str) -> str:
    if path.startswith("models/"):
        return "versions" if "/versions/" in path else "deployments"
    if path.startswith(".github/workflows/"):
        return "workflows"
    name = path.rpartition("/")[2]
    named = {POLICY: "policy", "gitml.yaml": "pipeline", "dvc.yaml": "pipeline", "params.yaml": "params"}
    if name in named:
        return named[name]
    return "data" if name.endswith(".dvc") or name == "dvc.lock" else "code"


def _title(subject: str, body: str) -> str:
    """Of a merge, what the pull request was called: that is what forges write below the subject.

    >>> _title("Merge pull request #7 from acme/faster", "Learn faster\\n\\nIn half the time")
    'Learn faster (#7)'
    """
    found = _PULL.search(subject)
    first = body.strip().partition("\n")[0]
    return f"{first} (#{found[1]})" if found and found[1] and first else subject


def pull_of(title: str) -> int | None:
    """The pull request that a merge's title names, as forges write it.

    >>> pull_of("Merge pull request #12 from acme/faster"), pull_of("Learn faster (#7)"), pull_of("Fix #7")
    (12, 7, None)
    """
    found = _PULL.search(title)
    return int(found[1] or found[2]) if found else None


def person(identity: str) -> str:
    """The name alone: addresses are nobody's business.

    >>> person("Ada Lovelace <ada@example.org>")
    'Ada Lovelace'
    """
    return identity.partition(" <")[0]


def stamp(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def versions_of(deployments: Iterable[SiteDeployment]) -> Iterator[str]:
    """Every version that was ever a champion."""
    for one in deployments:
        yield from (version for version in (one.old, one.new) if version)
