"""How candidates were judged beside their champions, for the gate ``canary``: read where an environment has rules."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from gitml.control.looks import copy_to_ledger, heard_canaries
from gitml.control.mainline import Mainline
from gitml.control.place import Place
from gitml.control.signing import rules_of
from gitml.derivation import raising, succession
from gitml.derivation.candidate import CandidateOnMain, claimed
from gitml.derivation.claim import Claim
from gitml.derivation.testrules import digest_of_test, rules_on
from gitml.errors import FailedError, GitmlError
from gitml.evidence.canaries import Canaries, SignedCanary
from gitml.evidence.evaluations import made_at
from gitml.evidence.trust import LEEWAY
from gitml.gate.derived import DerivedCommit
from gitml.gate.ground import Ground
from gitml.gate.seen import copies
from gitml.gate.tree import Edit, deployment
from gitml.gates.facts import JudgedBeside, RulesOfTest, Unknown
from gitml.git.commands import Git
from gitml.git.tree import Tree
from gitml.policy.decision import Decision
from gitml.registry.store import record_path, versions
from gitml.spec import Deployment
from gitml.spec.deployment import Pin
from gitml.verdict import Phase, Verdict

Beside = tuple[SignedCanary, ...] | Unknown
NOBODY_JUDGES = Unknown("policy.yaml does not say under `canary` how candidates are judged there")


def beside_or_unknown(place: Place, ground: Ground, edit: Edit) -> Beside:
    """The evaluations that count of all versions that the edit brings in, or why there are none; those too of other
    versions with the same file, as a repeated training makes them."""
    policy, main = ground.policy, ground.main
    environment = policy.environments.get(edit.environment)
    if environment is None or environment.canary_of(edit.model) is None:
        return NOBODY_JUDGES
    brought = _brought(main.git, edit)
    if not brought:
        return ()
    try:
        named = {pin.version for pin in brought} | set(_of_same_file(main.tree, edit.model, brought))
        since = min(map(made_at, named)) - LEEWAY
        found = heard_canaries(place, rules_of(place, policy), since, copies(ground.heard)).counting
    except GitmlError as exc:
        return Unknown(f"how candidates were judged cannot be read: {exc.message.splitlines()[0]}")
    return tuple(one for one in found if one.told.candidate.version in named)


def _of_same_file(tree: Tree, model: str, pins: Collection[Pin]) -> Iterator[str]:
    """Versions whose record names the file of one of the pins."""
    digests = [pin.digest.encode() for pin in pins]
    for version in versions(tree, model):
        raw = tree.read(record_path(model, version)) or b""
        if any(digest in raw for digest in digests):
            yield version


def _brought(git: Git, edit: Edit) -> tuple[Pin, ...]:
    """Whatever is no champion on base: no evaluation is older than its candidate, so no older ones are read."""
    old, new = (deployment(git, blob, edit.path) for blob in (edit.old, edit.new))
    if new is None or isinstance(new, Unknown):
        return ()
    there = {old.champion.version} if old and not isinstance(old, Unknown) else set()
    return tuple(pin for pin in new.pins if pin.version not in there)


def beside_told(beside: Beside) -> tuple[JudgedBeside, ...] | Unknown:
    """As gates read them."""
    return beside if isinstance(beside, Unknown) else tuple(map(_told, beside))


def _told(one: SignedCanary) -> JudgedBeside:
    about, told = one.said.binding, one.told
    return JudgedBeside(
        name=one.said.name,
        time=one.said.time,
        repository=about.repository if about else "",
        model=told.model,
        environment=told.environment,
        candidate=one.pair.candidate,
        champion=one.pair.champion,
        rules=told.rules,
        mode=told.mode,
        until=told.until,
        phase=told.phase,
        reason=told.reason,
    )


def as_of_now(made: DerivedCommit, beside: Beside, main: Mainline, edit: Edit, now: datetime) -> DerivedCommit:
    """The same, but more traffic for a candidate is nobody's work only while it follows from ``main`` of now.

    What was ready once stays on the ledger, and what main said once in its history: whoever may push could claim it
    again, and policy may ask nobody.
    """
    claim = made.claim
    follows = _FOLLOWS.get(claim.kind) if claim else None
    if claim is None or follows is None or made.verdict.phase is not Phase.SUCCESSFUL:
        return made
    why = beside.reason if isinstance(beside, Unknown) else _why_not_now(claim, follows, beside, main, edit, now)
    said = f"commit {made.commit[:12]} {why}"
    return replace(made, verdict=Verdict(Phase.INCONCLUSIVE, said)) if why else made


_Follows = Callable[[CandidateOnMain, Sequence[SignedCanary], datetime], Deployment]


def _why_not_now(
    claim: Claim, follows: _Follows, beside: Sequence[SignedCanary], main: Mainline, edit: Edit, now: datetime
) -> str:
    try:
        one = claimed(main.git, replace(claim, base=main.commit))
        wanted = follows(one, [b for b in beside if b.said.time <= now + LEEWAY], now)
    except GitmlError as exc:
        return f"claims to be a {claim.kind}, which does not follow now: {exc.message.splitlines()[0]}"
    new = deployment(main.git, edit.new, edit.path)
    # Holds that are over may have gone or not: that is of the claim's moment.
    if not isinstance(new, Deployment) or _arms(new) != _arms(wanted):
        return f"is a {claim.kind} from {claim.base[:12]}: from main as it is now another file follows"
    return ""


def _arms(state: Deployment) -> tuple[object, ...]:
    return state.champion, state.canary, state.shadow


def _raised(one: CandidateOnMain, beside: Sequence[SignedCanary], now: datetime) -> Deployment:
    newest = Canaries(tuple(beside)).newest(one.pair, one.digest)
    if newest is None:
        raise FailedError("there is no evaluation under the rules of now")
    try:
        return raising.raised(one, newest.told, now)
    except FailedError as exc:
        raise FailedError(f"it is not ready: {exc.message}") from None


def _succeeded(one: CandidateOnMain, _: Sequence[SignedCanary], now: datetime) -> Deployment:
    return succession.succeeded(one, now)


_FOLLOWS: Mapping[str, _Follows] = {raising.NAME: _raised, succession.NAME: _succeeded}


def rules_of_test(main: Mainline, model: str, environment: str) -> RulesOfTest | Unknown:
    """The rules of main now, by which a pass must have been judged."""
    try:
        rules = rules_on(main.tree, model, environment)
        if rules is None:
            return NOBODY_JUDGES
        return RulesOfTest(digest_of_test(main.tree, model, environment, rules), rules.modes)
    except GitmlError as exc:
        return Unknown(f"by which rules it must be judged cannot be read: {exc.message.splitlines()[0]}")


def keep_judged(place: Place, beside: Beside, decision: Decision) -> None:
    """Copy the evaluations that a gate of the decision read into the ledger; copied again they add nothing.

    Raises OutsideError when it cannot be written.
    """
    used = {v.measurements["look"] for v in decision.verdicts.values() if "look" in v.measurements}
    if used and not isinstance(beside, Unknown):
        copy_to_ledger(place, [one.said for one in beside if one.said.name in used])
