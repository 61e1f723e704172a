"""The report of a look: the comment that stays, the short one that calls people when something is wrong, the pictures.

All of it is told by the look and the looks before it, which were signed: equal looks give equal bytes. The text stands
alone where a forge shows no pictures.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from gitml.errors import GitmlError
from gitml.reports.charts import pngs
from gitml.reports.cut import Section, fit
from gitml.reports.escape import block, code, link, prose, row
from gitml.reports.figures import plural
from gitml.reports.lookchart import chart
from gitml.reports.lookcolumns import columns
from gitml.reports.lookdetectors import detectors
from gitml.reports.lookfacts import LookStory, Told, day, list_of, moment, mutes_of, number, verdicts_of
from gitml.reports.lookhistory import history as history_of
from gitml.reports.lookoutliers import outliers
from gitml.reports.lookperformance import performance, performance_chart
from gitml.reports.lookwords import headline, sentence, what_to_do
from gitml.reports.tables import MORE_ROWS, header

LIMIT = 60_000
_PERSON = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,98}[A-Za-z0-9])?")
_TEAM = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}(?:/[A-Za-z0-9][A-Za-z0-9_.-]{0,99})+")
_ODD = re.compile(r"[^A-Za-z0-9._-]")
# For the addresses of pictures, which are longer than their names.
_ADDRESSES = 2_000
_PERFORMANCE = "-performance"
_BREACHES = 20
_MUTED = 20
_MUTED_FOR = timedelta(days=14)

Draw = Callable[[Sequence[object]], Sequence[object]]


@dataclass(frozen=True)
class Page:
    """``sticky`` is Markdown of at most 60 KB. ``alert`` is a short new comment, None when nothing failed.

    ``pictures`` by their names, which stand in the text as ``![…](name)``: whoever publishes puts addresses there.
    """

    sticky: str
    alert: str | None
    pictures: Mapping[str, bytes] = field(default_factory=dict)


def report(
    look: Mapping[str, Any], history: Sequence[Mapping[str, Any]] = (), *, run: str = "", draw: Draw = pngs
) -> Page:
    """``look`` has the shape of `Monitored.to_dict`, and maybe its ``id``; ``history``: those before, oldest first.

    Of a version that took the place of another within the window it says which (``before``), and when it ``came``; of
    one that serves no more, when it was ``gone``, which came ``after``, and the commit that had ``brought`` it.

    ``run`` is the address of the job that tells it.
    """
    story = LookStory(look, history)
    pictures = _pictures(story, draw)
    note = "*Not everything fits here: `gitml monitor` shows the rest.*"
    sticky = fit([*_sections(story, run, [*pictures])], LIMIT - _ADDRESSES, note)
    return Page(sticky, _alert(story, [*pictures]) if story.failed else None, pictures)


def _pictures(story: LookStory, draw: Draw) -> dict[str, bytes]:
    """None where what draws them is not installed, without one that cannot be drawn: the text stands alone."""
    charts = {"": chart(story), _PERFORMANCE: performance_chart(story)}
    specs = {kind: spec for kind, spec in charts.items() if spec}
    try:
        drawn = draw([*specs.values()]) if specs else []
    except GitmlError:
        return {}
    monitor = f"{story.look.get('model', '')}-{story.look.get('environment', '')}"
    name = _ODD.sub("-", monitor).strip(".-")[:80] or "monitor"
    found = zip(specs, drawn, strict=True)
    return {f"{name}{kind}.png": picture for kind, picture in found if isinstance(picture, bytes)}


def _sections(story: LookStory, run: str, pictures: Sequence[str]) -> Iterator[Section]:
    yield Section(0, headline(story))
    yield Section(0, "\n".join(f"- {sentence(story, part, verdict)}" for part, verdict in story.verdicts))
    yield Section(0, _window(story))
    if doing := what_to_do(story):
        yield Section(1, "**What to do**\n", tuple(f"- {line}" for line in doing))
    yield from _breaches(story.look)
    yield from columns(story)
    yield from detectors(story)
    yield from outliers(story)
    if shown := _shown(pictures, of_performance=False):
        yield Section(2, shown)
    yield from performance(story)
    if shown := _shown(pictures, of_performance=True):
        yield Section(3, shown)
    yield from _muted(story.look)
    yield from _notes(story.look)
    if before := history_of(story):
        yield before
    yield from _by_hand(story)
    yield Section(0, _footer(story.look, run))


def _window(story: LookStory) -> str:
    look = story.look
    looks = list_of(look, "looks")
    rows = plural(int(number(look, "rows")), "row")
    if len(looks) > 1:
        every = sum(int(number(one, "rows")) for one in looks)
        rows += f" ({every:,} with the {plural(len(looks) - 1, 'window')} before)"
    effective = [number(effect, "effective") for column in story.columns for effect in _of_window(column)]
    if effective:
        low, high = f"{min(effective):,.0f}", f"{max(effective):,.0f}"
        rows += f", worth {low if low == high else f'{low} to {high}'} independent ones, by column"
    told = [f"{day(look, 'since')} to {day(look, 'until')}", rows]
    if look.get("complete") not in (None, "complete"):
        told.append(f"⚠️ rows may be missing: the traffic is {prose(str(look['complete']), 40)}")
    return f"**Window**: {'; '.join(told)}. Version {code(str(look.get('version', '')))}."


def _of_window(column: Told) -> list[Told]:
    effect = column.get("values")
    return [effect] if isinstance(effect, Mapping) else []


def _breaches(look: Told) -> Iterator[Section]:
    found = list_of(look, "quality")
    if found:
        head = header(["column", "rule", "expected", "seen", "since"], "lllll")
        lines = tuple(
            row(
                [
                    code(str(b["column"]), 40) if b.get("column") else "all",
                    *(prose(str(b.get(key, "")), 160) for key in ("rule", "expected", "seen")),
                    day(b, "since"),
                ]
            )
            for b in found[:_BREACHES]
        )
        more = f"\n*and {len(found) - _BREACHES} more*" if len(found) > _BREACHES else ""
        yield Section(1, f"**Broken rules of the data**\n\n{head}", lines, more, MORE_ROWS)


def _shown(pictures: Sequence[str], *, of_performance: bool) -> str:
    title = "performance by window" if of_performance else "reference against window"
    wanted = [name for name in pictures if name.endswith(f"{_PERFORMANCE}.png") == of_performance]
    return "\n".join(f"![{title}]({name})" for name in wanted)


def _muted(look: Told) -> Iterator[Section]:
    lines = []
    for mute in mutes_of(look):
        names = mute.get("columns")
        shown = ", ".join(code(str(name), 40) for name in names) if isinstance(names, list | tuple) else ""
        ends = _last(moment(mute, "until"))
        said = f"🔔 ended {ends}: alarms again" if mute.get("over") else f"🔕 through {ends}"
        line = f"gitml.yaml:{int(number(mute, 'line'))}"
        lines.append(row([shown, said, prose(str(mute.get("reason", "")), 200), code(line)]))
    if lines:
        yield Section(2, "**Muted**\n\n" + header(["columns", "", "why", "by"], "llll"), tuple(lines), "", MORE_ROWS)


def _last(until: datetime | None) -> str:
    """A mute that ends at midnight holds through the day before, as gitml.yaml names it."""
    if until is None:
        return "an unknown time"
    at_midnight = (until.hour, until.minute) == (0, 0)
    return f"{until - timedelta(days=1):%Y-%m-%d}" if at_midnight else f"{until:%Y-%m-%d %H:%M} UTC"


def _notes(look: Told) -> Iterator[Section]:
    own = look.get("own_periods")
    alarms = own.get("alarms") if isinstance(own, Mapping) else None
    notes = []
    drift = verdicts_of(look).get("drift", {}).get("measurements")
    if isinstance(drift, Mapping) and drift.get("mix"):
        notes.append(f"- Held fixed, so no alarm: {prose(str(drift['mix']), 300)}")
    if look.get("unread"):
        notes.append(f"- ⚠️ {prose(str(look['unread']), 300)}")
    if isinstance(alarms, Mapping) and alarms:
        names = ", ".join(code(str(name).partition("_")[2], 40) for name in [*alarms][:10])
        notes.append(f"- The reference's own periods would alarm too: {names}. Raise their floors.")
    if look.get("before"):
        came = f"- This version came on {day(look, 'came')}, within the window."
        old = f"What {code(str(look['before']))} answered earlier in the window"
        notes.append(f"{came} {old} is not judged by any look, because it no longer serves.")
    if look.get("gone"):
        newer = f": {code(str(look['after']))} took its place" if look.get("after") else ""
        gone = f"- This version has not served since {day(look, 'gone')}{newer}."
        notes.append(f"{gone} This look was missed at the time and was made up for.")
    if not look.get("scheduled", True):
        notes.append("- This window is beside the schedule: the promise about false alarms does not cover it.")
    if notes:
        yield Section(2, "\n".join(notes))


def _by_hand(story: LookStory) -> Iterator[Section]:
    yield Section(0, "Look yourself:\n\n" + block(command(story.look), width=1000, language="sh"))
    if story.loud:
        said = "Mute columns until a day by a pull request that adds this to `gitml.yaml`:"
        yield Section(1, f"{said}\n\n{block(mute_lines(story), width=9000, language='yaml')}")


def command(look: Told) -> str:
    """What shows the same on a laptop."""
    words = ["gitml monitor", str(look.get("model", "")), "--in", str(look.get("environment", ""))]
    if look.get("brought"):
        words = ["git checkout", str(look["brought"])[:12], "&&", *words]
    since, until, at = (moment(look, name) for name in ("since", "until", "at"))
    was_missed = since and until and at and until + (until - since) <= at
    if was_missed or not look.get("scheduled", True):
        words += ["--since", str(look.get("since", "")), "--until", str(look.get("until", ""))]
    return " ".join([*words, "--at", str(look.get("at", ""))])


def mute_lines(story: LookStory) -> str:
    """Lines of gitml.yaml that mute what drifted, for two weeks from the end of the window on."""
    names = ", ".join(json.dumps(str(column.get("column", ""))[:200]) for column in story.loud[:_MUTED])
    end = moment(story.look, "until")
    until = f"{end + _MUTED_FOR:%Y-%m-%d}" if end else "YYYY-MM-DD"
    mute = f'{{columns: [{names}], until: {until}, reason: "say why"}}'
    return f"monitors:\n  models:\n    {story.look.get('model', '')}:\n      mutes:\n        - {mute}"


def _footer(look: Told, run: str) -> str:
    promise = look.get("promise")
    parts = []
    if isinstance(promise, Mapping) and look.get("scheduled", True):
        years, watched = int(number(promise, "years")), plural(int(number(promise, "columns")), "column")
        parts.append(f"Promised: at most one false alarm in {years} years, over all {watched} that are watched.")
    spent = look.get("spent")
    if isinstance(spent, Mapping):
        parts.append(f"Looks of {int(number(spent, 'year'))} so far: {int(number(spent, 'looks')):,}.")
    if not look.get("gone"):
        parts.append(f"Next look: {day(look, 'next_look')}.")
    concerned = _concerned(look, call=False)
    if concerned:
        parts.append(f"Whom it concerns: {concerned}.")
    told = [f"{name} {code(digest[:12])}" for name, digest in _digests(look)]
    told += [link("the run", run)] if run else []
    lines = [" ".join(parts), *([" · ".join(told)] if told else [])]
    return "\n".join(f"<sub>{line}</sub>" for line in lines)


def _digests(look: Told) -> Iterator[tuple[str, str]]:
    if look.get("id"):
        yield "look", str(look["id"])
    looks = list_of(look, "looks")
    if looks and looks[-1].get("sketch"):
        yield "counts of the window", str(looks[-1]["sketch"])
    reference = look.get("reference")
    if isinstance(reference, list | tuple):
        yield from zip(("reference of inputs", "reference of answers"), map(str, reference), strict=False)


def _concerned(look: Told, *, call: bool) -> str:
    """Logins and teams; only where ``call`` says so they are called, and only what is a name of one."""
    tell = look.get("tell")
    if not isinstance(tell, Mapping):
        return ""
    named = [(str(name), _PERSON) for name in tell.get("people") or ()]
    named += [(str(name), _TEAM) for name in tell.get("teams") or ()]
    return ", ".join(f"@{name}" if call and form.fullmatch(name) else code(name) for name, form in named[:40])


def _alert(story: LookStory, pictures: Sequence[str]) -> str:
    """What, since when, how sure, which columns, a picture, what one can do, whom it concerns."""
    lines = [headline(story), ""]
    lines += [f"- {sentence(story, part, verdict)}" for part, verdict in story.failed]
    promise = story.look.get("promise")
    estimated = any(part != "quality" for part, _ in story.failed)
    if isinstance(promise, Mapping) and story.look.get("scheduled", True) and estimated:
        lines += ["", f"How sure: at most one false alarm in {int(number(promise, 'years'))} years is promised."]
    lines += ["", *(f"- {line}" for line in what_to_do(story))]
    harm_alone = [part for part, _ in story.failed] == ["harm"]
    if shown := _shown(pictures, of_performance=harm_alone):
        lines += ["", shown]
    lines += [
        "",
        f"The comment of the monitor has the columns and the history; {code(command(story.look), 300)} shows them.",
    ]
    concerned = _concerned(story.look, call=True)
    return "\n".join([*lines, *(["", concerned] if concerned else [])])
