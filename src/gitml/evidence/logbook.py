"""What happened to models in their environments, from signed statements alone: the log that Articles 12 and 19 of
Regulation (EU) 2024/1689 (AI Act) ask of high-risk systems, as far as deployments, alarms and people go. Requests and
answers are in the traffic.

One line a happening, oldest first: pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

from gitml.evidence.biases import KIND as BIAS
from gitml.evidence.canaries import KIND as CANARY
from gitml.evidence.looks import KIND as LOOK
from gitml.evidence.looks import looks_of
from gitml.evidence.trust import Believed
from gitml.jsontext import plain

_WORDS = {
    "promoted": "promoted",
    "rolled-back": "rolled back",
    "deployed": "deployed",
    "overridden": "override",
    "reviewed": "reviewed",
    "declined": "retraining declined",
    BIAS: "selections counted",
    CANARY: "candidate judged",
}
# A canary that got less, a hold, a retired model: CI records all of these as what main has now.
_MOVES = {"stop": "stopped", "resume": "resumed"}
_PARTS = ("quality", "drift", "harm")


@dataclass(frozen=True)
class LogLine:
    """``what`` happened, with the ``result`` that was signed, ``by`` whom and ``why``. ``environment`` is empty for
    what holds in all of them. ``corrects``: the alarms that stood when a change came. ``substantial``: parts by which
    the gate called it a substantial modification. ``event``: the ledger's name of the statement.
    """

    time: str
    environment: str
    model: str
    version: str
    what: str
    result: str
    by: str
    why: str
    corrects: tuple[str, ...]
    substantial: tuple[str, ...]
    pull: int | None
    event: str

    def to_dict(self) -> dict[str, Any]:
        return {one.name: plain(getattr(self, one.name)) for one in fields(self)}


LOG_COLUMNS = tuple(one.name for one in fields(LogLine))


def logbook(told: Iterable[Believed], environment: str = "", model: str = "") -> tuple[LogLine, ...]:
    """Of statements of the ledger and of the branch of looks; those that do not count tell nothing."""
    events = [one for one in told if one]
    decided = {(e.kind, e.model, e.environment, e.new): e for e in events if e.kind in ("gate", "approved") and e.new}
    looks = {look.said.name for look in looks_of(e for e in events if e.kind == LOOK).counting}
    lines = [line for e in _in_order(events) for line in _lines(e, decided, looks)]
    wanted = [one for one in _corrected(lines) if environment in ("", one.environment) or not one.environment]
    return tuple(one for one in wanted if model in ("", one.model))


def _in_order(events: Iterable[Believed]) -> list[Believed]:
    return sorted({event.name: event for event in events}.values(), key=lambda event: (event.time, event.name))


def _lines(
    event: Believed, decided: Mapping[tuple[str, str, str, str], Believed], looks: set[str]
) -> Iterator[LogLine]:
    about = event.binding
    if about is None or (event.kind not in _WORDS and event.kind != LOOK):
        return
    line = LogLine(
        time=about.time,
        environment=about.environment,
        model=about.model,
        version=about.version,
        what=_WORDS.get(event.kind, ""),
        result=about.result,
        by=about.by or event.owner,
        why=_why(event.details),
        corrects=(),
        substantial=(),
        pull=about.pull,
        event=event.name,
    )
    if event.kind == LOOK:
        if event.name in looks:
            yield from _of_look(line, event.details)
        return
    if event.kind not in ("promoted", "rolled-back"):
        yield line
        return
    gate, approved = (decided.get((kind, event.model, event.environment, event.new)) for kind in ("gate", "approved"))
    move = approved.details.get("move") if approved else None
    what = _MOVES.get(str(move), line.what)
    yield replace(line, what=what, substantial=_substantial(gate))


def _why(details: Mapping[str, Any]) -> str:
    told = [details.get(name) for name in ("reason", "report", "cause")]
    return next((text[:2000] for text in told if isinstance(text, str) and text), "")


def _of_look(line: LogLine, details: Mapping[str, Any]) -> Iterator[LogLine]:
    """A line for each verdict; those that go on as before are taken out later."""
    verdicts = details.get("look", {}).get("verdicts", {})
    for part in _PARTS:
        found = verdicts.get(part)
        if isinstance(found, Mapping):
            result = "failed" if found.get("phase") == "failed" else "passed"
            yield replace(line, what=part, result=result, why=str(found.get("reason", ""))[:2000])


def _substantial(gate: Believed | None) -> tuple[str, ...]:
    """What the newest judgement of the change said."""
    gates = gate.details.get("gates") if gate else None
    found: set[str] = set()
    for name, verdict in gates.items() if isinstance(gates, Mapping) else ():
        measured = verdict.get("measurements") if isinstance(verdict, Mapping) else None
        if str(name).rpartition(" ")[2] == "substantial" and isinstance(measured, Mapping):
            parts = measured.get("substantial")
            found |= {str(part) for part in parts} if isinstance(parts, list | tuple) else set()
    return tuple(sorted(found))


def _corrected(lines: Iterable[LogLine]) -> Iterator[LogLine]:
    """Alarms once, when they begin and when they end; changes with the alarms that stood when they came."""
    standing: dict[tuple[str, str], dict[str, bool]] = {}
    for line in lines:
        place = standing.setdefault((line.model, line.environment), {})
        if line.what in _PARTS:
            alarms = line.result == "failed"
            if alarms != place.get(line.what, False):
                place[line.what] = alarms
                yield line if alarms else replace(line, what=f"{line.what} over")
        elif line.what in ("promoted", "rolled back", "stopped"):
            yield replace(line, corrects=tuple(part for part in _PARTS if place.get(part)))
        else:
            yield line


def begins(lines: Iterable[LogLine], environment: str) -> datetime | None:
    """When the log of an environment begins."""
    found = (datetime.fromisoformat(line.time) for line in lines if line.environment == environment)
    return min(found, default=None)
