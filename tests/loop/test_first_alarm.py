"""A model that ages: the first alarm, the retraining that answers it, its canary and its promotion, by the workflows
that gitml renders. Real Git, DVC, act and HTTP, and an agent that serves what main says."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from gitml.evidence.canaries import details_of
from gitml.evidence.looks import LookDetails
from gitml.evidence.statement import Statement
from gitml.git import ledger
from gitml_sandbox.actions.runner import Runner
from loop.ageing_kit import DAY, Ageing
from loop.turned_kit import TurnedClock
from sandbox.forge_kit import Kit

pytestmark = [pytest.mark.slow, pytest.mark.nightly]
PROMOTE, RETRAIN = "gitml/promote/delay/production", "gitml/retrain/delay"


@pytest.mark.timeout(5400)
def test_from_the_first_alarm_to_the_champion_that_was_trained_because_of_it(
    place: tuple[Kit, Runner, TurnedClock], tmp_path: Path
) -> None:
    city = Ageing(*place, tmp_path / "here")
    began = city.loop.tip("main")
    brought, old = _first_champion(city)
    _alarm(city, old)
    asked = _retraining(city)
    new = _trained(city, asked)
    city.keep(asked, "retraining")
    city.merged(asked, "olga")
    beside = _candidate(city, old, new)
    succeeded = _successor(city, old, new)
    _looks_say(city, tmp_path, old, new)
    _ledger_says(city, tmp_path, began, {"retrain": asked, "promotion": beside, "champion": succeeded}, new)
    comments = " ".join(comment["body"] for comment in city.loop.comments(brought))
    assert "gitml:report:flights/monitor/delay" in comments
    assert "gitml:report:flights/alarm/delay" in comments


def _first_champion(city: Ageing) -> tuple[int, str]:
    """CI trains it, the bot proposes it, olga approves both."""
    city.loop.change({"notes.txt": "the first one\n"}, branch="first")
    training = city.loop.pull("first")
    city.settled()
    city.merged(training, "olga")
    ((branch, pull),) = city.pulls().items()
    version = branch.removeprefix(f"{PROMOTE}/")
    city.merged(pull["number"], "olga")
    assert city.state.champion.version == version
    return pull["number"], version


def _alarm(city: Ageing, old: str) -> None:
    """Some days as always, then two weeks that are warm; the schedule looks on the Monday that follows."""
    mondays = [city.warm + n * 7 * DAY for n in range(3)]
    for first, until in pairwise([city.now().date() + DAY, *mondays]):
        with city.agent() as agent:
            assert set(city.ask(agent, first, (until - first).days, requests=2, rows=100)) == {old}
            city.turn_server(datetime.combine(until, time(1), UTC))
    city.follow(datetime.combine(until, time(2), UTC))


def _retraining(city: Ageing) -> int:
    """The pull request makes the case."""
    (branch,) = [name for name in city.pulls() if name.startswith(RETRAIN)]
    pull = city.pulls()[branch]
    assert (branch, pull["user"]["type"]) == (f"{RETRAIN}/drift", "Bot")
    body = pull["body"]
    assert f"Cause: `drift`, monitor of `delay` in `production`, since {city.warm} 00:00 UTC" in body
    assert "2 of the last 3 looks in production: temp and p" in body
    assert re.search(r"How sure: `temp` 0\.\d+, between 0\.[5-6]\d+ and 0\.[7-8]\d+, and nobody minds 0.05", body)
    assert body.count("/blob/gitml-ledger/") == 2
    yesterday = city.warm + 13 * DAY
    assert f"| `window.last_day` | `yesterday` | `{yesterday}` |" in body
    assert f"| `window.first_day` | `yesterday - 13d` | `{city.warm}` |" in body
    return int(pull["number"])


def _trained(city: Ageing, number: int) -> str:
    """CI trained it, the bot committed what came out, and the report has both versions on the same rows."""
    branch = f"{RETRAIN}/drift"
    (new,) = set(city.loop.files(branch, "models/delay/versions")) - set(
        city.loop.files("main", "models/delay/versions")
    )
    said = r"`delay` is better than `production` on the same rows: `brier` (0\.\d+) → (0\.\d+)"
    found = re.search(said, city.told(number, "train"))
    assert found, city.told(number, "train")
    before, here = map(float, found.groups())
    assert 0.4 < before < 0.5
    assert 0.1 < here < 0.2
    assert "`temp`, mean" in city.told(number, "monitor/delay"), "the alarm is told here too"
    return new.removesuffix(".json")


def _candidate(city: Ageing, old: str, new: str) -> int:
    """The bot proposes it as canary. Whoever has another role cannot let it in."""
    pull = city.pulls()[f"{PROMOTE}/{new}-canary"]
    assert "the report of its training has both on the same rows" in pull["body"]
    city.merged(pull["number"], "rita", "olga")
    canary = city.state.canary
    assert canary is not None
    assert (city.state.champion.version, canary.version, canary.weight) == (old, new, 50)
    return int(pull["number"])


def _successor(city: Ageing, old: str, new: str) -> int:
    """Both answer, labels come, the job judges, and olga lets it take the champion's place."""
    first, until = city.now().date() + DAY, city.now() + 5 * DAY
    with city.agent() as agent:
        agent.wait(lambda state: state["models"][0]["applied"]["canary"]["version"] == new)
        answered = city.ask(agent, first, 3, requests=400)
        assert set(answered) == {old, new}
        assert min(answered.values()) > 400
        city.turn_server(until - timedelta(hours=2))  # the hour that is judged is whole
    city.follow(until)
    pull = city.pulls()[f"{PROMOTE}/{new}"]
    assert (pull["draft"], pull["title"]) == (False, f"Make delay@{new[-8:]} the champion of production")
    assert "accuracy" in city.told(pull["number"], "canary")
    city.merged(pull["number"], "rita", "olga")
    assert (city.state.champion.version, city.state.canary) == (new, None)
    with city.agent() as agent:
        state = agent.wait(lambda state: state["models"][0]["applied"]["champion"] == new)
        assert state["models"][0]["applied"].get("canary") is None
    return int(pull["number"])


