"""The report as Markdown for a pull request: verdict first, evidence below, never longer than a comment may be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gitml.output import seconds
from gitml.reports.changes import changes, commits
from gitml.reports.cut import Section, fit
from gitml.reports.escape import block, code, image, is_plain_url, link, path_in_url, prose, row
from gitml.reports.facts import Chart, Outcome, Report, ReportedHow, ReportedModel, ReportedStage
from gitml.reports.figures import plural
from gitml.reports.headline import bullets, is_unchanged, leading, summary
from gitml.reports.holdout import holdout
from gitml.reports.importance import importance
from gitml.reports.rowfacts import ComparisonRole
from gitml.reports.shifts import shifted
from gitml.reports.tables import folded, header, metrics, slices

LIMIT = 60_000
_FEWEST = 2_000
_LOG_LINES = 30


@dataclass(frozen=True)
class ReportPlace:
    """Addresses, from whoever publishes and never from the report itself.

    ``repository`` is where its pages are, ``pictures`` where the paths of charts start, ``whole`` what a cut report
    links to (the run, with the whole JSON). ``trusted`` is False for a report that a fork's run wrote.
    """

    repository: str = ""
    pictures: str = ""
    whole: str = ""
    trusted: bool = True


def render(facts: Report, place: ReportPlace | None = None, *, limit: int = LIMIT) -> str:
    """At most ``limit`` bytes of UTF-8, so never more characters. Raises ValueError for a limit under 2,000."""
    if limit < _FEWEST:
        raise ValueError(f"a report needs at least {_FEWEST} bytes, not {limit}")
    place = place or ReportPlace()
    note = f"*Shortened to fit. {link('The whole report', place.whole)} has the rest.*"
    return fit(list(_sections(facts, place)), limit - 1, note) + "\n"


def _sections(facts: Report, place: ReportPlace) -> Iterator[Section]:
    yield Section(0, summary(facts))
    if not place.trusted:
        yield Section(0, "> A run of a fork wrote this: these are its own figures, which nobody verified.")
    if lines := bullets(facts):
        yield Section(0, "", lines, "", "\n*and {} more*")
    yield from _notes(facts.notes)
    several = len(facts.models) > 1
    for model in facts.models:
        parts = list(_model(model, place))
        if several and parts:
            yield Section(1, f"### {code(model.name)}")
        yield from parts
    yield from commits(facts, place.repository)
    yield Section(0, _footer(facts, place))


def _model(model: ReportedModel, place: ReportPlace) -> Iterator[Section]:
    for stage in model.stages:
        if stage.how is ReportedHow.FAILED:
            yield from _log(stage)
    if model.outcome is not Outcome.SAME or not is_unchanged(model):
        yield from metrics(model)
        yield from holdout(model)
        yield from changes(model, _before(model))
        yield from shifted(model, _before(model))
        yield from slices(model)
        yield from importance(model, _before(model))
        yield from _charts(model, place)
    yield from _notes(model.notes)
    yield from _stages(model)
    if model.reproduce:
        yield Section(2, "Reproduce it:\n\n" + block(" ".join(model.reproduce.split()), width=1000, language="sh"))


def _before(model: ReportedModel) -> str:
    lead = leading(model)
    return code(lead.name, 40) if lead and lead.role is not ComparisonRole.BEFORE else "before"


def _log(stage: ReportedStage) -> Iterator[Section]:
    if stage.log_tail.strip():
        head = f"The last lines of {code(stage.name)}:"
        yield Section(1, f"{head}\n\n{block(stage.log_tail, lines=_LOG_LINES, width=200)}")


def _notes(notes: tuple[str, ...]) -> Iterator[Section]:
    if notes:
        yield Section(2, "", tuple(f"- {prose(note)}" for note in notes), "", "\n*and {} more notes*")


def _charts(model: ReportedModel, place: ReportPlace) -> Iterator[Section]:
    """Two beside each other: a picture drawn for twice the density of a screen is as wide as half the page."""
    drawn = [shown for chart in model.charts if (shown := _picture(chart, place))]
    if drawn:
        pairs = [drawn[i : i + 2] for i in range(0, len(drawn), 2)]
        width = min(len(drawn), 2)
        lines = [row([*pair, *[""] * (width - len(pair))]) for pair in pairs]
        yield folded(plural(len(drawn), "chart"), f"{row([' '] * width)}\n|{' :-- |' * width}", lines, 4)


def _picture(chart: Chart, place: ReportPlace) -> str:
    if not chart.image or not is_plain_url(place.pictures):
        return ""
    return image(chart.title or chart.name, f"{place.pictures.rstrip('/')}/{path_in_url(chart.image)}")


def _stages(model: ReportedModel) -> Iterator[Section]:
    if not model.stages:
        return
    ran = sum(stage.how in (ReportedHow.RAN, ReportedHow.FAILED) for stage in model.stages)
    lines = [
        row([code(s.name), s.how.value, seconds(s.seconds) if s.seconds else "", prose(s.why, 200)])
        for s in model.stages
    ]
    summary = f"{plural(len(lines), 'stage')}, {ran} ran"
    yield folded(summary, header(["stage", "", "time", "why"], "llrl"), lines, 7)


def _footer(facts: Report, place: ReportPlace) -> str:
    versions = [f"{code(m.version)} ({prose(m.origin, 20) or 'origin unknown'})" for m in facts.models if m.version]
    parts = [", ".join(versions[:4])] if versions else []
    if facts.commit:
        parts.append(f"commit {_commit(facts.commit, place)}")
    if facts.committed:
        parts.append(f"committed as {_commit(facts.committed, place)}")
    if facts.seconds:
        parts.append(seconds(facts.seconds))
    if is_plain_url(place.whole):
        parts.append(link("the run", place.whole))
    return f"<sub>{' · '.join(parts) or prose(facts.application)}</sub>"


def _commit(sha: str, place: ReportPlace) -> str:
    return link(code(sha[:8]), f"{place.repository}/commit/{sha}") if place.repository else code(sha[:8])
