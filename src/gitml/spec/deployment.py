"""models/<model>/<environment>.yaml: which versions of a model one environment should run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from gitml.fields import FileSection, Flag, Login, Number, Text, Until, WrongValueError, check_digest, shown
from gitml.refs import VERSION
from gitml.spec.validate import build
from gitml.spec.yamlfile import parse, read


def _check_version(text: str) -> str:
    if not VERSION.fullmatch(text):
        raise WrongValueError(f"{shown(text)} is no version", "write it as its record is named: TIME-DIGEST8")
    return text


VersionName = Annotated[
    str, AfterValidator(_check_version), Field(json_schema_extra={"pattern": f"^{VERSION.pattern}$"})
]
Sha256 = Annotated[str, AfterValidator(check_digest), Field(json_schema_extra={"pattern": "^[0-9a-f]{64}$"})]


class Pin(FileSection):
    """A version, and the SHA-256 of its artifact."""

    version: VersionName = Field(description="Name of the version record, such as 20260131T080000Z-3f2a90bc.")
    digest: Sha256 = Field(description="SHA-256 of the artifact, as the record says it.")


class Canary(Pin):
    """A version that gets a part of the traffic."""

    weight: Annotated[Number, Field(gt=0, lt=100)] = Field(description="Percent of the traffic that it answers.")


class Shadow(Pin):
    """A version that sees the traffic without answering it."""

    sample: Annotated[Number, Field(gt=0, le=100)] = Field(100, description="Percent of the traffic that it sees.")


class Hold(FileSection):
    """Nothing automatic changes this environment while it lasts."""

    by: Login = Field(description="Login of the person who holds.")
    reason: Text = Field(description="Why.")
    until: Until | None = Field(
        None, description="End, a day or a time; without it the hold lasts until it is removed."
    )


class VersionHold(Hold):
    """Nobody promotes this version here while it lasts."""

    version: VersionName = Field(description="The version that is held.")


class Deployment(FileSection):
    """The whole file."""

    champion: Pin = Field(description="The version whose answers count.")
    canary: Canary | None = Field(None, description="A candidate that answers a part of the traffic.")
    shadow: tuple[Shadow, ...] = Field((), description="Versions that see the traffic, but nobody sees their answers.")
    hold: Hold | None = Field(None, description="Stops automation, as after a rollback.")
    held: tuple[VersionHold, ...] = Field((), description="Versions that nobody promotes here, as after a take-back.")

    retired: Flag = Field(
        False, description="Nobody is answered any more, as after `gitml retire`; the hold says by whom and why."
    )

    @field_validator("shadow", mode="before")
    @classmethod
    def _shadows(cls, value: Any) -> Any:
        """A pin that becomes a shadow sees all the traffic."""
        plain = isinstance(value, tuple) and any(type(pin) is Pin for pin in value)
        return tuple(Shadow(**p.model_dump()) if type(p) is Pin else p for p in value) if plain else value

    @property
    def pins(self) -> tuple[Pin, ...]:
        """All versions: champion, canary, shadows."""
        return (self.champion, *([self.canary] if self.canary else []), *self.shadow)

    @model_validator(mode="after")
    def _ends_as_a_whole(self) -> Self:
        if self.retired and (self.hold is None or self.hold.until is not None):
            raise WrongValueError("is retired without a hold that lasts", "let `gitml retire` write it")
        if self.retired and (self.canary or self.shadow):
            raise WrongValueError("is retired, and a canary or shadow runs", "take them out")
        return self

    @model_validator(mode="after")
    def _names_each_once(self) -> Self:
        versions = [pin.version for pin in self.pins]
        versions += [one.version for one in self.held]
        twice = {v for v in versions if versions.count(v) > 1}
        if twice:
            raise WrongValueError(
                f"{min(twice)} is named twice", "a version is champion, canary, shadow or held, not two of them"
            )
        return self


SCHEMA_LINE = "# yaml-language-server: $schema=../../schemas/deployment.schema.json"


def render_deployment(deployment: Deployment) -> str:
    """The text of the file. Parsing it gives ``deployment`` again, and the same deployment gives the same bytes."""
    lines = [SCHEMA_LINE, "champion:", *_pin(deployment.champion)]
    if deployment.canary:
        lines += ["canary:", *_pin(deployment.canary), f"  weight: {_number(deployment.canary.weight)}"]
    if deployment.shadow:
        lines.append("shadow:")
        for pin in deployment.shadow:
            first, *rest = [*_pin(pin), *([f"  sample: {_number(pin.sample)}"] if pin.sample != 100 else [])]
            lines += [f"  - {first.strip()}", *(f"  {line}" for line in rest)]
    if deployment.hold:
        lines += ["hold:", *_hold(deployment.hold)]
    if deployment.held:
        lines.append("held:")
        for one in deployment.held:
            lines += [f"  - version: {one.version}", *(f"  {line}" for line in _hold(one))]
    if deployment.retired:
        lines.append("retired: true")
    return "\n".join(lines) + "\n"


def _pin(pin: Pin) -> list[str]:
    # In quotes: 64 digits may look like a number.
    return [f"  version: {pin.version}", f'  digest: "{pin.digest}"']


def _hold(hold: Hold) -> Iterator[str]:
    yield f"  by: {_quoted(hold.by)}"
    yield f"  reason: {_quoted(hold.reason)}"
    if hold.until:
        yield f'  until: "{_time(hold.until)}"'


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _number(value: float) -> str:
    """Decimal digits without an exponent, whole numbers without a point."""
    text = format(Decimal(repr(float(value))), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _quoted(text: str) -> str:
    """A YAML 1.2 double-quoted scalar: JSON's, with everything that cannot be seen escaped."""
    inner = json.dumps(text, ensure_ascii=False)[1:-1]
    return '"' + "".join(c if c.isprintable() else _escape(ord(c)) for c in inner) + '"'


def _escape(code: int) -> str:
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def load_deployment(path: Path, file: str = "") -> Deployment:
    """The file at ``path``; ``file`` is its name in problems. Raises SpecError with every problem."""
    return build(Deployment, read(path, file or "/".join(path.parts[-3:])))


def parse_deployment(content: bytes, file: str) -> Deployment:
    """The same from bytes, as they stand in a commit."""
    return build(Deployment, parse(content, file))