def _looks_say(city: Ageing, folder: Path, old: str, new: str) -> None:
    """Two weeks fail, the days before do not; the canary passes beside exactly this champion."""
    signed = city.signed(folder / "looks", ledger.LOOKS)
    looks = [LookDetails.model_validate(dict(one.details)).look for one in signed if one.binding.kind == "look"]
    drift = {look.until.date() - city.warm: look.verdicts["drift"].phase.value for look in looks if look.version == old}
    assert drift[0 * DAY] != "failed"
    assert (drift[7 * DAY], drift[14 * DAY]) == ("failed", "failed")
    judged = [details_of(one).evaluation for one in signed if one.binding.kind == "canary"]
    assert {(one.champion.version, one.candidate.version) for one in judged} == {(old, new)}
    assert judged[-1].phase.value == "successful"


def _ledger_says(city: Ageing, folder: Path, began: str, pulls: dict[str, int], new: str) -> None:
    """Who made what follow from what, and who approved it."""
    audited = city.gitml("audit", "--fetch", "--since", began, folder=city.loop.fresh(folder / "audited", "main"))
    assert audited.code == 0, audited.out + audited.err
    signed = city.signed(folder / "ledger")
    told = Counter((one.binding.kind, one.binding.result) for one in signed if one.binding.version == new)
    for kind in ("trained", "evaluated", "gate", "approved", "promoted"):
        assert told[kind, "passed"], f"{told}\n{city.loop.logs()}"
    derived = {str(one.details["kind"]): one for one in signed if one.binding.kind == "derived"}
    assert set(pulls) <= set(derived)
    assert len(derived["retrain"].details["statements"]) == 2
    approved = {one.binding.pull: _approvers(one) for one in signed if one.binding.kind == "approved"}
    assert [approved[pulls[name]] for name in ("promotion", "champion")] == [("olga",)] * 2, "rita's counts for nothing"


def _approvers(one: Statement) -> tuple[str, ...]:
    return tuple(sorted(one.details["approvers"]))
