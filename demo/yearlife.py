"""How a year goes: its first model, its weeks, what the loop asks for in them, and what people decide."""

from __future__ import annotations

import json
import math
import os
import resource
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from box import ROOT, need, say, step
from yearflights import FIRST, HOUR, WEEK, Calendar, between, by_hour, day_names, move, next_monday, without_weather
from yearpage import Kept, Story, write_page
from yearpeople import decision
from yearstate import Champion, Incidents, Trial, Week, Year, answered, tell_costs
from yeartown import MODEL, Town, example, new_town

from gitml import clock
from gitml.cijobs.retrainbacktest import backtested
from gitml.git.tree import WorkTree
from gitml.inference.clone import loader
from gitml.inference.monitored import Monitored
from gitml.refs import Reference
from gitml.registry import resolve
from gitml.reports.promotion import short
from gitml.spec import load_application
from gitml.spec.deployment import Pin, parse_deployment
from gitml.traffic.exchange import Arm, Exchange
from gitml.traffic.labels import Label, LabelStore
from gitml.traffic.predictionlog import LogLimits, LogOrigin, PredictionLog
from gitml.verdict import Phase

# The folder of the repository, its forge, its traffic and its clock.
WORLD = "world"
ARRIVED = 8 * HOUR
_READ = '    if rows.empty:\n        raise StageError(f"no flight from'
_HOURS = '    rows["sched_dep_minute"] = rows["sched_dep_minute"] // 60\n'


def live(folder: Path, weeks: int, incidents: Incidents) -> None:
    began = time.monotonic()
    forget(folder)
    (folder / WORLD).mkdir(parents=True)
    source, until = example(folder), (FIRST + weeks * WEEK).date()
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
            year = begin(folder / WORLD, source, incidents)
            step(f"{weeks} weeks of flights, from {FIRST:%d %B %Y} on")
            for week in range(weeks):
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


def begin(folder: Path, source: Path, incidents: Incidents) -> Year:
    """The repository, its first version in production."""
    step("A repository, its people, and a first model, trained on January to March")
    turn(folder, datetime.now(UTC))
    calendar = Calendar(next_monday(datetime.now(UTC)))
    shutil.copytree(source, folder / "flight-delay", ignore=shutil.ignore_patterns("data", ".git"))
    move(source / "data/features", folder / "flight-delay/data/features", calendar.shift)
    window = {"first_day": datetime(2013, 1, 1, tzinfo=UTC), "last_day": FIRST - timedelta(days=1)}
    town = new_town(folder, {name: f"{calendar.on_clock(day):%Y-%m-%d}" for name, day in window.items()})
    version = town.train("main", "First version of delay")
    town.record()
    number = town.promote(version)
    said = town.approve(number, "olga", "rita")
    need(said.startswith("success"), f"the first promotion: {said}")
    first = load(town)
    year = Year(town, calendar, first, first, incidents)
    year.answers(first)
    turn(folder, calendar.monday)
    year.happened(f"{short(version)} answers in production", "olga and rita approved")
    return year


def forget(folder: Path) -> None:
    """What a year leaves beside its page."""
    shutil.rmtree(folder / WORLD, ignore_errors=True)


def pinned(town: Town) -> Pin:
    """What main says is to answer."""
    path = town.app / f"models/{MODEL}/production.yaml"
    return parse_deployment(path.read_bytes(), path.name).champion


def load(town: Town) -> Champion:
    """It, as a server loads it, while main is still what it was trained from."""
    town.fresh()
    return opened(town, pinned(town))


def opened(town: Town, pin: Pin) -> Champion:
    """A version whose record and threshold lie in the clone."""
    found = loader(town.app, load_application(town.app).models).pinned(MODEL, pin)
    threshold = json.loads((town.app / "artifacts/delay/threshold.json").read_text())["threshold"]
    return Champion(pin.version, found.model, threshold)


def candidate(town: Town, version: str) -> Champion:
    """What Ada just trained."""
    record = resolve(WorkTree(town.app), Reference(MODEL, version))
    return opened(town, Pin(version=version, digest=record.files[record.artifact].sha256))


def turn(folder: Path, moment: datetime) -> None:
    """The clock, ahead to ``moment``; never back."""
    place = folder / "clock"
    os.environ[clock.VARIABLE] = str(place)
    before = clock.ahead() if place.exists() else 0
    new = place.with_name("clock.new")
    new.write_text(f"{max(before, math.ceil(moment.timestamp() - time.time()))}s")
    new.replace(place)


