"""The gate's comment on a pull request: what passes, what is missing, who still has to approve, what to do next."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gitml.reports.cut import Section, fit
from gitml.reports.escape import code, is_plain_url, link, prose, row
from gitml.reports.figures import between, decimals, figure, plural
from gitml.reports.tables import MORE_ROWS, folded, header
from gitml.verdict import Phase, Verdict

LIMIT = 60_000
_MARKS = {Phase.SUCCESSFUL: "🟢", Phase.FAILED: "🔴", Phase.INCONCLUSIVE: "🟡", Phase.ERROR: "🟡"}
_WORDS = {
    Phase.SUCCESSFUL: "passed",
    Phase.FAILED: "failed",
    Phase.INCONCLUSIVE: "cannot tell",
    Phase.ERROR: "cannot tell",
}
_NUMBERS = 6
_EVENT = re.compile(r"\d{4}/\d\d/\d{8}T\d{6}Z-[a-z-]{1,31}-([0-9a-f]{12})[.]json")
# So many reviews that do not count are shown without a click: who wrote one must see why.
_READ = 5


@dataclass(frozen=True)
class Gate:
    """One verdict by name; ``opened`` when people overrode it."""

    name: str
    verdict: Verdict
    opened: bool = False


@dataclass(frozen=True)
class Seat:
    """A role: how many it must give, who does, who could, and teams whose members are not known."""

    role: str
    needed: int
    filled: tuple[str, ...] = ()
    could: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Said:
    """The review of one person that decides. ``seat`` is the role that it fills, "" when it fills none."""

    person: str
    state: str
    seat: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Judgement:
    """All that is said of one change of one deployment file."""

    model: str
    environment: str
    move: str
    phase: Phase
    approvals: Verdict
    gates: tuple[Gate, ...] = ()
    seats: tuple[Seat, ...] = ()
    said: tuple[Said, ...] = ()
    override: str = ""
    steps: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Footer:
    """Where it was judged: head and base commit, digest of policy.yaml, address of the run; "" leaves one out."""

    head: str = ""
    base: str = ""
    policy: str = ""
    run: str = ""


def comment(judged: Sequence[Judgement], footer: Footer, *, limit: int = LIMIT) -> str:
    """Markdown of at most ``limit`` bytes. Whatever a name holds, it is shown and does nothing."""
    if not judged:
        told = "⚪ **Not a promotion.** No deployment file changes, so the gate has nothing to judge."
        return f"{told}\n\n{_footer(footer)}"
    sections = [section for one in judged for section in _sections(one, alone=len(judged) == 1)]
    if len(judged) > 1:
        sections.insert(0, Section(0, _summary(judged)))
    sections.append(Section(0, _footer(footer)))
    return fit(sections, limit, "*Not everything fits here: `gitml gate` shows the rest.*")


def not_a_promotion() -> str:
    """One line for the commit's status."""
    return "not a promotion"


def status_line(judged: Sequence[Judgement]) -> str:
    """What the commit's status says, in plain text: at most 140 characters."""
    if not judged:
        return not_a_promotion()
    shut = [j for j in judged if j.phase is not Phase.SUCCESSFUL]
    if not shut:
        return ", ".join(f"{j.model} may go to {j.environment}" for j in judged)[:140]
    first = shut[0]
    names = [gate.name for gate in _shut(first)] + (
        ["approvals"] if first.approvals.phase is not Phase.SUCCESSFUL else []
    )
    told = f"{first.model} to {first.environment}: {', '.join(names)}"
    return told if len(told) <= 140 else told[:139] + "…"


def _shut(one: Judgement) -> list[Gate]:
    return [g for g in one.gates if g.verdict.phase is not Phase.SUCCESSFUL and not g.opened]


def _summary(judged: Sequence[Judgement]) -> str:
    lines = [f"- {_MARKS[j.phase]} {code(j.model)} in {code(j.environment)}: {_sentence(j)}" for j in judged]
    return "\n".join([f"**{plural(len(judged), 'deployment')} change.**", "", *lines])


def _sections(one: Judgement, *, alone: bool) -> Iterator[Section]:
    title = "" if alone else f"### {code(one.model)} in {code(one.environment)}\n\n"
    yield Section(0, f"{title}{_MARKS[one.phase]} **{_headline(one)}**")
    if one.override:
        yield Section(0, f"⚠️ **Overridden.** {prose(one.override, 600)}")
    yield from _steps(one)
    yield from _gates(one)
    yield from _approvals(one)


def _headline(one: Judgement) -> str:
    where = f"{code(one.model)} in {code(one.environment)}"
    return f"{prose(one.move.capitalize(), 40)} of {where}: {_sentence(one)}"


def _sentence(one: Judgement) -> str:
    if one.phase is Phase.SUCCESSFUL:
        return "may be merged."
    shut = _shut(one)
    failed = [code(g.name, 40) for g in shut if g.verdict.phase is Phase.FAILED]
    unclear = [code(g.name, 40) for g in shut if g.verdict.phase is not Phase.FAILED]
    parts = [f"{_few(failed)} failed"] if failed else []
    parts += [f"{_few(unclear)} cannot be told"] if unclear else []
    if one.approvals.phase is not Phase.SUCCESSFUL:
        missing = sum(max(0, seat.needed - len(seat.filled)) for seat in one.seats)
        parts.append(f"{plural(missing, 'approval')} missing" if missing else "approvals are not complete")
    return f"{'; '.join(parts) or 'not yet'}."


