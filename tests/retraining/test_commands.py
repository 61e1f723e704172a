"""The commands as people call them, on a forge in memory."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gitml.cli.main import main
from gitml.evidence.keys import generate
from retraining.retrain_town import RetrainTown

Make = Callable[..., RetrainTown]
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def here(
    retrain_town: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[RetrainTown, Call]:
    """A town with an alarm, and `gitml WORDS…` in a clone of it as somebody, at the town's time."""
    town = retrain_town()
    town.look(drift="failed")
    town.look(drift="failed")
    monkeypatch.setenv("GITML_FORGE", "memory")
    monkeypatch.setenv("GITML_MEMORY", town.town.home.remote())
    monkeypatch.setattr("gitml.clock.ahead", lambda: int(town.town.now.timestamp() - time.time()) + 1)

    def call(*words: str, login: str = "ada") -> tuple[int, str, str]:
        monkeypatch.setenv("GITML_MEMORY_LOGIN", login)
        with pytest.raises(SystemExit) as left:
            main(["-C", str(town.town.here), *words])
        said = capsys.readouterr()
        return int(left.value.code or 0), said.out, said.err

    return town, call


@pytest.mark.slow
def test_plan_then_the_job_then_a_back_test(here: tuple[RetrainTown, Call]) -> None:
    town, call = here
    code, out, _ = call("retrain", "plan", "delay")
    assert code == 0
    assert out.startswith(
        "delay: open  drift: 2 of the last 2 looks in production: drift is failed\n  drift        since"
    )
    code, out, _ = call("retrain", "plan", "--json")
    (told,) = json.loads(out)
    assert (told["do"], told["cause"], told["causes"][0]["brakes"], len(told["causes"][0]["looks"])) == (
        "open", "drift", [], 2,
    )  # fmt: skip
    assert call("retrain", "plan", "other")[0] == 2
    code, out, _ = call("ci", "retrain", "--json", login="olga")
    assert (code, json.loads(out)[0]["how"]) == (0, "opened")
    code, out, _ = call("ci", "retrain", login="olga")
    number = town.pulls()[0].number
    assert (code, out) == (0, f"delay: #{number} unchanged: #{number} is open for drift\n")
    code, out, _ = call("retrain", "backtest", "--since", "2026-03-01")
    assert code == 0
    assert out.splitlines()[-1] == "1 retrainings from 2026-03-01 to 2026-03-03: 0.5 h, 2 GPU hours, 0 in money"
    assert (
        json.loads(call("retrain", "backtest", "--since", "2026-03-01", "--json")[1])["opened"][0]["cause"] == "drift"
    )
    assert call("retrain", "backtest", "--since", "2027-03-01")[0] == 2
    for odd in ("0001-01-01", "9999-12-31"):
        assert call("retrain", "plan", "--at", odd)[0] == 2, odd
    assert call("retrain", "backtest", "--since", "0001-01-01")[0] == 2
    assert call("retrain", "plan", "--at", "1900-01-01")[0] == 0


@pytest.mark.slow
def test_a_person_asks_and_is_its_author(here: tuple[RetrainTown, Call]) -> None:
    town, call = here
    assert call("retrain", "open", "delay")[0] == 2
    code, out, err = call("retrain", "open", "delay", "--reason", "a new | runway @olga")
    assert code == 0, err
    (pull,) = town.pulls()
    assert (code, out) == (0, f"delay: #{pull.number} opened: a new | runway @olga\n")
    assert (pull.head.branch, pull.author) == ("gitml/retrain/delay/by-hand", "ada")
    assert 'last_day: "2026-03-02"' in town.file("params.yaml", pull.head.branch)
    assert "@olga" not in pull.body
    assert "not-now" not in pull.body, "no monitor asks for it, so that there is no cause to silence"
    (commit,) = town.town.commits(pull.number)
    assert commit.author is not None
    assert commit.author.login == "ada"
    assert town.g.events("derived") == []
    assert town.run().how == "unchanged"
    code, _, err = call("retrain", "open", "delay", "--reason", "again")
    assert (code, f"#{pull.number} is open for by-hand" in err) == (2, True)
    code, _, err = call("retrain", "open", "delay", "--cause", "harm", "--reason", "x")
    assert (code, "has no cause harm now" in err) == (2, True)


def test_a_no_that_is_signed_holds_the_job_up(here: tuple[RetrainTown, Call], tmp_path: Path) -> None:
    town, call = here
    secret, public = generate()
    (tmp_path / "olga.key").write_text(secret)
    entry = {"public": public, "owner": "olga", "purposes": ["declined"], "from": "2026-01-01"}
    town.g.rules(keys={**town.g.policy["keys"], "olga": entry})
    no = ("retrain", "decline", "delay", "--cause", "drift", "--reason", "closed", "--key", str(tmp_path / "olga.key"))
    code, out, _ = call(*no, "--for", "14d", login="olga")
    assert (code, out) == (0, "olga says no to drift of delay, until 2026-03-17 12:00 UTC\n")
    code, out, _ = call("ci", "retrain", login="olga")
    assert (code, "olga said no to drift: closed (until 2026-03-17" in out) == (0, True)
    assert call(*no, "--for", "soon", login="olga")[0] == 2
    town.rules(decline=["risk"])
    code, _, err = call(*no, "--for", "14d", login="olga")
    assert (code, "holds none of the roles risk" in err) == (1, True)
