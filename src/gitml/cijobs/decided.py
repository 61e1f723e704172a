"""For each deployment that changed on main: the reviews at the merge, judged again, and what became of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256

from gitml.cijobs.due import Due
from gitml.control.landing import Landing, landing
from gitml.control.mainline import Mainline
from gitml.control.place import Place
from gitml.control.signing import BelievedEvents, bound, heard
from gitml.errors import GitmlError, SpecError
from gitml.evidence.matching import deployment_of
from gitml.evidence.statement import Binding, SignedChange, Statement
from gitml.forges.base import PullRequest
from gitml.forges.governed import Merged
from gitml.gate.ground import Ground
from gitml.gate.judge import Judged, judge
from gitml.gate.statement import pin_of
from gitml.gate.tree import blob_at, deployment
from gitml.gates.facts import Unknown
from gitml.git import history
from gitml.git.filechange import FileChange
from gitml.git.history import Landed
from gitml.git.merges import changes
from gitml.jsontext import plain
from gitml.policy.change import Move
from gitml.refs import NAME
from gitml.spec import Deployment
from gitml.spec.policy import POLICY
from gitml.verdict import Phase

# Older changes are the business of `gitml audit`: nobody makes up for them by the way.
MOST = 200
_RESULTS = {Phase.SUCCESSFUL: "passed", Phase.FAILED: "failed"}
_PLACED = ("promoted", "rolled-back")


@dataclass(frozen=True)
class _Turn:
    """One change of one deployment file on main: from ``base`` to ``commit``, which the same merge brought."""

    base: str
    commit: str
    change: SignedChange
    model: str
    environment: str

    def __str__(self) -> str:
        return f"{self.change.path} at {self.commit[:12]}"


def decided(place: Place, ground: Ground, run: str) -> Iterator[Due]:
    """Changes without evidence of what became of them, oldest first."""
    if isinstance(ground.heard, Unknown):
        return
    told: set[tuple[str, str]] = set()
    for turn in _unrecorded(ground, ground.heard):
        try:
            found = landing(place, ground.main.git, turn.commit)
            whole = _whole(ground, turn, found) if found else turn
        except (GitmlError, ValueError) as exc:
            yield Due(f"{turn}: {str(exc).splitlines()[0]}", problem=True)
            continue
        if found is None:
            yield Due(f"{turn}: no pull request brought it, so nobody approved it")
        elif (whole.change.path, whole.commit) not in told:
            told.add((whole.change.path, whole.commit))
            yield _due(place, ground, whole, found, run)


def _unrecorded(ground: Ground, known: BelievedEvents) -> list[_Turn]:
    git = ground.main.git
    line = history.line(git.root, ground.main.commit, _deployments(ground.main))
    found = [turn for landed in line for touch in landed.touches if (turn := _turn(git.prefix, landed, touch))]
    left = [turn for turn in found[-MOST:] if not _is_recorded(known, turn)]
    if not left:
        return []
    order = {commit: place for place, commit in enumerate(history.commits(git.root, ground.main.commit))}
    spans = [(s.binding, order.get(str(s.details.get("commit")), -1)) for kind in _PLACED for s in known.signed(kind)]
    return [turn for turn in left if not any(_covers(about, last, turn, order) for about, last in spans)]


def _deployments(main: Mainline) -> list[str]:
    """Pathspecs. Of the models of gitml.yaml alone: whoever brings files of others keeps none of these unrecorded."""
    try:
        models = [history.escaped(model) for model in main.application().models] or ["*"]
    except GitmlError:
        models = ["*"]
    return [f":(top,glob){history.escaped(main.git.prefix)}models/{model}/*.yaml" for model in models]


def _covers(about: Binding, last: int, turn: _Turn, order: Mapping[str, int]) -> bool:
    """Whether what was recorded is of a merge that has this commit among its own."""
    same = about.change is not None and about.change.path == turn.change.path
    return same and order.get(about.base, len(order)) < order[turn.commit] <= last


def _turn(prefix: str, landed: Landed, touch: FileChange) -> _Turn | None:
    """None for what came with the first commit: there was no policy to judge it by.

    Also for names that evidence cannot hold and no policy has: one such file must not keep all others unrecorded.
    """
    named = deployment_of(touch.path, prefix)
    if named is None or not landed.parents or touch.old == touch.new or not all(map(NAME.fullmatch, named)):
        return None
    return _Turn(landed.parents[0], landed.commit, SignedChange(path=touch.path, old=touch.old, new=touch.new), *named)


def _is_recorded(known: BelievedEvents, turn: _Turn) -> bool:
    return any(known.signed(kind, change=turn.change, base=turn.base) for kind in _PLACED)


def _whole(ground: Ground, turn: _Turn, found: Landing) -> _Turn:
    """What the merge as a whole did to the file: its gate judged that, and no step on the way."""
    git, path, last = ground.main.git, turn.change.path, found.commits[-1]
    change = SignedChange(path=path, old=blob_at(git, found.base, path), new=blob_at(git, last, path))
    return replace(turn, base=found.base, commit=last, change=change)


def _due(place: Place, ground: Ground, turn: _Turn, found: Landing, run: str) -> Due:
    pull, merged = found.pull, found.merged
    if turn.change.old == turn.change.new:
        return Due(f"{turn}: #{pull.number} changed it and changed it back")
    try:
        whole, known = _judged(place, ground, turn, pull, merged)
    except (GitmlError, ValueError) as exc:
        return Due(f"{turn}: {str(exc).splitlines()[0]}", problem=True)
    judged = next((one for one in whole.parts if one.edit and one.edit.path == turn.change.path), whole)
    about = _about(ground, turn, pull, merged, judged)
    more = _brought_more(ground, turn, whole)
    approval = "failed" if more else _approval_of_all(ground, turn, judged, whole)
    if approval == "inconclusive" and (why := not_yet(judged)):
        # What is signed stands for good, and this may be known the next time.
        return Due(f"{turn}: {why}", problem=True)
    approved = Statement(
        bound(place, "approved", run, after=_last(ground, turn, "approved"), **about, result=approval),
        {**_snapshot(judged, turn), "refused": [*judged.refused, *more]},
    )
    signed = known.newest("gate", change=turn.change, pull=pull.number, head=pull.head.commit)
    gate = signed.binding.result if signed else ""
    result = "passed" if gate == approval == "passed" else "failed"
    kind = "rolled-back" if judged.decision and judged.decision.move is Move.ROLLBACK else "promoted"
    placed = bound(place, kind, run, after=_last(ground, turn, kind), **about, result=result)
    details = {"part": _part(judged), "gate": gate or "none", "approved": approval, "commit": turn.commit}
    said = f"{turn}: {kind}, by #{pull.number}" + ("" if result == "passed" else ", past a shut gate")
    return Due(said, (approved, Statement(placed, details)))


def _brought_more(ground: Ground, turn: _Turn, judged: Judged) -> tuple[str, ...]:
    """What was judged changes one file, or the files of one retirement. A merge that did more is not what was judged,
    whoever made it."""
    mine = {turn.change.path, *(one.edit.path for one in judged.parts if one.edit and judged.also)}
    names = [row.path for row in changes(ground.main.git, turn.base, turn.commit) if row.path not in mine]
    return (f"the merge changed {', '.join(names[:5])} as well",) if names else ()


def _approval_of_all(ground: Ground, turn: _Turn, judged: Judged, whole: Judged) -> str:
    """Of this file, and where others came with it of each of these too: people approved them together or not at all."""
    told = [approval_of(judged, turn.change)]
    for path, one in ((one.edit.path, one) for one in whole.parts if one.edit and one is not judged):
        old, new = (blob_at(ground.main.git, at, path) for at in (turn.base, turn.commit))
        told.append("failed" if old == new else approval_of(one, SignedChange(path=path, old=old, new=new)))
    return max(told, key=["passed", "inconclusive", "failed"].index)


def _judged(
    place: Place, ground: Ground, turn: _Turn, pull: PullRequest, merged: Merged
) -> tuple[Judged, BelievedEvents]:
    """As it was at the merge: policy and roles of the commit before, the reviews that were in, that time."""
    then = Mainline(ground.main.git, turn.base)
    policy = then.policy()
    known = heard(place, policy)
    base = Ground(then, policy, sha256(then.file(POLICY) or b"").hexdigest(), known, ground.depot)
    time = datetime.fromisoformat(merged.time)
    return judge(replace(place, clock=lambda: time), base, pull, until=time), known


def _about(ground: Ground, turn: _Turn, pull: PullRequest, merged: Merged, judged: Judged) -> dict[str, object]:
    return {
        "model": turn.model,
        "environment": turn.environment,
        "change": turn.change,
        "pull": pull.number,
        "head": pull.head.commit,
        "base": turn.base,
        "policy": judged.ground.digest,
        "by": merged.by.login,
        **(pin_of(judged) or _champion(ground, turn)),
    }


def _champion(ground: Ground, turn: _Turn) -> dict[str, str]:
    try:
        state = deployment(ground.main.git, turn.change.new, turn.change.path)
    except SpecError:
        return {}
    if not isinstance(state, Deployment):
        return {}
    return {"version": state.champion.version, "artifact": state.champion.digest}


def approval_of(judged: Judged, change: SignedChange) -> str:
    """The approvals alone: what the gates said the gate has signed. Only of exactly what main has now."""
    edit, decision = judged.edit, judged.decision
    if edit is None or decision is None or judged.refused:
        return "failed"
    if (edit.path, edit.old, edit.new) != (change.path, change.old, change.new):
        return "failed"
    return _RESULTS.get(decision.approvals.phase, "inconclusive")


def not_yet(judged: Judged) -> str:
    """A fact that was merely not to be had just now, or ""."""
    case = judged.case
    if case is None or isinstance(case.pull, Unknown):
        return case.pull.reason if case and isinstance(case.pull, Unknown) else ""
    pull = case.pull
    authors = [facts.candidate.authors for _, _, facts in case.candidates if not isinstance(facts, Unknown)]
    looked_up = (pull.author, pull.pushers, pull.commits, pull.reviews, *authors, *case.teams.values())
    return next((fact.reason for fact in looked_up if isinstance(fact, Unknown) and fact.later), "")


def _snapshot(judged: Judged, turn: _Turn) -> dict[str, object]:
    decision = judged.decision
    told = plain(decision.approvals) if decision else {}
    filled = [person for seat in told.get("seats", []) for person in seat["filled"]]
    about = {"approvers": filled, "refused": list(judged.refused), "commit": turn.commit}
    return {**told, **about, "move": decision.move.value if decision else "refused"}


def _part(judged: Judged) -> str:
    candidates = judged.case.candidates if judged.case else ()
    return candidates[0][0] if candidates else "champion"


def _last(ground: Ground, turn: _Turn, kind: str) -> Statement | None:
    if isinstance(ground.heard, Unknown):
        return None
    return next(iter(ground.heard.signed(kind, change=turn.change)), None)
