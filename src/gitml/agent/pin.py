"""Break-glass: one version served on this machine whatever main says, for a time, by somebody who answers for it.

For when the forge is down. The agent needs neither network nor evidence for it, because whoever can write its state
folder could replace the server as well; what was done is signed and reported as soon as that is possible.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from gitml.agent.source import Mirror
from gitml.agent.state import PINS, moment, stamp
from gitml.errors import RefError, UsageError
from gitml.files import write_file
from gitml.refs import DIGEST, VERSION, Reference
from gitml.registry.record import Record
from gitml.registry.resolve import resolve

LONGEST = timedelta(days=14)


class LocalPin(BaseModel):
    """Until ``until`` (UTC, ISO with a Z) ``model`` is answered by ``version`` alone: no canary, no shadow."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    version: str
    digest: str
    owner: str
    reason: str
    since: str
    until: str
    removed: str = ""

    def is_active(self, now: datetime) -> bool:
        """A clock that was set back before its begin does not make it last longer."""
        length = moment(self.until) - moment(self.since)
        return not self.removed and now < moment(self.until) and moment(self.until) - now <= length + timedelta(hours=1)

    @property
    def said(self) -> str:
        return f"pinned to {self.version} by {self.owner} until {self.until}: {self.reason}"


def pins_in(folder: Path) -> dict[str, LocalPin]:
    """Model → pin, also those that are over. A file that is none is left out: it pins nothing."""
    found = {}
    for path in sorted((folder / PINS).glob("*.json")):
        try:
            pin = LocalPin.model_validate_json(path.read_bytes())
            moment(pin.since), moment(pin.until)
        except (OSError, ValidationError, ValueError):
            continue
        if path.stem == pin.model:
            found[pin.model] = pin
    return found


def write_pin(folder: Path, pin: LocalPin) -> Path:
    target = folder / PINS / f"{pin.model}.json"
    write_file(target, (pin.model_dump_json(indent=1) + "\n").encode())
    return target


def check_times(pin: LocalPin, now: datetime) -> None:
    """Raises UsageError: a pin without an end, or a long one, would be a second way to deploy."""
    if not pin.owner.strip() or not pin.reason.strip():
        raise UsageError("a pin needs an owner and a reason", "give --owner and --reason")
    left = moment(pin.until) - now
    if not timedelta() < left <= LONGEST:
        raise UsageError(
            f"a pin ends in the future, at most {LONGEST.days} days from now, not at {pin.until}",
            "for longer, roll back on main: gitml rollback MODEL --in ENVIRONMENT",
        )


def find_record(mirror: Mirror, commit: str, reference: Reference) -> Record:
    """The version of the mirror's ``commit`` that people name. Raises RefError."""
    chosen = reference.selector
    if chosen != "latest" and not VERSION.fullmatch(chosen) and not DIGEST.fullmatch(chosen):
        raise RefError(f"{reference} names no version for a pin", "write MODEL@DIGEST or MODEL@VERSION")
    first = "the agent knows a version once main has it and the agent has looked"
    return resolve(mirror.at(commit), reference, where="in the agent's mirror", first=first)


def unpin(folder: Path, model: str, now: datetime) -> LocalPin:
    """End it at once. Raises RefError when there is none. The file stays until it was reported."""
    pin = pins_in(folder).get(model)
    if pin is None or not pin.is_active(now):
        raise RefError(f"{model} is not pinned here", "`gitml agent state` shows what is")
    ended = pin.model_copy(update={"removed": stamp(now)})
    write_pin(folder, ended)
    return ended


def active(pins: Mapping[str, LocalPin], now: datetime) -> dict[str, LocalPin]:
    return {model: pin for model, pin in pins.items() if pin.is_active(now)}
