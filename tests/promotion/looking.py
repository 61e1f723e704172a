"""Looks signed by hand, for tests of what hangs on them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from gitml.control.signing import Signer, bound
from gitml.evidence.keys import SigningKey
from gitml.evidence.looks import KIND, RESULTS, ToldLook, look_id
from gitml.evidence.statement import Statement
from gitml.git import ledger
from gitml.registry.record import Record
from gitml.verdict import Phase
from promotion.gating import Gated
from promotion.promoting import MemoryTown
from reports.look_kit import look, stamp, verdict

_CONFIGURATION = "c" * 64
_DAY = timedelta(days=1)


def sign_look(
    g: Gated[MemoryTown], key: SigningKey, version: Record, environment: str, ended: timedelta, **phases: str
) -> str:
    """A look at a day that ended so long ago; the name of its event."""
    until = (g.town.now - ended).replace(microsecond=0)
    told: dict[str, Any] = look(
        model=version.model, environment=environment, version=version.version, since=stamp(until - _DAY),
        until=stamp(until), at=stamp(until), next_look=stamp(until + _DAY), drift=[],
    )  # fmt: skip
    told = {key: value for key, value in told.items() if key not in ("id", "spent")}
    told["verdicts"] |= {part: verdict(phase, f"{part} is {phase}") for part, phase in phases.items()}
    every = [v["phase"] for v in told["verdicts"].values()]
    told["phase"] = next((p for p in ("failed", "inconclusive") if p in every), "successful")
    details = {
        "format": 1, "id": look_id(ToldLook.model_validate(told), _CONFIGURATION), "configuration": _CONFIGURATION,
        "inputs": {"traffic": "", "settings": "d" * 64}, "spent": {"year": until.year, "looks": 1, "share": 0.01},
        "look": told, "sketch": None, "disagrees": [],
    }  # fmt: skip
    artifact = version.files[version.artifact].sha256
    about = {"model": version.model, "environment": environment, "version": version.version, "artifact": artifact}
    with g.ground() as (place, known):
        made = bound(place, KIND, "", **about, result=RESULTS[Phase(told["phase"])])
        (name,) = Signer(place, known.policy, key).sign(
            [Statement(made, details)], branch=ledger.LOOKS, message="Looks\n"
        )
    return name
