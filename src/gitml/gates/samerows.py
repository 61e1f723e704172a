"""What signed evidence `compared` says of two versions that answered the same held-out rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gitml.gates.facts import Facts, Unknown, Version
from gitml.gates.proofs import counting
from gitml.gates.verdicts import number
from gitml.stats.comparison import Difference

KIND = "compared"
# Keys of its details: the other version, the digest of `holdout`, and what was found.
AGAINST, RULES, METRICS = "against", "rules", "metrics"


def difference_on_same_rows(facts: Facts, champion: Version, name: str) -> Difference | Unknown:
    """New less champion in one metric, with its interval; or why no evidence says so.

    The newest statement on exactly these two artifacts counts, under `holdout` as base has it now.
    """
    if not facts.candidate.holdout:
        return Unknown(f"gitml.yaml does not declare `holdout` of {facts.candidate.model}: there are no rows for both")
    found = counting(facts, KIND)
    if isinstance(found, Unknown):
        return found
    against = other_of(champion.version, champion.artifact)
    mine = [one for one in found if one.details.get(AGAINST) == against]
    if not mine:
        return Unknown(f"no evidence `{KIND}` of {facts.candidate.short} is about {champion.short}, which runs there")
    if mine[0].details.get(RULES) != facts.candidate.holdout:
        return Unknown("the two were compared under another `holdout` of gitml.yaml")
    if mine[0].result != "passed":
        return Unknown(f"they could not be compared on the same rows: {str(mine[0].details.get('reason', ''))[:300]}")
    told = next((row for row in _rows(mine[0].details) if row.get("metric") == name), None)
    if told is None:
        return Unknown(f"{name} cannot be told from rows and answers")
    return _difference(name, told)


def other_of(version: str, artifact: str) -> dict[str, str]:
    """How the details name a version."""
    return {"version": version, "artifact": artifact}


def _rows(details: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    rows = details.get(METRICS)
    yield from (row for row in rows if isinstance(row, Mapping)) if isinstance(rows, list | tuple) else ()


def _difference(name: str, row: Mapping[str, Any]) -> Difference | Unknown:
    new, old, value, low, high = (number(row.get(key)) for key in ("new", "old", "value", "low", "high"))
    if new is None or old is None or value is None or low is None or high is None or not low <= value <= high:
        return Unknown(f"{name} has no interval to judge the difference on")
    return Difference(name, new, old, value, low=low, high=high, paired=True)