def _few(names: Sequence[str], most: int = 4) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _steps(one: Judgement) -> Iterator[Section]:
    if one.steps:
        lines = [f"- **{prose(who, 60)}**: {_step(what)}" for who, what in one.steps]
        yield Section(1, "**Next**\n", tuple(lines), "", "\n*and {} more*")


def _step(what: str) -> str:
    """Commands stand between backticks; all else is text."""
    parts = what.split("`")
    if len(parts) % 2 == 0:
        return prose(what, 400)
    return "".join(code(part) if place % 2 else _part(part) for place, part in enumerate(parts))


def _part(text: str) -> str:
    """A part of a sentence, with the spaces around it."""
    before = " " if text[:1] == " " else ""
    after = " " if text[-1:] == " " and text.strip() else ""
    return f"{before}{prose(text, 400)}{after}" if text.strip() else text


def _gates(one: Judgement) -> Iterator[Section]:
    if not one.gates:
        return
    head = header(["", "gate", "why", "numbers"], "llll")
    open_ones = [_gate(g) for g in one.gates if g.verdict.phase is Phase.SUCCESSFUL and not g.opened]
    shut = [_gate(g) for g in one.gates if g.verdict.phase is not Phase.SUCCESSFUL or g.opened]
    if shut:
        yield Section(1, head, tuple(shut), "", MORE_ROWS)
    if open_ones:
        yield folded(f"{plural(len(open_ones), 'gate')} passed", head, open_ones, 3)


def _gate(gate: Gate) -> str:
    phase = gate.verdict.phase
    mark = f"⚠️ overridden ({_WORDS[phase]})" if gate.opened else f"{_MARKS[phase]} {_WORDS[phase]}"
    return row([mark, code(gate.name, 60), _step_or_text(gate.verdict.reason), _numbers(gate.verdict.measurements)])


def _step_or_text(text: str) -> str:
    return _step(text) if len(text) <= 600 else prose(text, 600)


def _numbers(measured: Mapping[str, object]) -> str:
    shown = [f"{code(name, 60)} {_number(value)}" for name, value in measured.items()]
    more = f", and {len(shown) - _NUMBERS} more" if len(shown) > _NUMBERS else ""
    return ", ".join(shown[:_NUMBERS]) + more


def _number(value: object) -> str:
    """Of an event of evidence, whose path is too long for a column, the name's own part."""
    if isinstance(value, str) and (event := _EVENT.fullmatch(value)):
        return code(event[1], 20)
    if isinstance(value, bool) or not isinstance(value, int | float | list | tuple):
        return prose(str(value), 80)
    if isinstance(value, int | float):
        return figure(float(value), decimals(None))
    ends = [v for v in value if isinstance(v, int | float) and not isinstance(v, bool)]
    if len(ends) == 2 and len(value) == 2:
        return between(float(ends[0]), float(ends[1]), decimals(ends[1] - ends[0]), sign=True)
    return prose(", ".join(str(v) for v in value), 120)


def _approvals(one: Judgement) -> Iterator[Section]:
    if not one.seats:
        return
    yield Section(
        1,
        f"**Approvals**: {_MARKS[one.approvals.phase]} {prose(one.approvals.reason, 600)}\n\n"
        + header(["role", "needs", "approved by", "could still approve"], "lrll"),
        tuple(_seat(seat) for seat in one.seats),
        "",
        MORE_ROWS,
    )
    not_counting = [s for s in one.said if not s.seat]
    if not_counting:
        lines = [row([code(s.person, 40), prose(_state(s), 30), prose(s.reason)]) for s in not_counting]
        verb = "does" if len(lines) == 1 else "do"
        head = header(["who", "said", "does not count because"], "lll")
        title = f"{plural(len(lines), 'review')} that {verb} not count"
        if len(lines) > _READ:
            yield folded(title, head, lines, 2)
        else:
            yield Section(1, f"**{title}**\n\n{head}", tuple(lines), "", MORE_ROWS)


def _state(said: Said) -> str:
    return said.state.lower().replace("_", " ")


def _seat(seat: Seat) -> str:
    filled = ", ".join(code(name, 40) for name in seat.filled[:10]) or "nobody"
    could = _few([code(name, 40) for name in seat.could], 10)
    unknown = f"members of {_few([code(t, 60) for t in seat.unknown])} are not known" if seat.unknown else ""
    missing = max(0, seat.needed - len(seat.filled))
    told = "; ".join(part for part in (could, unknown) if part) or "nobody: name more people in policy.yaml"
    return row([code(seat.role, 60), str(seat.needed), filled, told if missing else "–"])


def _footer(footer: Footer) -> str:
    parts = [f"{name} {code(value[:12])}" for name, value in (("head", footer.head), ("base", footer.base)) if value]
    parts += [f"policy of base {code(footer.policy[:12])}"] if footer.policy else []
    parts += [link("the run", footer.run)] if is_plain_url(footer.run) else []
    told = "Judged by the policy of the base branch; the head was read, never run."
    return f"<sub>{' · '.join([told, *parts])}</sub>"
