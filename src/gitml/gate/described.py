"""A record vouches for files by digests. What it says besides, servers act on: it must say what those files say."""

from __future__ import annotations

from gitml.control.mainline import Mainline
from gitml.errors import SpecError
from gitml.gate.vouching import NoProofError
from gitml.gates.facts import Unknown, Version
from gitml.registry.record import Record
from gitml.registry.store import record_path
from gitml.spec.load import parse_application
from gitml.spec.root import APPLICATION

# By the signature a server reads requests, by the samples it finds out that a model answers otherwise than it did.
_ACTED_ON = ("signature", "samples")


def same_roles(main: Mainline, record: Record) -> None:
    """The record names the files that gitml.yaml named where it was made. Raises NoProofError."""
    brought = main.added(record_path(record.model, record.version))
    made = next((c for c in (record.commit, brought) if c and main.git.resolve(c)), "")
    try:
        model = parse_application(main.git.at(made).read(APPLICATION) or b"").models[record.model]
    except (SpecError, KeyError) as exc:
        raise NoProofError(f"gitml.yaml of {made[:12]} does not say what the files of {record.model} are") from exc
    for role in _ACTED_ON:
        named = record.roles.get(role)
        if named != model.outputs.get(role):
            there = model.outputs.get(role) or "none"
            raise NoProofError(
                f"its record names {named or 'no file'} as its {role} file, gitml.yaml at {made[:12]} says {there}",
                contradicts=True,
            )


def misdescribed(record: Record, version: Version) -> Unknown | None:
    """Why the record's own signature is not that of the version's signature file, which its digest vouches for."""
    if record.signature is None or record.signature == version.signature:
        return None
    if isinstance(version.signature, Unknown):
        return Unknown(f"nothing vouches for the signature in the record: {version.signature.reason}")
    return Unknown(f"the record of {record.version} says another signature than its signature file")
