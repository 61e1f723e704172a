"""What the bot proposes of a candidate is believed only where it follows from main and one signed evaluation."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import git, write
from evidence.canary_kit import BEGAN, CANDIDATE, CHAMPION, HOUR, details, part
from evidence.evidence_kit import binding, stamp
from gitml.control.mainline import Mainline
from gitml.derivation import proposal, raising, succession, takeback
from gitml.derivation.candidate import CandidateOnMain, candidates_on, guards_on
from gitml.derivation.claim import Claim
from gitml.errors import GitmlError
from gitml.evidence.looks import RESULTS
from gitml.evidence.statement import Statement
from gitml.gate.beside import as_of_now
from gitml.gate.derived import DerivedCommit
from gitml.gate.tree import Edit
from gitml.git.bot import BOT_EMAIL, BOT_NAME
from gitml.git.commands import Git
from gitml.git.edit import Who
from gitml.spec.deployment import Canary, Deployment, Pin, parse_deployment, render_deployment
from gitml.verdict import Phase, Verdict

BOT = Who(BOT_NAME, BOT_EMAIL)
PATH = "models/m/production.yaml"
EVENT = "2026/03/20260301T100000Z-canary-3f2a90bc11d2.json"
OLD, NEW = (Pin(version=arm["version"], digest=arm["artifact"]) for arm in (CHAMPION, CANDIDATE))
MOMENT = BEGAN + 2 * HOUR
GITML = "application: app\nmodels:\n  m: {artifact: m.onnx, metrics: metrics.json, better: {accuracy: higher}}\n"


def beside(weight: float | None = 10, **more: Any) -> Deployment:
    canary = Canary(version=NEW.version, digest=NEW.digest, weight=weight) if weight else None
    return Deployment(champion=OLD, canary=canary, **more)


class Main:
    """A repository whose main has ``state``, with rules for candidates."""

    def __init__(self, root: Path) -> None:
        git(root, "init", "-q", "-b", "main")
        self.git = Git(root)
        self.has(beside())

    def has(self, state: Deployment, **rules: Any) -> CandidateOnMain:
        policy = yaml.safe_dump({"environments": {"production": {"canary": rules}}})
        write(self.git.root, {PATH: render_deployment(state), "policy.yaml": policy, "gitml.yaml": GITML})
        git(self.git.root, "add", "-A")
        git(self.git.root, "commit", "-q", "--allow-empty", "-m", "main")
        return candidates_on(self.git.at(self.commit), "m", "production")[0]

    @property
    def commit(self) -> str:
        return self.git.resolve("HEAD") or ""

    def claim(self, kind: str, *causes: str, version: str = NEW.version) -> Claim:
        return Claim(kind, self.commit, causes, f"{MOMENT:%Y-%m-%dT%H:%M:%SZ}", f"m production {version}")

    def said(self, kind: str, *causes: Statement, version: str = NEW.version) -> Deployment:
        """What follows, after it was derived twice."""
        names = [EVENT] * len(causes)
        claim = self.claim(kind, *names, version=version)
        made = proposal.commit_of(self.git, claim, causes, "The bot proposes", BOT)
        assert proposal.why_not(self.git, made, claim, dict(zip(names, causes, strict=True)), self.commit) == ""
        return parse_deployment(self.git.read_file(made, PATH) or b"", PATH)

    def why_not(self, kind: str, *causes: Statement, version: str = NEW.version) -> str:
        with pytest.raises(GitmlError) as found:
            self.said(kind, *causes, version=version)
        return found.value.message


@pytest.fixture
def main(tmp_path: Path) -> Main:
    return Main(tmp_path)


def look(one: CandidateOnMain, phase: str = "inconclusive", hours: int = 1, **more: Any) -> Statement:
    step = {"weight": one.weight, "next": one.next_weight or "champion", "ready": phase != "failed"}
    given = {"rules": one.digest, "step": step, **more}
    about = binding(
        "canary", model="m", environment="production", version=NEW.version, artifact=NEW.digest,
        result=RESULTS[Phase(phase)], time=stamp(BEGAN + hours * HOUR),
    )  # fmt: skip
    return Statement(about, details(hours, phase, **given))


def test_a_canary_gets_the_next_of_the_policy_s_steps(main: Main) -> None:
    one = main.has(beside(10))
    assert main.said("raise", look(one)) == beside(50)
    assert main.said("raise", look(one, "successful")) == beside(50)
    assert "last of the policy's steps" in main.why_not("raise", look(main.has(beside(50))))


def test_a_shadow_becomes_the_canary_when_its_guardrails_pass(main: Main) -> None:
    one = main.has(Deployment(champion=OLD, shadow=(NEW,)))
    step = {"weight": 0, "next": None, "ready": False}
    shadow = {"mode": "shadow", "step": step, "epochs": []}
    assert main.said("raise", look(one, **shadow)) == beside(10)
    slow = [part("latency", "inconclusive", "guardrail"), part()]
    assert "is ready" in main.why_not("raise", look(one, parts=slow, **shadow))
    assert "is ready" in main.why_not("raise", look(one, parts=[part()], **shadow))
    ended = stamp(BEGAN + HOUR)
    assert "is ready" in main.why_not("raise", look(one, **{**shadow, "ends": ended})), "it expired undecided"
    assert main.said("raise", look(one, "successful", **{**shadow, "ends": ended})) == beside(10)
    other = Canary(version="20260228T070000Z-00000001", digest="d" * 64, weight=5)
    one = main.has(Deployment(champion=OLD, canary=other, shadow=(NEW,)))
    assert "is the canary there" in main.why_not("raise", look(one, **shadow))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rules": "f" * 64}, "under other rules"),
        ({"champion": {**CHAMPION, "artifact": "f" * 64}}, "beside another champion"),
        ({"step": {"weight": 10, "next": 50, "ready": False}}, "50 % is ready"),
        ({"step": {"weight": 5, "next": 50, "ready": True}}, "50 % is ready"),
        ({"step": {"weight": 10, "next": 25, "ready": True}}, "50 % is ready"),
        ({"hours": 3}, "not of that time"),
        ({"phase": "failed"}, "50 % is ready"),
    ],
)
def test_nothing_is_raised_by_another_evaluation(main: Main, change: dict[str, Any], words: str) -> None:
    one = main.has(beside(10))
    phase, hours = change.pop("phase", "inconclusive"), change.pop("hours", 1)
    assert words in main.why_not("raise", look(one, phase, hours, **change))


def test_nothing_is_raised_by_no_evaluation_or_by_something_else(main: Main) -> None:
    one = main.has(beside(10))
    assert "not exactly one" in main.why_not("raise")
    assert "not exactly one" in main.why_not("raise", look(one), look(one))
    assert "is no evaluation" in main.why_not("raise", Statement(binding("look"), {}))
    assert "is no candidate" in main.why_not("raise", look(one), version=OLD.version)
    old = look(one).details["evaluation"]["until"]
    assert old
    main.has(beside(10, hold={"by": "olga", "reason": "the feed is broken"}))
    assert "is held" in main.why_not("raise", look(one))


def test_a_candidate_becomes_champion_and_with_a_guard_the_old_one_stays_as_shadow(main: Main) -> None:
    main.has(beside(50))
    assert main.said("champion") == Deployment(champion=NEW)
    one = main.has(beside(50), guard="7d")
    assert main.said("champion") == Deployment(champion=NEW, shadow=(OLD,))
    assert "needs none" in main.why_not("champion", look(one))
    assert [c.pin for c in candidates_on(main.git.at(main.commit), "m", "production")] == [NEW]
    write(main.git.root, {PATH: render_deployment(Deployment(champion=NEW, shadow=(OLD,)))})
    git(main.git.root, "commit", "-qam", "promoted")
    assert candidates_on(main.git.at(main.commit), "m", "production") == ()


def test_one_that_failed_goes_and_is_held_under_whatever_rules(main: Main) -> None:
    one = main.has(beside(10))
    bad = look(one, "failed", rules="e" * 64)
    back = main.said("take-back", bad)
    assert (back.canary, [h.version for h in back.held]) == (None, [NEW.version])
    assert "0badcafe" in back.held[0].reason
    assert "did not fail" in main.why_not("take-back", look(one))
    assert "not exactly one" in main.why_not("take-back")
    ended = {"ends": stamp(BEGAN + HOUR)}
    assert "undecided to the end" in main.said("take-back", look(one, **ended)).held[0].reason
    assert "did not fail" in main.why_not("take-back", look(one, **ended, rules="e" * 64)), "another test has begun"
    assert "did not fail" in main.why_not("take-back", look(one, "successful", **ended))
    assert "did not fail" in main.why_not("take-back", look(one, **ended, mode="replay"))
    main.has(beside(10, hold={"by": "olga", "reason": "x"}))
    assert main.said("take-back", bad).held == back.held


@pytest.mark.parametrize(
    ("low", "high", "margin", "back"),
    [
        (0.02, 0.05, -0.01, True),
        (0.005, 0.05, -0.01, False),
        (None, 0.05, -0.01, False),
        (-0.05, -0.02, 0.01, True),
        (-0.05, -0.005, 0.01, False),
    ],
)
def test_the_old_champion_comes_back_where_the_new_one_is_worse_by_more_than_the_margin(
    main: Main, low: float | None, high: float, margin: float, back: bool,
) -> None:  # fmt: skip
    main.has(beside(10))
    write(main.git.root, {PATH: render_deployment(Deployment(champion=NEW, shadow=(OLD,)))})
    git(main.git.root, "commit", "-qam", "promoted")
    assert guards_on(main.git.at(main.commit), "m", "production") == (), "nobody asked for a guard"
    policy = yaml.safe_dump({"environments": {"production": {"canary": {"guard": "7d"}}}})
    write(main.git.root, {"policy.yaml": policy})
    git(main.git.root, "commit", "-qam", "guard")
    (one,) = guards_on(main.git.at(main.commit), "m", "production")
    shown = [part("errors", of="guardrail"), {**part(), "low": low, "high": high, "margin": margin}]
    arms = {"candidate": CHAMPION, "champion": CANDIDATE, "mode": "shadow", "parts": shown, "epochs": []}
    found = details(1, "successful", rules=one.digest, step={"weight": 0, "next": None, "ready": False}, **arms)
    signed = f"{BEGAN + HOUR:%Y-%m-%dT%H:%M:%SZ}"
    about = binding(
        "canary", time=signed, model="m", environment="production", version=OLD.version, artifact=OLD.digest
    )  # fmt: skip
    said = Statement(about, found)
    if back:
        now = main.said("revert", said, version=OLD.version)
        assert (now.champion, now.shadow, now.hold is not None) == (OLD, (), True)
    else:
        assert "is worse by more than the margin" in main.why_not("revert", said, version=OLD.version)
    assert "is no candidate" in main.why_not("take-back", said, version=OLD.version)


def test_a_guard_goes_when_its_time_is_over_and_with_the_next_promotion(main: Main) -> None:
    write(main.git.root, {PATH: render_deployment(Deployment(champion=NEW, shadow=(OLD,)))})
    policy = yaml.safe_dump({"environments": {"production": {"canary": {"guard": "5h"}}}})
    write(main.git.root, {"policy.yaml": policy})
    git(main.git.root, "commit", "-qam", "promoted")
    (one,) = guards_on(main.git.at(main.commit), "m", "production")

    def said(hours: int, **more: Any) -> Statement:
        step = {"weight": 0, "next": None, "ready": False}
        arms = {"candidate": CHAMPION, "champion": CANDIDATE, "mode": "shadow", "epochs": [], "step": step}
        about = binding(
            "canary", time=stamp(BEGAN + hours * HOUR), model="m", environment="production", version=OLD.version,
            artifact=OLD.digest, result="inconclusive",
        )  # fmt: skip
        return Statement(about, details(hours, "inconclusive", rules=one.digest, **{**arms, **more}))

    assert main.said("relieve", said(5), version=OLD.version) == Deployment(champion=NEW)
    assert "end of its time" in main.why_not("relieve", said(4), version=OLD.version)
    worse = [part("errors", of="guardrail"), {**part(phase="inconclusive"), "low": 0.02, "margin": -0.01}]
    assert "champion is worse" in main.why_not("relieve", said(5, parts=worse), version=OLD.version)
    third = Pin(version="20260302T070000Z-00000003", digest="3" * 64)
    main.has(Deployment(champion=NEW, canary=Canary(**third.model_dump(), weight=50), shadow=(OLD,)), guard="5h")
    assert main.said("champion", version=third.version) == Deployment(champion=third, shadow=(NEW,))


def test_a_canary_that_an_agent_stopped_is_taken_back_by_what_the_agent_signed(main: Main) -> None:
    main.has(beside(10))
    began = main.commit
    main.has(beside(50))

    def report(**more: Any) -> Statement:
        about = {"version": NEW.version, "artifact": NEW.digest, "result": "failed", "head": began, **more}
        said = binding("deployed", model="m", environment="production", **about)
        return Statement(said, {"part": "canary", "stopped": "x", "reason": "5 requests in a row\nfailed"})

    back = main.said("take-back", report())
    assert (back.canary, [held.version for held in back.held]) == (None, [NEW.version])
    assert back.held[0].reason.endswith(": 5 requests in a row failed")
    for wrong in ({"result": "passed"}, {"artifact": "f" * 64}, {"version": OLD.version}):
        assert "is not of this canary" in main.why_not("take-back", report(**wrong))
    assert "earlier pin" in main.why_not("take-back", report(head="f" * 40))
    write(main.git.root, {PATH: render_deployment(Deployment(champion=OLD))})
    git(main.git.root, "commit", "-qam", "somebody took it out")
    main.has(beside(10))
    assert "earlier pin" in main.why_not("take-back", report()), "only a new pin resets it, and that one does"


def test_where_nobody_judges_there_is_no_candidate(main: Main) -> None:
    write(main.git.root, {"policy.yaml": "environments: {production: {}}\n"})
    git(main.git.root, "commit", "-qam", "no rules")
    assert candidates_on(main.git.at(main.commit), "m", "production") == ()
    assert "is no candidate" in main.why_not("champion")


def test_names_of_kinds() -> None:
    assert (raising.NAME, succession.NAME, takeback.NAME) == ("raise", "champion", "take-back")
    assert timedelta(hours=2) == MOMENT - BEGAN


def test_more_traffic_follows_from_main_as_it_is_now_or_is_somebody_s_work(main: Main) -> None:
    """A claim names any commit of main, also one with rules that main has no more."""
    main.has(beside(50))
    claim = main.claim("champion")
    fine = Verdict(Phase.SUCCESSFUL, "follows")

    def now(**rules: Any) -> Verdict:
        main.has(beside(50), **rules)
        blob = main.git.repository.store("blob", render_deployment(Deployment(champion=NEW)).encode())
        edit = Edit(
            PATH, old=main.git.resolve(f"HEAD:{PATH}") or "", new=blob, new_mode="100644", model="m",
            environment="production",
        )  # fmt: skip
        made = DerivedCommit("c" * 40, fine, claim=claim)
        return as_of_now(made, (), Mainline(main.git, main.commit), edit, MOMENT).verdict

    assert now() == fine
    assert "another file follows" in now(guard="7d").reason


def test_a_claim_names_its_candidate_and_nothing_else(main: Main) -> None:
    """What is signed of it is counted by its subject: other words for the same would use up the week's proposals."""
    main.has(beside(50))
    assert "alone" in main.why_not("champion", version=f"{NEW.version} again")
