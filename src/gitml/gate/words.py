"""A judgement in the words of the pull request: the comment, the line of the status."""

from __future__ import annotations

from gitml.forges.base import State
from gitml.gate.judge import Judged
from gitml.policy.decision import Decision
from gitml.reports.gatecomment import Footer, Gate, Judgement, Said, Seat, comment, status_line
from gitml.verdict import Phase, Verdict

_LINE = 140
_STATES = {Phase.SUCCESSFUL: State.SUCCESS, Phase.FAILED: State.FAILURE, Phase.INCONCLUSIVE: State.PENDING}


def judgement_of(judged: Judged) -> tuple[Judgement, ...]:
    """What the comment shows, file by file; nothing for a pull request that is no promotion."""
    if judged.decision is None:
        return (_refused(judged),) if judged.refused else ()
    return tuple(_judgement(one.decision) for one in judged.parts if one.decision)


def _judgement(decision: Decision) -> Judgement:
    freeze = [Gate("freeze", decision.freeze, "freeze" in decision.opened), Gate("hold", decision.hold)]
    restraints = [gate for gate in freeze if gate.verdict.phase is not Phase.SUCCESSFUL]
    gates = [Gate(name, verdict, name in decision.opened) for name, verdict in decision.verdicts.items()]
    heard = decision.approvals
    return Judgement(
        model=decision.model,
        environment=decision.environment,
        move=decision.move.value,
        phase=decision.phase,
        approvals=Verdict(heard.phase, heard.reason),
        gates=(*gates, *restraints),
        seats=tuple(Seat(s.role, s.needed, _names(s.filled), _names(s.could), tuple(s.unknown)) for s in heard.seats),
        said=tuple(Said(h.person.name, h.state, h.seat, h.reason) for h in heard.heard),
        override=decision.override.verdict.reason if decision.override else "",
        steps=tuple((step.who, step.what) for step in decision.next_steps),
    )


def _names(people: object) -> tuple[str, ...]:
    return tuple(p.name for p in people) if isinstance(people, tuple) else ()


def _refused(judged: Judged) -> Judgement:
    """A pull request that is no promotion, and may not change what it changes below models/, or is not the bot's."""
    why = Verdict(Phase.FAILED, "; ".join(judged.refused))
    nobody = Verdict(Phase.INCONCLUSIVE, "there is nothing that could be approved")
    steps = (("whoever opened it", _way_out(judged)),)
    return Judgement("?", "?", "refused", Phase.FAILED, nobody, (Gate("change", why),), steps=steps)


def _way_out(judged: Judged) -> str:
    if any(one.verdict.phase is Phase.FAILED for one in judged.derived):
        return "take the commit out of the branch, or commit it under your own name: then it is yours"
    return "take out what is refused, or bring the branch up to date with its base"


def state_of(judged: Judged) -> State:
    """As the forge shows it, if it is signed; what cannot be told waits.

    A training that somebody pushed waits for nothing: main's own job looks at it again. The bot's pull requests do.
    """
    if not judged.is_promotion:
        return State.PENDING if _waits(judged) else State.SUCCESS
    if judged.refused or judged.decision is None:
        return State.FAILURE
    return _STATES.get(judged.phase, State.ERROR)


def line_of(judged: Judged) -> str:
    """The line of the status."""
    if judged.refused:
        return cut(f"refused: {judged.refused[0]}")
    if not judged.is_promotion and judged.derived:
        open_questions = [d.verdict.reason for d in judged.derived if d.verdict.phase is not Phase.SUCCESSFUL]
        told = ", ".join(dict.fromkeys(d.told for d in judged.derived if d.told))
        return cut(f"not a promotion; {open_questions[0] if open_questions else f'follows from {told}'}")
    return cut(status_line(judgement_of(judged)))


def _waits(judged: Judged) -> str:
    """What is not known yet of a pull request that the bot opened.

    Where policy.yaml believes no run of a branch, only main's own job can tell, once it is merged.
    """
    known_later = judged.ground.policy.trust.branch_runs == "reproduce"
    if known_later or not judged.pull.author.endswith("[bot]"):
        return ""
    return next((d.verdict.reason for d in judged.derived if d.verdict.phase is Phase.INCONCLUSIVE), "")


def text_of(judged: Judged, run: str, note: str = "") -> str:
    """The whole comment. ``note`` goes before it."""
    ground = judged.ground
    footer = Footer(judged.pull.head.commit, ground.main.commit, ground.digest, run)
    text = comment(judgement_of(judged), footer)
    return f"{note}\n\n{text}" if note else text


def cut(text: str) -> str:
    """One line as long as a status takes."""
    line = " ".join(text.split())
    return line if len(line) <= _LINE else line[: _LINE - 1] + "…"
