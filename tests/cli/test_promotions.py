"""promote, merge, status, rollback, resume and ci propose as people call them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from gitml.cli.main import main
from gitml.evidence.keys import generate
from gitml.spec import Deployment
from promotion.promoting import MemoryTown, pin
from promotion.towns import new_town_here, town_template

__all__ = ["new_town_here", "town_template"]
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def here(
    new_town_here: Callable[[], MemoryTown], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[MemoryTown, Call]:
    """A town, and `gitml WORDS…` in a clone of it as somebody."""
    t = new_town_here()
    for name in ("GITHUB_TOKEN", "GH_TOKEN", "GITML_BOT", "GITHUB_ACTOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GITML_FORGE", "memory")
    monkeypatch.setenv("GITML_MEMORY", t.home.remote())

    def call(*words: str, login: str = "ada") -> tuple[int, str, str]:
        monkeypatch.setenv("GITML_MEMORY_LOGIN", login)
        with pytest.raises(SystemExit) as left:
            main(["-C", str(t.here), *words])
        said = capsys.readouterr()
        return int(left.value.code or 0), said.out, said.err

    return t, call


@pytest.mark.slow
def test_from_a_proposal_to_a_merge_and_back(here: tuple[MemoryTown, Call]) -> None:
    t, call = here
    one, two = t.train(1), t.train(2)
    t.put("staging", Deployment(champion=pin(one)))
    code, out, _ = call("promote", "delay@latest", "--to", "staging", "--reason", "better")
    assert code == 0
    number = t.pulls()[0].number
    assert out.splitlines() == [
        f"#{number} opened: Promote delay@{two.digest[:8]} to staging",
        t.pull(number).url,
        "asked for a review: olga",
    ]
    code, out, _ = call("promote", "delay@latest", "--to", "staging", "--json")
    assert (code, json.loads(out)["how"], json.loads(out)["pull"]) == (0, "updated", number)
    code, _, err = call("merge", str(number))
    assert (code, "no gitml/gate" in err) == (3, True)
    t.gate(number)
    code, out, _ = call("merge", str(number), login="olga")
    assert code == 0
    assert out.startswith(f"#{number} merged: ")
    code, out, _ = call("status", "delay")
    assert code == 0
    assert [line.split()[:3] for line in out.splitlines()[1:]] == [
        ["delay", "staging", two.digest[:8]],
        ["delay", "production", "–"],
    ]
    code, out, _ = call(
        "rollback", "delay", "--in", "staging", "--until", "2100-01-01", "--reason", "bad", login="olga"
    )
    assert code == 0
    assert f"Roll back delay to {one.digest[:8]} in staging" in out
    back = t.pulls()[0].number
    t.merge(back)
    code, _, err = call("promote", "delay@latest", "--to", "staging")
    assert (code, "is held by olga" in err, "gitml resume" in err) == (3, True, True)
    code, out, _ = call("status", "--json")
    held = json.loads(out)["wanted"][0]
    assert (held["hold"]["reason"], held["pull"], held["live"]) == ("bad", back, None)
    code, out, _ = call("status")
    assert "held    delay in staging, by olga until 2100-01-02 00:00 UTC: bad" in out
    code, out, _ = call("resume", "delay", "--in", "staging", "--reason", "repaired")
    assert "End the hold of delay in staging" in out
    code, out, _ = call("ci", "propose", "--json", login="gitml-bot[bot]")
    assert (code, [turn["said"] for turn in json.loads(out)]) == (
        0,
        [f"{two.digest[:8]} ran there before, and was replaced"],
    )


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["promote", "delay", "--to", "nowhere"], 2, "there is no environment nowhere"),
        (["promote", "delay", "--to", "production"], 1, "must be champion in staging"),
        (["promote", "delay", "--to", "staging", "--weight", "100"], 2, "--weight"),
        (["promote", "delay", "--to", "staging", "--reason", " "], 2, "is empty"),
        (["rollback", "delay", "--in", "staging", "--reason", "x", "--until", "soon"], 2, "--until"),
        (["rollback", "delay", "--in", "staging"], 2, "--reason"),
        (["rollback", "delay", "--in", "staging", "--reason", "x"], 2, "does not run in staging"),
        (["merge", "9999"], 4, "404"),
    ],
)
def test_exit_codes(here: tuple[MemoryTown, Call], words: list[str], code: int, said: str) -> None:
    t, call = here
    t.train(1)
    left, _, err = call(*words)
    assert (left, said in err) == (code, True), err


def test_without_a_token_it_says_so(here: tuple[MemoryTown, Call], monkeypatch: pytest.MonkeyPatch) -> None:
    _, call = here
    monkeypatch.setenv("GITML_FORGE", "github")
    monkeypatch.setenv("GITHUB_REPOSITORY", "ada/flights")
    code, _, err = call("status")
    assert (code, "GITHUB_TOKEN" in err) == (2, True)


@pytest.mark.slow
def test_an_override_says_what_it_did_and_what_is_missing(here: tuple[MemoryTown, Call], tmp_path: Path) -> None:
    t, call = here
    key = tmp_path / "rita.key"
    code, out, err = call("evidence", "keygen", str(key), "--owner", "rita", "--purpose", "overridden")
    assert (code, "keep it where nobody else can read it" in err) == (0, True)
    trusted = yaml.safe_load(out)["keys"]
    trusted["rita"]["from"] = "2026-01-01"
    strict = {"description": "x", "approvals": {"operations": 1}, "gates": {"metrics": {"auc": {"at_least": 0.9}}}}
    t.policy(environments={"staging": strict}, keys=trusted, override={"role": "risk", "people": 2})
    call("promote", t.train(1).reference, "--to", "staging")
    number = str(t.pulls()[0].number)
    words = ("override", number, "--gate", "metrics", "--until", "3d", "--reason", "known", "--key", str(key))
    code, out, err = call(*words, login="rita")
    assert (code, err.count("error")) == (3, 0), err
    assert f"rita overrides metrics of delay in staging, #{number}, until " in out
    assert "2 people of risk must sign for the same gate" in out
    assert f"`gitml gate {number}` says what still keeps it shut" in err
    code, out, _ = call(*words, "--json", login="rita")
    told = json.loads(out)
    assert (code, told["by"], told["gates"], told["open"]) == (3, "rita", ["metrics"], False)
    code, out, err = call(*words[:-2], login="rita")
    assert (code, "there is no signing key" in err) == (2, True)
    code, _, err = call(*words[:4], "--reason", "x", "--until", "soon", "--key", str(key))
    assert (code, "a duration such as 3d does as well" in err) == (2, True)


@pytest.mark.slow
def test_what_is_due_without_a_key_is_said_and_is_no_success(
    here: tuple[MemoryTown, Call], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is expected of a repository whose policy names no key yet, or that has none."""
    t, call = here
    monkeypatch.delenv("GITML_SIGNING_KEY", raising=False)
    t.merge(t.promote(t.train(1)).pull.number)
    code, out, err = call("ci", "record")
    assert (code, "promoted, by #1" in out, "policy.yaml names no key yet" in err) == (0, True, True), out + err
    key = {"public": generate()[1], "owner": "CI", "from": "2026-01-01"}
    t.policy(keys={"ci": {**key, "purposes": ["trained", "approved", "promoted"]}})
    code, out, err = call("ci", "record")
    assert (code, "promoted, by #1" in out) == (3, True), out + err
    assert "nothing was signed of 1 that are due, which policy.yaml wants signed by ci" in err
    assert "Environment gitml" in err
    assert json.loads(call("ci", "record", "--dry-run", "--json")[1])[0]["awaits"] == ["ci"]
    assert call("ci", "record", "--dry-run")[0] == 0
    t.push({"policy.yaml": None}, "no policy")
    code, out, err = call("ci", "record")
    assert (code, "main has no policy.yaml yet" in err) == (0, True), out + err