def one_week(year: Year, week: int) -> None:
    since = year.calendar.monday + week * WEEK
    if year.calendar.of_flights(since) == year.incidents.broken:
        break_a_column(year)
    serve(year, since)
    turn(year.town.folder, since + WEEK + 2 * HOUR)
    for look in year.town.watch():
        if look.version == year.champion.version:
            seen(year, look)
    asked = year.town.retrain()
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
    version = town.train("hours", "Train it")
    number = town.open_pull("hours", "Hours of departure are enough")
    year.happened(f"#{number}: a change that breaks a column, trained as {short(version)}", "ada")
    decided(year, number, version)


def take_back(year: Year, why: str) -> None:
    """One operator suffices. Whoever made it puts the pipeline back."""
    town, bad = year.town, year.champion.version
    number = town.roll_back(why, clock.now() + WEEK)
    said = town.approve(number, "olga")
    need(said.startswith("success"), f"the rollback: {said}")
    year.champion = year.known[pinned(town).version]
    year.happened(f"#{number} takes {short(bad)} back to {short(year.champion.version)}: {why}", "olga approved")
    before = town.git("log", "-1", "--format=%H", "--", f"models/{MODEL}/versions/{bad}.json").strip()
    town.git("checkout", "-q", "-B", "back")
    town.git("checkout", "-q", f"{before}^", "--", "pipelines", "params.yaml", "dvc.lock", "artifacts")
    town.push("back", f"As before {bad}")
    number = town.open_pull("back", f"As before {bad}")
    said = town.approve(number, "olga")
    need(said.startswith("success"), f"#{number}: {said}")


def serve(year: Year, since: datetime) -> None:
    """A week of flights: asked in their hour, told what became of them hours later."""
    town, mine = year.town, year.champion
    flights = between(town.app / "data/features", since, since + WEEK)
    seen = without_weather(flights) if year.calendar.of_flights(since) == year.incidents.away else flights
    arm = Arm(MODEL, "production", "champion", mine.version, 100.0, mine.version)
    log = PredictionLog(town.traffic, limits=LogLimits(window=0.05), origin=LogOrigin("web", "production"))
    labels = LabelStore(town.traffic)
    names = [one.name for one in mine.model.signature.inputs]
    columns = {name: seen[name].to_numpy(zero_copy_only=False) for name in names}
    # At once: what a flight is answered does not depend on the others.
    every, start = answered(mine, columns), 0
    for moment, real in by_hour(flights):
        turn(year.town.folder, moment)
        tell(year, labels, moment - ARRIVED)
        part = slice(start, start + len(real))
        answers, start = every[part], part.stop
        name = f"flights-{moment:%Y-%m-%dT%H}"
        at = moment.timestamp()
        asked = {name: values[part] for name, values in columns.items()}
        log.put(Exchange(name, "", None, arm, asked, {"p_late": answers}, 0.01, at, at))
        year.pending.append((moment, name, real["late"].to_pylist()))
    turn(year.town.folder, since + WEEK + HOUR)
    tell(year, labels, since + WEEK + HOUR - ARRIVED)
    log.close()
    labels.close()
    tell_costs(year, Week(columns, flights["late"].to_numpy().astype(float), day_names(flights, year.calendar)), every)


def tell(year: Year, labels: LabelStore, until: datetime) -> None:
    """Of flights that have arrived: whether they were late."""
    over = [one for one in year.pending if one[0] <= until]
    year.pending = [one for one in year.pending if one[0] > until]
    for _, name, late in over:
        labels.add(MODEL, [Label(name, float(value), row) for row, value in enumerate(late)], "arrivals")


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
        trial.fate = "people"
        town.close(number, said.why)
        year.happened(f"#{number} is closed: {said.why}", "olga")
        return False
    outcome = town.approve(number, "olga", "rita")
    need(outcome.startswith("success"), f"#{number} could not be merged: {outcome}")
    promotion = town.promote(version)
    outcome = town.approve(promotion, "olga", "rita")
    if not outcome.startswith("success"):
        trial.fate = "the gate"
        town.close(promotion, f"The gate keeps it out: {outcome}")
        year.happened(f"{short(version)} stays out, #{promotion} is closed: {outcome}", "the gate")
        return True
    town.fresh()
    need(pinned(town).version == version, f"main does not pin {version}")
    year.answers(trial.candidate)
    year.happened(f"{short(version)} answers in production, #{promotion}: {said.why}", "olga and rita approved")
    return True


def replayed(year: Year) -> str:
    """The policy, replayed over the year, opens what the year opened, as far as it can know what people do."""
    with year.town.place() as place:
        found = backtested(place, year.calendar.monday, clock.now())
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
