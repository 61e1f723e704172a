"""``gitml audit``: the facts out of a clone and its forge, judged by ``gitml.evidence.audit``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from gitml import clock
from gitml.ci.codeowners import PLACES
from gitml.ci.table import RENDERERS, deciding
from gitml.control.ledger import Here
from gitml.control.mainline import Mainline
from gitml.errors import InconclusiveError, IntegrityError, SpecError, UsageError
from gitml.evidence.audit import Audit
from gitml.evidence.audit import audit as judge
from gitml.evidence.chain import walk_hours, walk_looks
from gitml.evidence.facts import AuditFacts, Rules, Way
from gitml.evidence.records import touched_again, version_of
from gitml.evidence.trust import Believed, sealed
from gitml.forges.governed import GovernedForge, Pushed
from gitml.forges.table import connect
from gitml.git import history, ledger
from gitml.git.history import Landed
from gitml.git.ledgerline import Line, hidden, line_of
from gitml.git.repository import Repository
from gitml.spec.policy import POLICY

_DIRECT = ("push", "force_push", "branch_creation")


@dataclass(frozen=True)
class AuditCall:
    """What to audit. ``ledger_head`` was kept elsewhere; changes up to ``since`` are not judged.

    ``fetch`` first; ``ask_forge`` how commits came to main.
    """

    repository: str = ""
    ledger_head: str = ""
    since: str = ""
    fetch: bool = False
    ask_forge: bool = False


def audit(
    root: Path,
    env: Mapping[str, str],
    asked: AuditCall,
    *,
    now: datetime | None = None,
    note: Callable[[str], None] = lambda _: None,
) -> Audit:
    """Raises InconclusiveError when the clone does not hold enough history, UsageError for commits it does not know."""
    here = Here(root, env, asked.repository)
    if here.git.is_shallow():
        raise InconclusiveError("this clone is shallow: the history to audit is not here", "git fetch --unshallow")
    now = now or clock.now()
    facts = gather(here, asked, _heads(here, ledger.BRANCH, fetch=asked.fetch), note)
    if periods := _reviewed_within(here.main):
        # By days, so that the same state gives the same bytes of an export.
        facts = replace(facts, reviewed_within=periods, at=f"{now:%Y-%m-%d}T00:00:00+00:00")
    looks, hours = (
        _of_branch(here, facts, _heads(here, branch, fetch=asked.fetch)) for branch in (ledger.LOOKS, ledger.SERVED)
    )
    wrong, seen = walk_looks(looks, now)
    contents = {**facts.contents, **{one.blob: looks.contents[one.blob] for one in seen}}
    return judge(replace(facts, looks=(*wrong, *walk_hours(hours, now)), seen=seen, contents=contents), now)


def _reviewed_within(main: Mainline) -> dict[str, float]:
    """Of each model that runs, how often it has to be reviewed, in seconds; nothing where main does not say it."""
    try:
        rules, models = main.policy().reviews, main.application().models
    except SpecError:
        return {}
    periods = {name: rules.within(model) for name, model in models.items() if main.environments(name)}
    return {name: period.total_seconds() for name, period in periods.items() if period}


def _heads(here: Here, branch: str, *, fetch: bool) -> tuple[str, ...]:
    if fetch:
        try:
            here.refresh(branch)
        except IntegrityError:
            return here.heads_of_rewritten(branch)
    return here.heads(branch)


def _of_branch(here: Here, facts: AuditFacts, heads: Sequence[str]) -> AuditFacts:
    """The facts with the branch of looks, or of hours, in the ledger's place."""
    root, head = here.git.root, heads[0] if heads else ""
    commits = history.line(root, head) if head else ()
    line = line_of(Repository(root), head) if head else Line()
    contents = {event.blob: event.content for event in ledger.load(Repository(root), line.entries)}
    lines, kept = _ledgers(root, commits), tuple(heads[1:])
    return replace(facts, head=head, ledger=commits, line=line, contents=contents, lines=lines, kept=kept)


