"""For each deployment that changed on main: the reviews at the merge, judged again, and what became of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256

from gitml.control.mainline import Mainline
from gitml.control.place import Place
from gitml.control.signing import Heard, bound, heard
from gitml.errors import GitmlError, SpecError
from gitml.flows.recorddue import Due
from gitml.forges.base import PullRequest
from gitml.forges.governed import Merged
from gitml.gate.judge import Ground, Judged, judge
from gitml.gate.statement import pin_of
from gitml.gate.tree import deployment
from gitml.governance.audit import deployment_of
from gitml.governance.statement import Change, Statement
from gitml.policy.change import Move
from gitml.policy.facts import Unknown
from gitml.refs import NAME
from gitml.repo import history
from gitml.repo.history import Landed, Touch
from gitml.spec import Deployment
from gitml.spec.policy import POLICY
from gitml.verdict import Phase

# Older changes are the business of `gitml audit`: nobody makes up for them by the way.
MOST = 200
_RESULTS = {Phase.SUCCESSFUL: "passed", Phase.FAILED: "failed"}
_PLACED = ("promoted", "rolled-back")


@dataclass(frozen=True)
class _Turn:
    """One change of one deployment file on main."""

    landed: Landed
    change: Change
    model: str
    environment: str

    @property
    def base(self) -> str:
        return self.landed.parents[0]

    def __str__(self) -> str:
        return f"{self.change.path} at {self.landed.commit[:12]}"


def decided(place: Place, ground: Ground, run: str) -> Iterator[Due]:
    """Changes without evidence of what became of them, oldest first."""
    if isinstance(ground.heard, Unknown):
        return
    for turn in _turns(ground):
        if not _is_recorded(ground.heard, turn):
            yield _due(place, ground, turn, run)


def _turns(ground: Ground) -> list[_Turn]:
    git = ground.main.git
    folder = git.prefix.replace("\\", "\\\\").replace("[", "\\[").replace("*", "\\*").replace("?", "\\?")
    line = history.line(git.root, ground.main.commit, [f":(top,glob){folder}models/*/*.yaml"])
    found = [turn for landed in line for touch in landed.touches if (turn := _turn(git.prefix, landed, touch))]
    return found[-MOST:]


def _turn(prefix: str, landed: Landed, touch: Touch) -> _Turn | None:
    """None for what came with the first commit: there was no policy to judge it by.

    Also for names that evidence cannot hold and no policy has: one such file must not keep all others unrecorded.
    """
    named = deployment_of(touch.path, prefix)
    if named is None or not landed.parents or touch.old == touch.new or not all(map(NAME.fullmatch, named)):
        return None
    return _Turn(landed, Change(path=touch.path, old=touch.old, new=touch.new), *named)


def _is_recorded(known: Heard, turn: _Turn) -> bool:
    return any(known.newest(kind, change=turn.change, base=turn.base) for kind in _PLACED)


def _due(place: Place, ground: Ground, turn: _Turn, run: str) -> Due:
    try:
        found = _pull_of(place, turn)
        if found is None:
            return Due(f"{turn}: no pull request brought it, so nobody approved it")
        pull, merged = found
        judged, known = _judged(place, ground, turn, *found)
    except (GitmlError, ValueError) as exc:
        return Due(f"{turn}: {str(exc).splitlines()[0]}", problem=True)
    if judged.case is not None and isinstance(judged.case.pull, Unknown):
        return Due(f"{turn}: {judged.case.pull.reason}", problem=True)
    about = _about(ground, turn, pull, merged, judged)
    approval = approval_of(judged, turn.change)
    approved = Statement(
        bound(place, "approved", run, after=_last(ground, turn, "approved"), **about, result=approval),
        _snapshot(judged, turn),
    )
    signed = known.newest("gate", change=turn.change, pull=pull.number, head=pull.head.commit)
    gate = signed.binding.result if signed else ""
    result = "passed" if gate == approval == "passed" else "failed"
    kind = "rolled-back" if judged.decision and judged.decision.move is Move.ROLLBACK else "promoted"
    placed = bound(place, kind, run, after=_last(ground, turn, kind), **about, result=result)
    details = {"part": _part(judged), "gate": gate or "none", "approved": approval, "commit": turn.landed.commit}
    said = f"{turn}: {kind}, by #{pull.number}" + ("" if result == "passed" else ", past a shut gate")
    return Due(said, (approved, Statement(placed, details)))


def _pull_of(place: Place, turn: _Turn) -> tuple[PullRequest, Merged] | None:
    """The pull request whose merge this commit of main is."""
    for pull in place.forge.pulls.of_commit(turn.landed.commit):
        merged = place.forge.merges.merged(pull.number) if pull.base.branch == place.branch else None
        if merged is not None and merged.commit == turn.landed.commit:
            return pull, merged
    return None


def _judged(place: Place, ground: Ground, turn: _Turn, pull: PullRequest, merged: Merged) -> tuple[Judged, Heard]:
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


def approval_of(judged: Judged, change: Change) -> str:
    """The approvals alone: what the gates said the gate has signed. Only of exactly what main has now."""
    edit, decision = judged.edit, judged.decision
    if edit is None or decision is None or judged.refused:
        return "failed"
    if (edit.path, edit.old, edit.new) != (change.path, change.old, change.new):
        return "failed"
    return _RESULTS.get(decision.approvals.phase, "inconclusive")


def _snapshot(judged: Judged, turn: _Turn) -> dict[str, object]:
    decision = judged.decision
    told = decision.approvals.to_dict() if decision else {}
    filled = [person for seat in told.get("seats", []) for person in seat["filled"]]
    about = {"approvers": filled, "refused": list(judged.refused), "commit": turn.landed.commit}
    return {**told, **about, "move": decision.move.value if decision else "refused"}


def _part(judged: Judged) -> str:
    candidates = judged.case.candidates if judged.case else ()
    return candidates[0][0] if candidates else "champion"


def _last(ground: Ground, turn: _Turn, kind: str) -> Statement | None:
    return None if isinstance(ground.heard, Unknown) else ground.heard.newest(kind, change=turn.change)
