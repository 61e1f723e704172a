"""The rule ``members``: an ensemble brings no version into an environment that could not come there by itself."""

from __future__ import annotations

from collections.abc import Iterator

from gitml.gates.facts import Facts, MemberFact, Unknown
from gitml.gates.table import GATES
from gitml.gates.verdicts import passed, together, unclear
from gitml.policy.versionrules import VERSION_RULES
from gitml.spec.policy import Policy
from gitml.verdict import Phase, Verdict

# A member is judged beside a champion as a part of the ensemble; alone it answers nobody.
_OF_THE_WHOLE = frozenset({"canary"})


def members(facts: Facts, policy: Policy) -> Verdict:
    """Each version that the ensemble pins is in this environment already, as champion, canary or shadow, in exactly
    these bytes; or it has an artifact that loads, was trained by a job that main vouches for, and passes the gates that
    policy.yaml asks of its own model here, all but `canary`. A model that is no ensemble passes.
    """
    if isinstance(facts.members, Unknown):
        return unclear(facts.members.reason)
    if not facts.members:
        return passed("it is no ensemble")
    parts = [_of_one(member, policy) for member in facts.members]
    return together(parts, "; ".join(part.reason for part in parts))


def _of_one(member: MemberFact, policy: Policy) -> Verdict:
    called = f"{member.model}@{member.version.rpartition('-')[2]}"
    if member.part is not None:
        return passed(f"{called} is {member.part} there")
    if isinstance(member.facts, Unknown):
        return unclear(f"{called}: {member.facts.reason}")
    found = [Verdict(v.phase, f"{called}, {name}: {v.reason}") for name, v in _judged(member.facts, policy)]
    shut = [v for v in found if v.phase is not Phase.SUCCESSFUL]
    return together(shut, "") if shut else passed(f"{called} passes the gates of {member.model}")


def _judged(facts: Facts, policy: Policy) -> Iterator[tuple[str, Verdict]]:
    for name, rule in VERSION_RULES.items():
        yield name, rule(facts, policy)
    here = policy.environments.get(facts.environment)
    for name, wanted in (here.wanted(facts.candidate.model) if here else {}).items():
        if name not in _OF_THE_WHOLE:
            yield name, GATES[name].judge(facts, wanted)
