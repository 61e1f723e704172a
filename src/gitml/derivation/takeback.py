"""A candidate that failed goes, and its version is held, so that nothing brings it back by itself.

It failed as an evaluation says, or as an agent does: one that stopped it because it failed where the champion answers.
One whose test expired undecided goes too: while it is there, no other version is tried, nor trained.
"""

from __future__ import annotations

from collections.abc import Sequence

from gitml.derivation.candidate import CandidateOnMain, claimed, judged, tree_of
from gitml.derivation.claim import Claim
from gitml.errors import FailedError, GitmlError
from gitml.evidence.evaluations import ToldEvaluation
from gitml.evidence.statement import Statement
from gitml.git.commands import Git
from gitml.git.tree import Tree
from gitml.registry.desired import taken_back
from gitml.registry.resolve import deployment_in, deployment_path
from gitml.spec import Deployment
from gitml.spec.deployment import VersionHold
from gitml.verdict import Phase

NAME = "take-back"
HOLDER = "gitml-bot"
# What an agent says of what it runs.
REPORT = "deployed"


def derive(git: Git, claim: Claim, causes: Sequence[Statement]) -> str:
    """The subject is ``MODEL ENVIRONMENT VERSION``, the cause an evaluation that failed, under whatever rules, or
    that expired undecided under those of now, or an agent's report that it stopped this canary."""
    one = claimed(git, claim)
    if len(causes) == 1 and causes[0].binding.kind == REPORT:
        return tree_of(git, claim, one, broken(git, claim.base, one, causes[0]))
    return tree_of(git, claim, one, stopped(one, judged(one, causes)))


def stopped(one: CandidateOnMain, told: ToldEvaluation) -> Deployment:
    """Raises FailedError for an evaluation that did not fail, and after which its test goes on."""
    if told.phase is not Phase.FAILED and not has_expired(one, told):
        raise FailedError("names an evaluation that did not fail, and that is not of the end of its test")
    champion = told.champion.version.rpartition("-")[2]
    how = "failed" if told.phase is Phase.FAILED else "was undecided to the end of its test"
    reason = f"it {how} beside {champion}, as judged until {told.until:%Y-%m-%d %H:%M} UTC"
    return taken_back(one.state, VersionHold(version=one.pin.version, by=HOLDER, reason=reason))


def has_expired(one: CandidateOnMain, told: ToldEvaluation) -> bool:
    """Whether its test is over and decided nothing; other rules begin another test, and a replay is none."""
    return told.has_expired and told.rules == one.digest and told.mode != "replay"


def broken(git: Git, base: str, one: CandidateOnMain, report: Statement) -> Deployment:
    """Raises FailedError for a report of something else, or of an earlier time in which the version was canary."""
    about, details = report.binding, report.details
    named = (about.model, about.environment, about.version, about.artifact, about.result, details.get("part"))
    if named != (one.model, one.environment, one.pin.version, one.pin.digest, "failed", "canary"):
        raise FailedError("names a report that is not of this canary, stopped by an agent")
    if one.part != "canary" or not _was_there_since(git, about.head, base, one):
        raise FailedError("names a report of an earlier pin: only a new failure of this one counts")
    reason = f"an agent stopped it on {about.time[:10]}: {reason_of(report)}"
    return taken_back(one.state, VersionHold(version=one.pin.version, by=HOLDER, reason=reason))


def reason_of(report: Statement) -> str:
    """Why the agent stopped it, in words that a deployment file may hold."""
    said = str(report.details.get("reason", "")).strip()
    return " ".join(said.split())[:200] or "it failed where the champion answers"


def _was_there_since(git: Git, commit: str, base: str, one: CandidateOnMain) -> bool:
    """Whether each state of the file has had this pin as canary, from the one that the agent ran up to ``base``."""
    try:
        line = git.text("rev-list", "--first-parent", base).split()
    except GitmlError:
        return False
    if commit not in line:
        return False
    path = f"{git.prefix}{deployment_path(one.model, one.environment)}"
    since = git.text("rev-list", "--first-parent", f"{commit}..{base}", "--", f":(top){path}").split()
    return all(_has_it(git.at(at), one) for at in (commit, *since))


def _has_it(tree: Tree, one: CandidateOnMain) -> bool:
    state = deployment_in(tree, one.model, one.environment)
    canary = state.canary if state else None
    return canary is not None and (canary.version, canary.digest) == (one.pin.version, one.pin.digest)
