"""Gate ``substantial``: which promotions are substantial modifications, and what these ask for besides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from gitml.fields import FileSection, Flag
from gitml.gates.base import Advice, Need
from gitml.gates.facts import Facts, Unknown
from gitml.gates.proofs import counting, standing
from gitml.gates.verdicts import failed, listed, passed, unclear
from gitml.verdict import Verdict

ChangedPart = Literal["use", "signature", "stages", "code", "params", "data"]


class Substantial(FileSection):
    """Which changes count, and whether they ask for a review of the version itself."""

    of: Annotated[tuple[ChangedPart, ...], Field(min_length=1)] = Field(
        description="`use`: purpose, tier or limits in gitml.yaml since the champion came; of the version's lineage "
        "`signature` (inputs and outputs), `stages` (commands), `code`, `params`, `data`."
    )
    review: Flag = Field(False, description="Whether somebody must have reviewed exactly this version, and passed it.")


KEY = Substantial
MEANING = "Which changes are a substantial modification, and whether these ask for a review."
ADVICE = Advice(
    "risk",
    "review exactly this version, and sign that: `gitml review MODEL@VERSION --passed`",
)


def judge(facts: Facts, wanted: Substantial) -> Verdict:
    """Says whether the promotion changes what policy.yaml calls substantial, which may ask for a review of its own.

        substantial: {of: [use, signature, stages], review: true}

    Held against the champion. What counts is declared, and no legal judgement: Article 3 (23) of Regulation (EU)
    2024/1689 (AI Act) speaks of changes to the intended purpose, and of those that affect compliance. The judgement is
    signed with the gate, so that the log of the environment (`gitml logbook`) tells which changes were substantial.
    With ``review``, evidence ``reviewed`` on exactly this version must have passed; a failed one stands. The first
    version of an environment modifies nothing. Unknown changes: inconclusive.
    """
    if facts.champion is None:
        return passed("nothing runs there that it would modify", {"substantial": []})
    if isinstance(facts.changed, Unknown):
        return unclear(facts.changed.reason)
    found: dict[str, tuple[str, ...]] = {part: facts.changed[part] for part in wanted.of if facts.changed.get(part)}
    if not found:
        return passed(f"not a substantial modification: {', '.join(wanted.of)} are as before", {"substantial": []})
    told, measured = f"a substantial modification: {_words(found)}", {"substantial": [*found]}
    if not wanted.review:
        return passed(told, measured)
    reviews = counting(facts, "reviewed")
    if isinstance(reviews, Unknown):
        return unclear(f"{told}; {reviews.reason}", measured)
    result = standing(reviews).result
    if result != "passed":
        return failed(f"{told}; its review {'failed' if result == 'failed' else 'came to no end'}", measured)
    return passed(f"{told}, reviewed by {standing(reviews).by}", measured)


def _words(found: Mapping[str, tuple[str, ...]]) -> str:
    return "; ".join(f"{part} ({listed(names, most=4)})" for part, names in found.items())


def needs(wanted: Substantial) -> tuple[Need, ...]:
    return (Need("evidence", "reviewed"),) if wanted.review else ()
