"""Evidence ``trained``: a run of a branch that the forge vouches for gave exactly this version (DESIGN decision 3)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gitml.cijobs.due import Due
from gitml.cijobs.materials import materials
from gitml.control.place import Place
from gitml.control.signing import BelievedEvents, bound
from gitml.derivation.handover import merged
from gitml.errors import GitmlError
from gitml.evidence.predicates import MATERIALS, WORKFLOW
from gitml.evidence.statement import Statement
from gitml.gate.described import same_roles
from gitml.gate.ground import Ground
from gitml.gate.vouching import NoProofError, VouchedRun, Vouching, same_digests
from gitml.gates.facts import Unknown
from gitml.registry.record import Record
from gitml.registry.store import record_path

# Of versions without evidence the newest of each model; older ones were given up, or are reproduced.
MOST = 20


def trained(place: Place, ground: Ground, run: str) -> Iterator[Due]:
    """Versions of main that no believed evidence calls trained, oldest first."""
    if isinstance(ground.heard, Unknown):
        return
    for model in ground.main.models():
        for version in ground.main.versions(model)[-MOST:]:
            yield from _version(place, ground, ground.heard, (model, version), run)


def _version(place: Place, ground: Ground, known: BelievedEvents, name: tuple[str, str], run: str) -> Iterator[Due]:
    model, version = name
    try:
        record = ground.main.original_record(model, version)
    except GitmlError as exc:
        yield Due(f"{model} {version}: {exc.message.splitlines()[0]}")
        return
    about: dict[str, Any] = {"model": model, "version": version, "artifact": record.files[record.artifact].sha256}
    if record.origin == "external" or known.signed("trained", **about):
        return
    try:
        vouched, workflow = _vouched(place, ground, known, record)
    except GitmlError as exc:
        yield Due(f"{model} {version}: {exc.message.splitlines()[0]}", problem=exc.exit_code == 4)
        return
    found = vouched.run
    binding = bound(place, "trained", run, **about, head=found.commit, by=found.by)
    details = {
        "how": "a run of a branch",
        "run": found.url,
        "attempt": found.attempt,
        "jobs": list(vouched.fragments),
        "seconds": {stage.stage: stage.seconds for one in vouched.fragments.values() for stage in one.stages},
        WORKFLOW: workflow,
        MATERIALS: materials(record),
    }
    yield Due(f"{model} {version}: trained, by {found.url}", (Statement(binding, details),), (found.commit,))


def _vouched(place: Place, ground: Ground, known: BelievedEvents, record: Record) -> tuple[VouchedRun, str]:
    if record.origin != "ci" or not record.commit:
        raise NoProofError("trained outside CI: main's job must reproduce it first")
    brought = ground.main.added(record_path(record.model, record.version))
    trusted = (ground.main.commit, *((brought, f"{brought}^") if brought else ()))
    vouching = Vouching(place, ground, record.commit, trusted)
    found = vouching.vouch()
    same_digests(ground.main, known, record, merged(found.fragments.values(), record.commit))
    same_roles(ground.main, record)
    return found, vouching.workflow