def gather(
    here: Here, asked: AuditCall, heads: Sequence[str], note: Callable[[str], None] = lambda _: None
) -> AuditFacts:
    """All that the clone knows, and what the forge says of the commits that matter if it is asked.

    ``heads``: the ledger's, and then others that it had once.
    """
    root, main, prefix = here.git.root, here.main.commit, here.git.prefix
    commits = history.commits(root, main)
    order = {commit: place for place, commit in enumerate(commits)}
    changes = history.line(root, main, _governed(prefix))
    records = history.line(root, main, [f":(top,glob){history.escaped(prefix)}models/*/versions/*.json"])
    head = heads[0] if heads else ""
    commits_there = history.line(root, head) if head else ()
    line = line_of(Repository(root), head) if head else Line()
    return AuditFacts(
        repository=here.repository,
        main=main,
        order=order,
        changes=changes,
        policies=tuple(_policies(here, changes)),
        versions=frozenset(version for c in records for t in c.touches if (version := version_of(t.path, prefix))),
        records=touched_again(records),
        head=head,
        ledger=commits_there,
        line=line,
        contents={event.blob: event.content for event in ledger.load(Repository(root), line.entries)},
        lines=_ledgers(root, commits_there),
        ways=_ways(here, commits, changes, note) if asked.ask_forge else None,
        kept=tuple(dict.fromkeys([*_kept(asked.ledger_head), *heads[1:]])),
        application=_text(here.main.file("gitml.yaml") or b""),
        since=_since(here, asked.since, order),
        prefix=prefix,
        host=here.settings.host,
    )


def _governed(prefix: str) -> tuple[str, ...]:
    """Pathspecs of deployment files, and of what decides about them."""
    folder = history.escaped(prefix)
    inside = ("models/*/*.yaml", POLICY, "gitml.yaml", ".dvc/config")
    jobs = (f"{path}**" if path.endswith("/") else path for path in deciding(RENDERERS))
    outside = tuple(dict.fromkeys((".github/**", *jobs, *PLACES)))
    return tuple(f":(top,glob){path}" for path in (*(folder + name for name in inside), *outside))


def _policies(here: Here, changes: Sequence[Landed]) -> Iterator[Rules]:
    path = f"{here.git.prefix}{POLICY}"
    for landed in changes:
        for touch in landed.touches:
            if touch.path == path:
                content = here.git.read_file(landed.commit, POLICY) if touch.new and touch.new_mode != "120000" else b""
                yield Rules(landed.commit, _text(content or b""))


def _text(content: bytes) -> str:
    """Empty for what is no text: no keys are read from it either."""
    try:
        return content.decode("utf-8")
    except ValueError:
        return ""


def _ledgers(root: Path, line: Sequence[Landed]) -> frozenset[str]:
    """Other parents behind which there are events: a merge of them would hide this line, or be hidden by it."""
    repository, there = Repository(root), {landed.commit for landed in line}
    parents = dict.fromkeys(parent for landed in line for parent in landed.parents[1:] if parent not in there)
    odd = hidden(repository, list(parents), there)
    events = ledger.load(repository, {entry for one in odd.values() for entry in one.entries})
    signed = {event.blob for event in events if not isinstance(sealed(event), Believed)}
    return frozenset(tip for tip, one in odd.items() if any(entry.blob in signed for entry in one.entries))


def _kept(text: str) -> tuple[str, ...]:
    if text and not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", text):
        raise UsageError(
            f"--ledger-head {text[:100]!r} is no commit", "give all its 40 hex digits, as audit printed them"
        )
    return (text,) if text else ()


def _since(here: Here, revision: str, order: Mapping[str, int]) -> str:
    if not revision:
        return ""
    commit = here.git.resolve(revision)
    if commit is None or commit not in order:
        raise UsageError(
            f"--since {revision[:100]!r} is no commit of main's first-parent line", "see: git log --first-parent"
        )
    return commit


def _ways(here: Here, commits: Sequence[str], changes: Sequence[Landed], note: Callable[[str], None]) -> dict[str, Way]:
    """How each commit came to main, as the forge tells."""
    with connect(here.settings, note=note) as forge:
        branch = forge.about().default_branch
        pushed = _pushed(forge.merges.pushes(branch), commits)
        return {landed.commit: _way(forge, landed, branch, pushed.get(landed.commit)) for landed in changes}


def _pushed(pushes: Sequence[Pushed], commits: Sequence[str]) -> dict[str, Pushed]:
    """The push that brought each commit, where the forge remembers it."""
    order = {commit: place for place, commit in enumerate(commits)}
    found = {}
    for push in pushes:
        first, last = order.get(push.before, -1) + 1, order.get(push.after, -2)
        # A push from a commit that is not of the line brings at least its newest one.
        for place in range(first if push.before in order else last, last + 1):
            found[commits[place]] = push
    return found


def _way(forge: GovernedForge, landed: Landed, branch: str, push: Pushed | None) -> Way:
    by = push.by.login if push else ""
    if push and push.kind in _DIRECT:
        return Way(None, by, forge.commits.author(landed.commit))
    pulls = [p for p in forge.pulls.of_commit(landed.commit) if p.is_merged and p.base.branch == branch]
    return Way(pulls[0].number, by) if pulls else Way(None, by, forge.commits.author(landed.commit))
