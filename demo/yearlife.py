"""How a year goes: its first model, its weeks, what the loop asks for in them, and what people decide."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from box import ROOT, need, say, step
from yearbeside import candidate, judged, load, set_beside, take_back
from yearflights import DAY, FIRST, HOUR, WEEK, Calendar, move, next_monday
from yearpage import Kept, Story, write_page
from yearpeople import decision
from yearserve import serve, turn
from yearstate import Incidents, Trial, Year
from yeartown import example, new_town

from gitml import clock
from gitml.cijobs.retrainbacktest import backtested
from gitml.inference.monitored import Monitored
from gitml.reports.promotion import short
from gitml.verdict import Phase

# The folder of the repository, its forge, its traffic and its clock.
WORLD = "world"
_READ = '    if rows.empty:\n        raise StageError(f"no flight from'
_HOURS = '    rows["sched_dep_minute"] = rows["sched_dep_minute"] // 60\n'


def live(folder: Path, weeks: range, incidents: Incidents) -> None:
    began = time.monotonic()
    forget(folder)
    (folder / WORLD).mkdir(parents=True)
    source, until = example(folder), (FIRST + weeks.stop * WEEK).date()
    others = folder / WORLD / "others.json"
    command = [
        sys.executable,
        str(ROOT / "demo/yearpolicies.py"),
        str(source),
        str(until),
        f"{incidents.away:%Y-%m-%d}",
        str(others),
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as without:
        try:
            year = begin(folder / WORLD, source, incidents, weeks.start)
            step(f"{len(weeks)} weeks of flights, from {FIRST + weeks.start * WEEK:%d %B %Y} on")
            for week in weeks:
                one_week(year, week)
            same = replayed(year)
            _, wrong = without.communicate()
        finally:
            without.terminate()
    need(without.returncode == 0, f"what would have been without gitml: {wrong[-500:]}")
    year.daily |= json.loads(others.read_text())
    step("What it cost, and what the loop was worth")
    for line in write_page(folder, Story(year.told, year.daily, kept(year), same)):
        say(line)
    used = sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    took = f"{time.monotonic() - began:.0f} s, {used:.0f} s of processors"
    say(f"{folder / 'year.html'}, year.md, year.png; {took}")


def kept(year: Year) -> list[Kept]:
    """What reports said of versions, who let them in, and what became of it."""
    since = year.calendar.of_flights
    return [
        Kept(one.candidate.version, f"{since(one.since):%Y-%m-%d}", one.fate, one.said, one.daily)
        for one in year.trials
    ]


def begin(folder: Path, source: Path, incidents: Incidents, skipped: int = 0) -> Year:
    """The repository, its first version in production; ``skipped`` weeks pass before anybody asks."""
    step("A repository, its people, and a first model, trained on January to March")
    turn(folder, datetime.now(UTC))
    calendar = Calendar(next_monday(datetime.now(UTC)))
    began = calendar.monday + skipped * WEEK
    if skipped:
        turn(folder, began - DAY)
    shutil.copytree(source, folder / "flight-delay", ignore=shutil.ignore_patterns("data", ".git"))
    move(source / "data/features", folder / "flight-delay/data/features", calendar.shift)
    window = {"first_day": datetime(2013, 1, 1, tzinfo=UTC), "last_day": FIRST - timedelta(days=1)}
    town = new_town(folder, {name: f"{calendar.on_clock(day):%Y-%m-%d}" for name, day in window.items()})
    version = town.train("main", "First version of delay")
    town.record()
    number = town.promote(version, first=True)
    said = town.approve(number, "olga", "rita")
    need(said.startswith("success"), f"the first promotion: {said}")
    first = load(town)
    year = Year(town, calendar, first, first, incidents, began)
    year.answers(first)
    turn(folder, began)
    year.happened(f"{short(version)} answers in production", "olga and rita approved")
    return year


def forget(folder: Path) -> None:
    """What a year leaves beside its page."""
    shutil.rmtree(folder / WORLD, ignore_errors=True)


def one_week(year: Year, week: int) -> None:
    since = year.calendar.monday + week * WEEK
    if year.is_to_break(since):
        break_a_column(year)
    serve(year, since)
    turn(year.town.folder, since + WEEK + 2 * HOUR)
    found = year.town.watch()
    # One job looks and asks for retrainings; people act on both afterwards.
    asked = year.town.retrain()
    for look in found.looks:
        if look.id and look.found.version == year.champion.version:
            seen(year, look.found)
    judged(year, found)
    if asked.how == "opened":
        cause = asked.plan.cause
        assert cause is not None
        year.opened.append((cause.kind, asked.plan.at))
        year.happened(f"#{asked.pull} asks for a retraining: {cause.reason}", "the bot")
        retrained(year, asked.pull)
    elif asked.plan.causes:
        year.happened(f"no retraining: {asked.plan.why}")


def seen(year: Year, look: Monitored) -> None:
    """What a look makes people do at once: data that are broken are told; a new version whose answers are off goes."""
    quality = look.verdicts.get("quality")
    if quality and quality.phase is Phase.FAILED:
        year.happened(f"an incident: {quality.reason}", "the monitor")
        return  # broken data say nothing of the model
    moved = [column.column for column in look.columns if column.output and column.drifted]
    if moved and year.champion is not year.first:
        take_back(year, f"{', '.join(moved)} is not what the evaluation of this version gave")


def break_a_column(year: Year) -> None:
    """Ada's change is fine by its report: its hold-out is as broken as its training, and only requests are not."""
    town = year.town
    town.fresh()
    town.git("checkout", "-q", "-B", "hours")
    path = town.app / "pipelines/flights.py"
    head, found, tail = path.read_text().partition(_READ)
    need(bool(found), "pipelines/flights.py does not read rows as it did")
    path.write_text(f"{head}{_HOURS}{found}{tail}")
    town.push("hours", "Hours of departure are enough")
    year.broke = True
    version = town.train("hours", "Train it")
    number = town.open_pull("hours", "Hours of departure are enough")
    year.happened(f"#{number}: a change that breaks a column, trained as {short(version)}", "ada")
    decided(year, number, version)


