"""A version beside the champion: how it came, what live flights say of it, and what people do about that."""

from __future__ import annotations

import json

from box import need
from yearflights import WEEK
from yearstate import ANSWERED, EXPIRED, TAKEN_BACK, Champion, Trial, Year
from yeartown import FIRST_WEIGHT, MODEL, Town

from gitml import clock
from gitml.cijobs.looking import LookRound
from gitml.derivation import raising, succession, takeback
from gitml.git.tree import WorkTree
from gitml.inference.clone import loader
from gitml.promotion.candidate import OpenProposal
from gitml.refs import Reference
from gitml.registry import resolve
from gitml.reports.promotion import short
from gitml.spec import load_application
from gitml.spec.deployment import Pin


def load(town: Town) -> Champion:
    """The champion, as a server loads it, while main is still what it was trained from."""
    return opened(town, town.deployment().champion)


def opened(town: Town, pin: Pin) -> Champion:
    """A version whose record and threshold lie in the clone."""
    found = loader(town.app, load_application(town.app).models).pinned(MODEL, pin)
    threshold = json.loads((town.app / "artifacts/delay/threshold.json").read_text())["threshold"]
    return Champion(pin.version, found.model, threshold)


def candidate(town: Town, version: str) -> Champion:
    """What Ada just trained."""
    record = resolve(WorkTree(town.app), Reference(MODEL, version))
    return opened(town, Pin(version=version, digest=record.files[record.artifact].sha256))


def set_beside(year: Year, trial: Trial, why: str) -> None:
    """It answers some of the flights from now on, if its gate opens."""
    town, version = year.town, trial.candidate.version
    number = town.promote(version)
    outcome = town.approve(number, "olga", "rita")
    if not outcome.startswith("success"):
        trial.fate = "kept out by the gate"
        town.close(number, f"The gate keeps it out: {outcome}")
        year.happened(f"{short(version)} stays out, #{number} is closed: {outcome}", "the gate")
        return
    year.beside = trial
    year.happened(
        f"{short(version)} answers {FIRST_WEIGHT:g} % of the flights, #{number}: {why}", "olga and rita approved"
    )


def judged(year: Year, found: LookRound) -> None:
    """The most urgent of what the bot asks for is done; what nothing was decided about goes after its time, too."""
    trial = year.beside
    if trial is None:
        return
    told = next((one.told for one in found.candidates), {})
    if told:
        year.happened(f"{short(trial.candidate.version)} beside the champion: {told['reason']}")
    asked = {one.kind: one for one in year.town.proposals() if one.version == trial.candidate.version}
    if one := asked.get(takeback.NAME):
        fate = EXPIRED if told.get("phase") == "inconclusive" else TAKEN_BACK
        goes(year, trial, one.pull.number, str(told.get("reason", "it failed")), fate)
    elif one := asked.get(succession.NAME):
        succeeds(year, trial, one)
    elif one := asked.get(raising.NAME):
        number = one.pull.number
        said = year.town.approve(number, "olga")
        need(said.startswith("success"), f"#{number}: {said}")
        canary = year.town.deployment().canary
        weight = f"{canary.weight:g} %" if canary else "nothing"
        year.happened(f"#{number} gives {short(trial.candidate.version)} {weight} of the flights", "olga approved")


def succeeds(year: Year, trial: Trial, asked: OpenProposal) -> None:
    number, version = asked.pull.number, trial.candidate.version
    said = year.town.approve(number, "olga", "rita")
    need(said.startswith("success"), f"#{number}: {said}")
    need(year.town.deployment().champion.version == version, f"main does not pin {version}")
    trial.fate, year.beside = ANSWERED, None
    year.answers(trial.candidate)
    year.happened(f"#{number} makes {short(version)} the champion", "olga and rita approved")


def goes(year: Year, trial: Trial, number: int, why: str, fate: str) -> None:
    """One operator suffices. Whoever made it puts the pipeline back."""
    version = trial.candidate.version
    said = year.town.approve(number, "olga")
    need(said.startswith("success"), f"#{number}: {said}")
    need(year.town.deployment().canary is None, f"{version} still answers")
    trial.fate, year.beside = fate, None
    year.happened(f"#{number} takes {short(version)} back: {why}", "olga approved")
    put_back(year, version)


def take_back(year: Year, why: str) -> None:
    """A champion: the one before answers again."""
    town, bad = year.town, year.champion.version
    number = town.roll_back(why, clock.now() + WEEK)
    said = town.approve(number, "olga")
    need(said.startswith("success"), f"the rollback: {said}")
    year.champion = year.known[town.deployment().champion.version]
    year.happened(f"#{number} takes {short(bad)} back to {short(year.champion.version)}: {why}", "olga approved")
    put_back(year, bad)


def put_back(year: Year, bad: str) -> None:
    """Code, params and what was trained, as main had them before a version that is gone."""
    town = year.town
    town.fresh()
    # The merge that brought it: its branch may have changed the code before it trained.
    words = ("log", "-1", "--first-parent", "--format=%H", "--", f"models/{MODEL}/versions/{bad}.json")
    before = f"{town.git(*words).strip()}^"
    town.git("checkout", "-q", "-B", "back")
    town.git("checkout", "-q", before, "--", "pipelines", "params.yaml", "dvc.lock", "artifacts")
    town.push("back", f"As before {bad}")
    number = town.open_pull("back", f"As before {bad}")
    said = town.approve(number, "olga")
    need(said.startswith("success"), f"#{number}: {said}")
    town.fresh()
    need(not town.git("diff", "--name-only", before, "--", "pipelines"), "the pipeline is not what it was")
