"""The text of a promotion's pull request, for those who build models, those who run them, those who answer for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gitml.reports.escape import clip, code, prose, row
from gitml.reports.facts import Outcome, ReportedComparison, ReportedMetric, ReportedModel
from gitml.reports.figures import between, figure, signed
from gitml.reports.headline import places_of, reading, verdict
from gitml.reports.noise import contained, judge
from gitml.reports.rowfacts import ComparisonRole, Row
from gitml.reports.tables import header
from gitml.stats.comparison import Reading

MAX_BODY = 60_000


@dataclass(frozen=True)
class ProposedSeat:
    """Who must approve: a role, how many of it, and who holds it."""

    role: str
    needed: int
    people: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()


@dataclass(frozen=True)
class Evidence:
    """A statement of the ledger. ``doubt`` says why it is not believed, empty when it is."""

    kind: str
    time: str
    result: str
    environment: str = ""
    doubt: str = ""


@dataclass(frozen=True)
class ProposedEdit:
    """One line of what changes: which part of the environment, from what, to what. Versions or words."""

    part: str
    before: str
    after: str


@dataclass(frozen=True)
class EndedBeside:
    """Another environment in which the model ends by the same pull request, with its own rules."""

    environment: str
    edits: tuple[ProposedEdit, ...]
    seats: tuple[ProposedSeat, ...] = ()


@dataclass(frozen=True)
class Proposal:
    """All that the text says. ``home`` is the repository's page; names are whatever people wrote. ``is_end``: the model
    answers nobody afterwards."""

    model: str
    environment: str
    version: str
    home: str
    edits: tuple[ProposedEdit, ...]
    environment_is: str = ""
    model_is: str = ""
    reason: str = ""
    asked_by: tuple[str, ...] = ()
    metrics: tuple[ReportedMetric, ...] = ()
    champion: str = ""
    rows: tuple[Row, ...] = ()
    why_no_rows: str = ""
    why_unjudged: str = ""
    lineage: tuple[tuple[str, str], ...] = ()
    evidence: tuple[Evidence, ...] = ()
    no_evidence: str = ""
    seats: tuple[ProposedSeat, ...] = ()
    warnings: tuple[str, ...] = ()
    previous: str = ""
    is_rollback: bool = False
    is_end: bool = False
    also: tuple[EndedBeside, ...] = ()
    shut_out: tuple[str, ...] = ()


def promotion(about: Proposal) -> str:
    """Markdown of at most 60 KB. Everything that people or models wrote is escaped."""
    parts = [*_top(about), *_numbers(about), *_origin(about), *_evidence(about), *_readers(about), *_way_back(about)]
    return clip("\n\n".join(parts), MAX_BODY)


def short(version: str) -> str:
    """The eight digits by which people name a version.

    >>> short("20260131T080000Z-3f2a90bc")
    '3f2a90bc'
    """
    return version.rpartition("-")[2] or version


def _top(about: Proposal) -> Iterator[str]:
    yield f"**{_compared(about)}**"
    said = [f"Why: {prose(about.reason, 2000)}"] if about.reason else []
    said += [f"Asked for by {_list(about.asked_by)}."] if about.asked_by else []
    if said:
        yield "  \n".join(said)
    yield "\n".join(f"> ⚠️ {prose(text, 600)}" for text in about.warnings) if about.warnings else "### What changes"
    if about.warnings:
        yield "### What changes"
    for name, changed in [(about.environment, about.edits), *((one.environment, one.edits) for one in about.also)]:
        lines = [row([prose(e.part), _version(e.before), _version(e.after)]) for e in changed]
        yield "\n".join([header([f"in {code(name)}", "now", "after the merge"], "lll"), *lines])
    if about.environment_is or about.model_is:
        told = [f"{code(about.environment)}: {prose(about.environment_is)}"] if about.environment_is else []
        told += [f"{code(about.model)}: {prose(about.model_is)}"] if about.model_is else []
        yield "For whom. " + " ".join(text if text.endswith((".", "!", "?")) else f"{text}." for text in told)


def _version(text: str) -> str:
    return code(text) if text else "nothing"


def _compared(about: Proposal) -> str:
    if not about.rows:
        why = about.why_no_rows or "nothing runs there yet"
        return f"🔵 {code(f'{about.model}@{short(about.version)}')}: {prose(why)}."
    comparison = ReportedComparison(
        ComparisonRole.ENVIRONMENT, about.environment, about.champion, about.rows, about.why_unjudged
    )
    name = f"{about.model}@{short(about.version)}"
    return verdict(ReportedModel(name, Outcome.NEW, version=about.version, comparisons=(comparison,)))


def _numbers(about: Proposal) -> Iterator[str]:
    if about.rows:
        yield f"### Against {code(short(about.champion))}, which answers there now"
        head = ["metric", short(about.champion), short(about.version), "difference", "95 % interval", ""]
        judged = judge(about.rows)
        lines = [_line(r, reading(r, judged) if r.reading is not Reading.UNKNOWN else "") for r in about.rows[:40]]
        yield "\n".join([header(head, "lrrrrl"), *lines])
        if said := contained(about.rows[:40]):
            yield said
        if not any(r.paired for r in about.rows):
            yield "The intervals are of each version alone, so they are wider than those of a paired comparison."
    elif about.metrics:
        yield "### Its figures"
        lines = [row([code(m.name), figure(m.value), between(m.low, m.high)]) for m in about.metrics[:40]]
        yield "\n".join([header(["metric", "value", "95 % interval"], "lrr"), *lines])


def _line(found: Row, word: str) -> str:
    places = places_of(found)
    difference = signed(found.value, places) if found.value is not None else ""
    bounds = between(found.low, found.high, places, sign=True)
    return row([code(found.metric), figure(found.old, places), figure(found.new, places), difference, bounds, word])


def _origin(about: Proposal) -> Iterator[str]:
    if about.lineage:
        yield "### Where it comes from"
        lines = [row([prose(name), value]) for name, value in about.lineage]
        yield "\n".join([header(["part", f"of {code(f'{about.model}@{short(about.version)}')}"], "ll"), *lines])


def _evidence(about: Proposal) -> Iterator[str]:
    yield "### Evidence so far"
    if not about.evidence:
        yield prose(about.no_evidence or "None yet: the gate says below what it waits for.")
        return
    shown = about.evidence[-30:]
    columns = {
        "kind": [code(e.kind) for e in shown],
        "for": [code(e.environment) if e.environment else "" for e in shown],
        "result": [prose(e.result) for e in shown],
        "signed": [prose(e.time) for e in shown],
        "doubt": [_doubt(e) for e in shown],
    }
    told = {name: cells for name, cells in columns.items() if any(cells)}
    yield "\n".join([header(list(told), "l" * len(told)), *(row(cells) for cells in zip(*told.values(), strict=True))])


def _doubt(found: Evidence) -> str:
    return f"not believed: {prose(found.doubt)}" if found.doubt else ""


def _readers(about: Proposal) -> Iterator[str]:
    yield "### Who approves, and what to look at"
    if about.is_end:
        yield "Each environment asks for one approval, by anybody of the roles that its promotions need."
    asked = [(about.environment, about.seats), *((one.environment, one.seats) for one in about.also)]
    for name, seats in asked:
        place = f"role, for {code(name)}" if about.also else "role"
        lines = [row([code(s.role), str(s.needed), _holders(s)]) for s in seats]
        yield (
            "\n".join([header([place, "approvals", "held by"], "lrl"), *lines])
            if seats
            else (
                f"policy.yaml asks for nobody's approval {f'in {code(name)}' if about.also else 'here'}; "
                "the gate decides alone."
            )
        )
    if about.shut_out:
        yield f"Of these {_list(about.shut_out)} cannot approve: they made the version, or asked for this."
    yield "\n".join(_advice(about))


def _holders(seat: ProposedSeat) -> str:
    named = [code(p) for p in seat.people[:12]] + [code(t) for t in seat.teams[:6]]
    more = len(seat.people) + len(seat.teams) - len(named)
    return ", ".join(named) + (f" and {more} more" if more > 0 else "") or "nobody"


def _list(names: Sequence[str]) -> str:
    return ", ".join(code(name) for name in names)


def _advice(about: Proposal) -> Iterator[str]:
    if about.is_rollback:
        yield "- **You build models:** what went wrong with the version that leaves, and what must be shown next time."
        yield "- **You run them:** is this the version that ran well before, and does the hold last long enough?"
        yield "- **You answer for their effect:** who was affected by the version that leaves, and must be told?"
        return
    yield "- **You build models:** do the figures hold, on the groups that matter too? Is the lineage what you expect?"
    yield "- **You run them:** size, format, latency in the gate's comment; is it a good time, and the way back known?"
    yield "- **You answer for their effect:** what the difference means for those named above, and whether it is fair."


def _way_back(about: Proposal) -> Iterator[str]:
    yield "### The way back"
    if about.is_rollback:
        resume = f"gitml resume {about.model} --in {about.environment}"
        yield f"The hold stops promotions until somebody ends it: `{resume}`."
    elif about.is_end:
        resume = f'gitml resume {about.model} --in {about.environment} --reason "…"'
        yield f"`{resume}` lets it answer again there, with all approvals of a promotion. Its records stay meanwhile."
    elif about.previous:
        command = f'gitml rollback {about.model} --in {about.environment} --reason "…"'
        yield f"`{command}` opens a pull request back to {code(short(about.previous))}; one approval is enough for it."
    else:
        yield "Nothing ran here before, so there is nothing to go back to: close this, or hold it."
