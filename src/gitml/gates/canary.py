"""Gate ``canary``: beside the champion, on live traffic, the version was as good as policy.yaml asks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from gitml.fields import Duration, FileSection
from gitml.gates.base import OPERATOR, Advice, Need
from gitml.gates.facts import Facts, JudgedBeside, Unknown
from gitml.gates.proofs import days
from gitml.gates.verdicts import failed, passed, unclear
from gitml.verdict import Phase, Verdict


class CanaryAsked(FileSection):
    """How old the evaluation may be. `true` takes the default; a duration alone stands for ``within``."""

    within: Duration = Field(
        timedelta(days=2),
        description="How old the newest evaluation may be, such as 2d.",
        json_schema_extra={"default": "2d"},
    )
    always: bool = Field(
        True,
        description="Whether a version that is neither canary nor shadow there must have been judged as well.",
    )

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [{"type": "boolean"}, {"type": "string", "examples": ["2d"]}, handler(core)]}


def _asked(value: Any) -> Any:
    if value is False:
        return None
    if value is True:
        return {}
    return {"within": value} if isinstance(value, str | timedelta) else value


KEY = Annotated[CanaryAsked | None, BeforeValidator(_asked)]
MEANING = "Beside the champion, on live traffic, it was as good as `canary` of the environment asks."
ADVICE = Advice(
    OPERATOR,
    "leave the champion, and train a better version: one that failed beside this champion stays failed under any "
    "rules; only an override opens it",
    "let it run as canary or shadow until it is judged: `gitml canary` shows how far it is and what it lacks",
)
# What is asked in an environment with `canary`, where no gate of that name is in policy.yaml.
BY_DEFAULT = CanaryAsked(always=False)


def judge(facts: Facts, wanted: CanaryAsked) -> Verdict:
    """A signed evaluation of exactly this version beside exactly this champion passed, under the rules that the
    environment's `canary` has now.

        canary: true
        canary: {within: 12h}

    The newest decides. One that failed shuts the gate for good, under whatever rules: for canaries too. An environment
    with `canary` asks this by default of versions that are canary or shadow there.
    """
    if facts.part == "shadow":
        return passed("as a shadow it answers nobody")
    if facts.champion is None:
        return passed("nothing answers there yet that it could be judged beside")
    for unknown in (facts.champion, facts.judged_beside):
        if isinstance(unknown, Unknown):
            return unclear(unknown.reason)
    found = _of_pair(facts)
    bad = next((one for one in found if one.phase is Phase.FAILED), None)
    if bad is not None:
        return failed(f"failed {_ago(facts, bad)}: {bad.reason}", _measured(bad))
    if facts.part == "canary":
        return passed("no evaluation of it beside this champion failed")
    if facts.was is None and not wanted.always:
        return passed("it is no canary there, and no evaluation of it beside this champion failed")
    return _newest(facts, found, wanted)


def _of_pair(facts: Facts) -> Sequence[JudgedBeside]:
    """Of this version's file beside exactly this champion, oldest first: trained again to the same bytes it is no other
    candidate."""
    champion, told = facts.champion, facts.judged_beside
    if champion is None or isinstance(champion, Unknown) or isinstance(told, Unknown):
        return ()
    new = facts.candidate
    here = [one for one in told if one.repository.lower() == facts.repository.lower()]
    here = [one for one in here if one.environment == facts.environment]
    here = [one for one in here if (one.model, one.champion) == (champion.model, (champion.version, champion.artifact))]
    mine = [one for one in here if (one.model, one.candidate[1]) == (new.model, new.artifact)]
    return sorted(mine, key=lambda one: (one.until, one.time, one.name))


def _newest(facts: Facts, found: Sequence[JudgedBeside], wanted: CanaryAsked) -> Verdict:
    rules = facts.test_rules
    if isinstance(rules, Unknown):
        return unclear(rules.reason)
    # A failure counts whatever the clock says; a pass is of exactly this version, and not of a time yet to come.
    found = [one for one in found if one.until <= facts.now and one.candidate[0] == facts.candidate.version]
    under = [one for one in found if one.rules == rules.digest]
    if not under:
        why = "it was judged under other rules: a new test has begun" if found else "no signed evaluation of it yet"
        return unclear(f"{why}, beside {_short(facts)}")
    # What was judged in another mode beside it, such as a replay, takes nothing from what counts.
    newest = next((one for one in reversed(under) if one.mode in rules.modes), under[-1])
    old = facts.now - newest.until
    if old > wanted.within:
        told = f"its newest evaluation is {days(old)} old, at most {days(wanted.within)} are allowed"
        return unclear(told, _measured(newest))
    if newest.mode not in rules.modes:
        return unclear(f"it was judged by {newest.mode} alone; {' or '.join(rules.modes)} counts", _measured(newest))
    told = f"{newest.mode}, {_ago(facts, newest)}: {newest.reason}"
    good = newest.phase is Phase.SUCCESSFUL
    return passed(told, _measured(newest)) if good else unclear(told, _measured(newest))


def _short(facts: Facts) -> str:
    champion = facts.champion
    return champion.short if champion and not isinstance(champion, Unknown) else "the champion"


def _ago(facts: Facts, one: JudgedBeside) -> str:
    return f"{days(facts.now - one.until)} ago"


def _measured(one: JudgedBeside) -> dict[str, object]:
    return {"look": one.name, "judged until": f"{one.until:%Y-%m-%d %H:%M} UTC"}


def needs(wanted: CanaryAsked) -> tuple[Need, ...]:
    return (Need("canary", within=wanted.within),)
