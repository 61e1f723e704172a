"""Commits of the bot: nobody's work where they follow from main and from what is believed, and only there.

Each is looked at once and signed (evidence ``derived``), so that later, when branches and runs are gone, nobody has to
derive it again. A name or an address in a commit proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from gitml import __version__
from gitml.control.mainline import Mainline
from gitml.control.place import Place
from gitml.control.signing import BelievedEvents, bound
from gitml.derivation import proposal, retrain, training
from gitml.derivation.claim import Claim, claim_of
from gitml.errors import GitmlError, OutsideError
from gitml.evidence.statement import Statement
from gitml.evidence.trust import LEEWAY
from gitml.gate.ground import Ground
from gitml.gate.vouching import NoProofError, Vouching, same_digests
from gitml.gates.facts import Unknown
from gitml.git.bot import BOT_EMAIL
from gitml.git.commands import Git
from gitml.git.merges import adds_nothing, changes, parents
from gitml.registry.record import Record
from gitml.verdict import Phase, Verdict

KIND = "derived"


@dataclass(frozen=True)
class DerivedCommit:
    """One commit of the bot. Failed: it is something else than it claims; inconclusive: that cannot be told yet.

    ``told`` says in words what it follows from, ``details`` the same for evidence. ``is_known``: it is signed already.
    ``claim``: what it says itself, where it is a proposal.
    """

    commit: str
    verdict: Verdict
    told: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    is_known: bool = False
    claim: Claim | None = None


def known_commits(heard: BelievedEvents | Unknown) -> frozenset[str]:
    """Those that believed evidence calls derived."""
    if isinstance(heard, Unknown):
        return frozenset()
    return frozenset(s.binding.head for s in heard.all(KIND, result="passed"))


def derivations(place: Place, ground: Ground, head: str, *, claimed_only: bool = False) -> tuple[DerivedCommit, ...]:
    """Each commit of the bot between main and ``head`` that adds something; ``claimed_only``: proposals alone.

    Raises OutsideError when the forge does not answer.
    """
    git, main = ground.main.git, ground.main.commit
    known = known_commits(ground.heard)
    found = []
    for commit, message in _of_bot(git, main, head):
        claim = claim_of(message)
        if commit in known:
            told = str(claim or "a training")
            signed = Verdict(Phase.SUCCESSFUL, "signed before")
            found.append(DerivedCommit(commit, signed, told, is_known=True, claim=claim))
        elif claim is not None:
            found.append(replace(_proposal(place, ground, commit, claim), claim=claim))
        elif not claimed_only and not (adds_nothing(git, commit) or proposal.has_main_s_tree(git, commit, main)):
            found.append(_training(place, ground, commit, message))
    return tuple(found)


def _of_bot(git: Git, main: str, head: str) -> Iterator[tuple[str, str]]:
    """Oldest first. Also what only one of author and committer calls the bot's."""
    words = ("log", "-z", "--no-show-signature", "--reverse", "--format=%H%x1f%ae%x1f%ce%x1f%B", f"{main}..{head}")
    for entry in git.text(*words, "--").split("\0"):
        commit, author, committer, message = (*entry.strip("\n").split("\x1f", 3), "", "", "")[:4]
        if commit and BOT_EMAIL in (author, committer):
            yield commit, message


def _proposal(place: Place, ground: Ground, commit: str, claim: Claim) -> DerivedCommit:
    git, main = ground.main.git, ground.main.commit
    if _is_ahead(claim.moment, place.clock() + LEEWAY):
        return DerivedCommit(commit, Verdict(Phase.FAILED, f"commit {commit[:12]} is of a moment that is yet to come"))
    causes = _causes(ground.heard)
    if isinstance(ground.heard, Unknown) and claim.causes:
        return DerivedCommit(commit, Verdict(Phase.INCONCLUSIVE, ground.heard.reason))
    why = proposal.why_not(git, commit, claim, causes, main) or _over_quota(git, ground.heard, claim)
    if why:
        return DerivedCommit(commit, Verdict(Phase.FAILED, f"commit {commit[:12]} {why}"))
    details = {"kind": claim.kind, "base": claim.base, "statements": list(claim.causes), "moment": claim.moment}
    details |= {"subject": claim.subject} if claim.subject else {}
    return _fine(git, commit, str(claim), details)


def _over_quota(git: Git, heard: BelievedEvents | Unknown, claim: Claim) -> str:
    """Of retrainings: what was signed as derived before counts, whether people took it or not."""
    if claim.kind != retrain.NAME or isinstance(heard, Unknown):
        return ""
    signed = (s.details for s in heard.all(KIND, result="passed") if s.details.get("kind") == retrain.NAME)
    earlier = (
        Claim(retrain.NAME, str(d.get("base")), (), str(d.get("moment")), str(d.get("subject", ""))) for d in signed
    )
    try:
        return retrain.over_quota(git, claim, earlier)
    except GitmlError as exc:
        return f"cannot be counted: {exc.message.splitlines()[0]}"


