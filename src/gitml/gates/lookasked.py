"""What the gates ``quality``, ``drift`` and ``harm`` share: which look counts, and what its verdict is worth here."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from gitml.fields import Duration, EnvironmentName, FileSection
from gitml.gates.base import Need
from gitml.gates.facts import Facts, MonitorLook, Unknown
from gitml.gates.proofs import days
from gitml.gates.verdicts import failed, passed, unclear
from gitml.verdict import Phase, Verdict


class LookAsked(FileSection):
    """How old the newest look may be, and where it was. A duration alone stands for ``within``."""

    within: Duration = Field(description="How old the newest window may be, from its end on, such as 2d.")
    environment: EnvironmentName | None = Field(
        None, alias="in", description="Where the version was watched; by default in the environment before this one."
    )

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [{"type": "string", "examples": ["2d"]}, handler(core)]}


def _asked(value: Any) -> Any:
    return {"within": value} if isinstance(value, str | timedelta) else value


KEY = Annotated[LookAsked, BeforeValidator(_asked)]


def judge_look(facts: Facts, wanted: LookAsked, part: str) -> Verdict:
    """The verdict ``part`` of the newest look at exactly this version there."""
    where = wanted.environment or before(facts)
    if not where:
        return unclear(f"there is no environment before {facts.environment} in which it could be watched")
    look = _newest(facts, where)
    if isinstance(look, Unknown):
        return unclear(look.reason)
    measured: dict[str, object] = {"look": look.name, "window ended": f"{look.until:%Y-%m-%d %H:%M} UTC"}
    old = facts.now - look.until
    if old > wanted.within:
        told = f"the newest look in {where} is {days(old)} old, at most {days(wanted.within)} are allowed"
        return unclear(told, measured)
    verdict = look.verdicts.get(part)
    if verdict is None:
        return unclear(f"{part} is not watched in {where}", measured)
    told = f"in {where}, {days(old)} ago: {verdict.reason}"
    if verdict.phase is Phase.FAILED:
        return failed(told, measured)
    return passed(told, measured) if verdict.phase is Phase.SUCCESSFUL else unclear(told, measured)


def before(facts: Facts) -> str:
    """The environment before this one, '' where it is the first."""
    order = facts.order
    at = order.index(facts.environment) if facts.environment in order else 0
    return order[at - 1] if at else ""


def _newest(facts: Facts, where: str) -> MonitorLook | Unknown:
    """Of the environment, whatever version it is at: what was replaced there is not watched any more."""
    if isinstance(facts.looks, Unknown):
        return facts.looks
    version = facts.candidate
    here = [look for look in facts.looks if (look.model, look.environment) == (version.model, where)]
    here = [look for look in here if look.repository.lower() == facts.repository.lower() and look.until <= facts.now]
    if not here:
        return Unknown(f"no signed look at {version.model} in {where}")
    newest = max(here, key=lambda look: (look.until, look.time, look.name))
    if (newest.version, newest.artifact) != (version.version, version.artifact):
        return Unknown(f"the newest look in {where} is at another version, {newest.version.rpartition('-')[2]}")
    return newest


def needs_look(wanted: LookAsked, part: str) -> tuple[Need, ...]:
    return (Need("look", part, column=wanted.environment or "", within=wanted.within),)
