"""The looks of monitors: read from their branch, added to it, copied into the ledger where something hangs on one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gitml.control.place import Place
from gitml.control.signing import Signer
from gitml.evidence.biases import KIND as BIAS
from gitml.evidence.biases import SignedBias, biases_of
from gitml.evidence.canaries import KIND as CANARY
from gitml.evidence.canaries import Canaries, canaries_of
from gitml.evidence.impacts import KIND as IMPACT
from gitml.evidence.impacts import SignedImpact, impacts_of
from gitml.evidence.lookcommits import MOST_COMMITS, MonitorName, look_message, newest_of
from gitml.evidence.looks import KIND, Looks, looks_of
from gitml.evidence.reader import EvidenceRules, believed_of
from gitml.evidence.served import KIND as HOUR
from gitml.evidence.statement import Statement
from gitml.evidence.trust import Believed
from gitml.git import ledger
from gitml.git.bot import BOT_EMAIL, BOT_NAME
from gitml.git.commands import Git
from gitml.git.edit import Who, commit_tree
from gitml.git.ledger import LOOKS, SERVED
from gitml.git.ledgerline import NAME, LedgerEntry
from gitml.git.orphan import Remote, growth
from gitml.git.repository import Repository

# What the job that tells leaves behind: one commit without a past.
TOLD = "refs/heads/gitml-looked"


def read_looks(
    root: Path, head: str, rules: EvidenceRules, since: datetime | None = None, kind: str = KIND
) -> tuple[Believed, ...]:
    """Every look that was ever added up to ``head`` and signed at ``since`` or later, believed or not, oldest first.

    ``kind``: of looks, or of the evaluations of candidates and the impacts of changes that lie beside them. A branch
    has many; who needs the last ones reads no others. Raises OutsideError when Git cannot read it.
    """
    repository = Repository(root)
    first = f"{since.astimezone(UTC):%Y%m%dT%H%M%SZ}" if since else ""
    found = [entry for entry in _entries(repository, head, LOOKS, kind) if _stamp(entry) >= first]
    return tuple(sorted(believed_of(repository, found, rules), key=lambda one: one.name))


def read_hours(root: Path, head: str, rules: EvidenceRules, span: timedelta) -> tuple[Believed, ...]:
    """What agents told of their hours, from ``span`` before the newest one on, believed or not, oldest first.

    Raises OutsideError when Git cannot read the branch.
    """
    repository = Repository(root)
    found = {entry.name: entry for entry in _entries(repository, head, SERVED, HOUR)}
    # A name says when it was signed; which one counts is not known yet, so that nobody's clock moves the window far.
    stamps = sorted(_stamp(entry) for entry in found.values() if _stamp(entry) <= f"{rules.now:%Y%m%dT%H%M%SZ}")
    if not stamps:
        return ()
    first = f"{datetime.strptime(stamps[-1], '%Y%m%dT%H%M%SZ') - span:%Y%m%dT%H%M%SZ}"
    new = [entry for entry in found.values() if _stamp(entry) >= first]
    return tuple(sorted(believed_of(repository, new, rules), key=lambda one: one.name))


def _entries(repository: Repository, head: str, branch: str, kind: str) -> list[LedgerEntry]:
    entries = ledger.remembered(repository, head, branch).entries
    return [entry for entry in entries if (named := NAME.fullmatch(entry.name)) and named["kind"] == kind]


def _stamp(entry: LedgerEntry) -> str:
    named = NAME.fullmatch(entry.name)
    return named["time"] if named else ""


def heard_looks(
    place: Place, rules: EvidenceRules, since: datetime | None = None, copied: Iterable[Believed] = ()
) -> Looks:
    """Those that the forge has now, and that count. Raises OutsideError, or IntegrityError when they were rewritten.

    ``copied``: what lies on the ledger, where those that something hung on are: it stays when their branch goes.
    """
    return looks_of(_counting(place.root, place.remote, rules, since, KIND, copied))


def looks_on(git: Git, remote: Remote, rules: EvidenceRules, since: datetime) -> Looks:
    """The same of any repository, by the rules of its own main. ``git`` is where its objects are kept."""
    return looks_of(_counting(git.root, remote, rules, since, KIND, ()))


def heard_canaries(
    place: Place, rules: EvidenceRules, since: datetime | None = None, copied: Iterable[Believed] = ()
) -> Canaries:
    """The evaluations of candidates that the forge has now, and that count. As ``heard_looks``."""
    return canaries_of(_counting(place.root, place.remote, rules, since, CANARY, copied))


def heard_impacts(place: Place, rules: EvidenceRules, since: datetime | None = None) -> tuple[SignedImpact, ...]:
    """What KPIs did after changes, as the forge has it now and as it counts. As ``heard_looks``."""
    return impacts_of(_counting(place.root, place.remote, rules, since, IMPACT, ()))


def heard_biases(place: Place, rules: EvidenceRules, since: datetime | None = None) -> tuple[SignedBias, ...]:
    """Whom models selected, as the forge has it now and as it counts. As ``heard_looks``."""
    return biases_of(_counting(place.root, place.remote, rules, since, BIAS, ()))


def _counting(
    root: Path, remote: Remote, rules: EvidenceRules, since: datetime | None, kind: str, copied: Iterable[Believed]
) -> Iterable[Believed]:
    head = ledger.fetch(root, remote, LOOKS)
    told = read_looks(root, head, rules, since, kind) if head else ()
    every = (*told, *(one for one in copied if one.kind == kind))
    return {one.name: one for one in every if one}.values()


def newest_looks(remote: Remote) -> Mapping[MonitorName, datetime]:
    """Model and environment → when it was looked at last; empty without a branch of looks. Raises OutsideError."""
    return newest_of(growth(remote, LOOKS, MOST_COMMITS))


def sign_looks(signer: Signer, statements: Sequence[Statement]) -> tuple[str, ...]:
    """Add them in one commit; the names of the events. Raises UsageError for a key that policy.yaml does not name."""
    names = [(one.binding.model, one.binding.environment) for one in statements if one.binding.kind == KIND]
    return signer.sign(statements, branch=LOOKS, message=look_message(names, len(names)) if names else "")


def mark_told(place: Place, main: str, next_look: datetime) -> None:
    """Say on a branch of its own that all looks are signed and told, so that the next job can end before it installs
    anything: nothing is due until ``next_look`` while main and the looks stay as they are.

    It is no evidence. Without it a job looks once more; who may push can write another one and so keep jobs from
    looking, which `gitml doctor` and the age of the newest look show.
    """
    # As they were read: what came since is not told yet.
    looks = ledger.head(place.root, ledger.local_of(LOOKS)) or ""
    said = f"Main: {main}\nLooks: {looks}\nNext look: {next_look.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}\n"
    tree = place.git.repository.store("tree", b"")
    commit = commit_tree(place.git, tree, [], said, Who(BOT_NAME, BOT_EMAIL))
    words = ("push", "--quiet", "--no-verify", "--force", place.remote.url, f"{commit}:{TOLD}")
    place.remote.git(place.root, *words)


def copy_to_ledger(place: Place, looks: Sequence[Believed]) -> tuple[str, ...]:
    """The same envelopes under the same names, for what a gate used or what caused a pull request.

    Copied again they add nothing. The names of the events.
    """
    events = {said.name: said.event.content for said in looks}
    if events:
        ledger.append(place.remote, events, near=place.root)
    return tuple(events)