def _is_ahead(moment: str, latest: datetime) -> bool:
    """What is no moment is for its kind to refuse."""
    try:
        return bool(moment) and datetime.fromisoformat(moment) > latest
    except (ValueError, TypeError):
        return False


def _causes(heard: BelievedEvents | Unknown) -> dict[str, Statement]:
    if isinstance(heard, Unknown):
        return {}
    return {b.name: b.statement for b in heard.believed if b and b.statement and b.name}


def _training(place: Place, ground: Ground, commit: str, message: str) -> DerivedCommit:
    git = ground.main.git
    above = parents(git, commit)
    if len(above) != 1 or training.trained_at(message) != above[0]:
        why = f"commit {commit[:12]} has the bot's address, and does not say what it follows from"
        return DerivedCommit(commit, Verdict(Phase.FAILED, why))
    try:
        trusted = (ground.main.commit, *_fork(git, ground.main.commit, above[0]))
        vouched = Vouching(place, ground, above[0], trusted, wait=0).vouch()
        handed = training.handed_over(above[0], vouched.fragments)
    except NoProofError as exc:
        return DerivedCommit(commit, Verdict(Phase.INCONCLUSIVE, f"commit {commit[:12]}: {exc.message}"))
    except GitmlError as exc:
        if exc.exit_code == 4:
            raise
        return DerivedCommit(commit, Verdict(Phase.FAILED, f"commit {commit[:12]}: {exc.message.splitlines()[0]}"))
    return _checked(ground, commit, handed, vouched.run.url)


def _fork(git: Git, main: str, commit: str) -> tuple[str, ...]:
    """Where its branch left main; nothing where the two have no history in common."""
    try:
        return (git.text("merge-base", main, commit).strip(),)
    except OutsideError:
        return ()


def _checked(ground: Ground, commit: str, handed: training.HandedOver, run: str) -> DerivedCommit:
    git, main = ground.main.git, ground.main
    found = training.check(git, commit, changes(git, handed.commit, commit), handed, main.commit)
    if found.wrong:
        why = f"commit {commit[:12]} has the bot's address and {'; '.join(found.wrong[:3])}"
        return DerivedCommit(commit, Verdict(Phase.FAILED, why))
    heard = ground.heard if isinstance(ground.heard, BelievedEvents) else BelievedEvents(())
    try:
        for record in found.records:
            same_digests(main, heard, record, handed.stages)
    except NoProofError as exc:
        phase = Phase.FAILED if exc.contradicts else Phase.INCONCLUSIVE
        return DerivedCommit(commit, Verdict(phase, f"commit {commit[:12]}: {exc.message}"))
    versions = [record.version for record in found.records]
    details = {"kind": training.KIND, "base": handed.commit, "run": run, "versions": versions}
    return _fine(git, commit, f"the training of {handed.commit[:12]}", details)


def merged_before(place: Place, ground: Ground, commit: str, message: str) -> DerivedCommit:
    """A training commit that is merged: believed evidence ``trained`` of its versions stands for the run.

    Where that does not cover all of it, its run is asked, as it is before a merge.
    """
    git, at = ground.main.git, training.trained_at(message)
    if parents(git, commit) != (at,):
        return DerivedCommit(commit, Verdict(Phase.FAILED, f"commit {commit[:12]} is not on top of what was trained"))
    rows = changes(git, at, commit)
    handed = training.of_records([r for r in training.records_of(git, rows) if _is_trained(ground, r)])
    found = training.check(git, commit, rows, handed, ground.main.commit) if handed.commit else None
    if found is None or found.wrong:
        return _training(place, ground, commit, message)
    details = {"kind": training.KIND, "base": at, "versions": [r.version for r in found.records]}
    return _fine(git, commit, f"the training of {at[:12]}", details)


def _is_trained(ground: Ground, record: Record) -> bool:
    about = {"model": record.model, "version": record.version, "artifact": record.files[record.artifact].sha256}
    heard = ground.heard
    return not isinstance(heard, Unknown) and heard.newest("trained", **about, result="passed") is not None


def _fine(git: Git, commit: str, told: str, details: Mapping[str, Any]) -> DerivedCommit:
    more = {"commit": commit, "parents": list(parents(git, commit)), "gitml": __version__}
    return DerivedCommit(commit, Verdict(Phase.SUCCESSFUL, f"follows from {told}"), told, {**details, **more})


def statement_of(place: Place, main: Mainline, policy: str, pull: int, found: DerivedCommit, run: str) -> Statement:
    """The evidence: bound to the commit, the pull request and main as it was. ``policy`` is the digest of its rules."""
    about = bound(place, KIND, run, head=found.commit, base=main.commit, policy=policy, pull=pull)
    return Statement(about, dict(found.details))
