"""Evidence ``derived`` for training commits that were merged before the gate had looked at them.

Believed evidence ``trained`` of the version stands for the run: it says what the run handed over.
"""

from __future__ import annotations

from collections.abc import Iterator

from gitml.cijobs.due import Due
from gitml.cijobs.trained import MOST
from gitml.control.place import Place
from gitml.control.signing import BelievedEvents
from gitml.derivation.training import trained_at
from gitml.errors import GitmlError
from gitml.forges.governed import PullCommit
from gitml.gate.derived import KIND, known_commits, merged_before, statement_of
from gitml.gate.ground import Ground
from gitml.gates.facts import Unknown
from gitml.git.bot import BOT_EMAIL
from gitml.git.edit import bring
from gitml.registry.record import Record
from gitml.registry.store import record_path
from gitml.verdict import Phase


def derived(place: Place, ground: Ground, run: str) -> Iterator[Due]:
    """Of each model's newest versions from CI those whose commit no evidence calls derived."""
    if isinstance(ground.heard, Unknown):
        return
    told = {version for s in ground.heard.all(KIND, result="passed") for version in s.details.get("versions", ())}
    for model in ground.main.models():
        for version in ground.main.versions(model)[-MOST:]:
            if version not in told:
                yield from _version(place, ground, ground.heard, (model, version), run)


def _version(place: Place, ground: Ground, known: BelievedEvents, name: tuple[str, str], run: str) -> Iterator[Due]:
    try:
        record = ground.main.original_record(*name)
        artifact = record.files[record.artifact].sha256
        about = {"model": record.model, "version": record.version, "artifact": artifact, "result": "passed"}
        if record.origin == "ci" and record.commit and known.newest("trained", **about):
            yield from _commits(place, ground, record, run)
    except GitmlError as exc:
        yield Due(f"{name[0]} {name[1]}: {exc.message.splitlines()[0]}", problem=exc.exit_code == 4)


def _commits(place: Place, ground: Ground, record: Record, run: str) -> Iterator[Due]:
    brought = ground.main.added(record_path(record.model, record.version)) or ""
    signed = known_commits(ground.heard)
    for pull in place.forge.pulls.of_commit(brought):
        if not pull.is_merged or pull.base.branch != place.branch:
            continue
        for commit in place.forge.merges.commits(pull.number):
            if commit.commit in signed or not _is_of(commit, record):
                continue
            bring(place.git, place.remote, commit.commit)
            found = merged_before(place, ground, commit.commit, commit.message)
            said = f"{record.reference}: {found.verdict.reason}"
            if found.verdict.phase is not Phase.SUCCESSFUL:
                yield Due(said)
                continue
            statement = statement_of(place, ground.main, ground.digest, pull.number, found, run)
            yield Due(said, (statement,), (commit.commit,))


def _is_of(commit: PullCommit, record: Record) -> bool:
    of_bot = any(claim.email == BOT_EMAIL for claim in commit.claims)
    return of_bot and trained_at(commit.message) == record.commit
