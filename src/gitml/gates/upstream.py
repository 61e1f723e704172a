"""Gate ``upstream``: the models that the version is built on run there, in the versions that it was made with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from gitml.fields import FileSection, Name, WrongValueError, shown
from gitml.gates.base import OPERATOR, Advice, Need
from gitml.gates.facts import Facts, Unknown, UpstreamFact
from gitml.gates.verdicts import failed, listed, passed, together, unclear
from gitml.refs import VERSION
from gitml.verdict import Verdict


def _check_version(text: str) -> str:
    if not VERSION.fullmatch(text):
        raise WrongValueError(f"{shown(text)} is not a version", "write the whole name of its record: TIME-DIGEST8")
    return text


class UpstreamAsked(FileSection):
    """What is asked of upstreams. `required` or `running` alone stands for ``version``."""

    version: Literal["required", "running"] = Field(
        "required",
        description="`required`: each runs there in the version that this one was made with. `running`: some version "
        "of each runs there.",
    )
    accept: Mapping[Name, tuple[Annotated[str, AfterValidator(_check_version)], ...]] = Field(
        default_factory=dict, description="Versions of an upstream, by its key under `needs`, that will do as well."
    )

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [{"type": "string", "enum": ["required", "running"]}, handler(core)]}


def _asked(value: Any) -> Any:
    return {"version": value} if isinstance(value, str) else value


KEY = Annotated[UpstreamAsked, BeforeValidator(_asked)]
MEANING = "The models that it is built on run there, in the versions that it was made with."
ADVICE = Advice(
    OPERATOR,
    "promote the upstream's version that this one was made with; or train this model again with the one that runs; or "
    "accept the version that runs: `upstream: {accept: …}`",
    "merge or close the upstream's promotion first, and see with `gitml status` that it runs there",
)


def judge(facts: Facts, wanted: UpstreamAsked) -> Verdict:
    """Each model under `needs` runs in this environment, in a version that this one was made with.

        upstream: required
        upstream: running
        upstream: {accept: {demand: [20260131T080000Z-9f3a1c22]}}

    A version runs where main pins it as champion and signed evidence says so: `deployed` where agents report from that
    environment, else `promoted` or `rolled-back`. The version that was used is the one whose file the stages of this
    one read, as their digests say; where they read none, the one that main had there when this version was made.
    While a promotion of an upstream to the same environment is open, and where something is not known: inconclusive.
    A model that needs no other passes. What an ensemble pins is asked for in any case, by `members`.
    """
    if isinstance(facts.upstreams, Unknown):
        return unclear(facts.upstreams.reason)
    if not facts.upstreams:
        return passed("it is built on no other model")
    parts = [_of_one(one, wanted) for one in facts.upstreams]
    return together(parts, listed(part.reason for part in parts))


def _of_one(one: UpstreamFact, wanted: UpstreamAsked) -> Verdict:
    where = f"{one.model} in {one.environment}"
    if isinstance(one.promotions, Unknown):
        return unclear(f"{where}: {one.promotions.reason}")
    if one.promotions:
        open_ones = ", ".join(f"#{number}" for number in one.promotions)
        return unclear(f"{open_ones} would change {where}, and comes first")
    if isinstance(one.running, Unknown):
        return unclear(f"{where}: {one.running.reason}")
    version = one.running[0]
    measured: dict[str, object] = {one.name: version}
    if wanted.version == "running" or version in wanted.accept.get(one.name, ()):
        return passed(f"{version} of {one.model} runs in {one.environment}", measured)
    if isinstance(one.used, Unknown):
        return unclear(f"which version of {one.model} it was made with is not known: {one.used.reason}", measured)
    if one.running in one.used:
        return passed(f"{version} of {one.model}, which it was made with, runs in {one.environment}", measured)
    made_with = " or ".join(dict.fromkeys(name for name, _ in one.used))
    told = f"{version} of {one.model} runs in {one.environment}, and it was made with {made_with} ({one.told_by})"
    return failed(told, measured)


def needs(wanted: UpstreamAsked) -> tuple[Need, ...]:
    return tuple(Need("upstream", name, at=("accept", name)) for name in wanted.accept)