def retrained(year: Year, number: int) -> None:
    """Ada trains what the bot asks for."""
    with year.town.place() as place:
        branch = place.forge.pulls.get(number).head.branch
    if not decided(year, number, year.town.train(branch, "Train what the bot asks for")) and not year.foreseen:
        year.foreseen = len(year.opened)


def decided(year: Year, number: int, version: str) -> bool:
    """People read how both versions do on the same rows, and merge the new one or close the pull request."""
    town = year.town
    said = decision(town.app, version, year.champion.version)
    trial = Trial(candidate(town, version), year.champion, said.said, clock.now())
    year.trials.append(trial)
    if not said.good:
        trial.fate = "kept out by people"
        town.close(number, said.why)
        year.happened(f"#{number} is closed: {said.why}", "olga")
        return False
    outcome = town.approve(number, "olga", "rita")
    need(outcome.startswith("success"), f"#{number} could not be merged: {outcome}")
    set_beside(year, trial, said.why)
    return True


def replayed(year: Year) -> str:
    """The policy, replayed over the year, opens what the year opened, as far as it can know what people do."""
    with year.town.place() as place:
        found = backtested(place, year.began, clock.now())
    told = [(one.cause, one.opened) for one in found.opened]
    really, sure = year.opened, year.foreseen or len(year.opened)
    if not year.foreseen:
        need(len(told) == len(really), f"the replay opened {told}, the year {really}")
    for (cause, at), (kind, moment) in zip(told[:sure], really[:sure], strict=True):
        need(cause == kind and abs(at - moment) < HOUR, f"the replay opened {told}, the year {really}")
    if sure == len(really) == len(told):
        return f"`gitml retrain backtest` over the same time opens the same {sure} retrainings"
    return (
        f"`gitml retrain backtest` opens the same {sure} retrainings up to the first that people refused, and "
        f"{len(told)} in all where the year opened {len(really)}: it does not know of refusals"
    )
