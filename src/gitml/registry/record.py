"""The version record: an immutable account of one trained model, kept as a JSON file in the tree."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from gitml.dvc.lockentries import Content, Entry
from gitml.fields import newer_format
from gitml.jsontext import once_each
from gitml.refs import NAME, VERSION
from gitml.registry.lineage import external_digest, lineage_digest
from gitml.stats.profile import Profile
from gitml.stats.refits import Refits

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True, defer_build=True)


class Metric(_Part):
    """A number with its 95 % interval, where there is one, and how far fits with other seeds lie apart."""

    value: float
    low: float | None = None
    high: float | None = None
    refits: Refits | None = None


class File(_Part):
    """What ``gitml.dvc.manifest.fingerprint`` says of an output; ``rows``, ``missing`` and ``ones`` if it is a table.

    ``missing`` is the share of missing values by column, ``ones`` that of 1 or true in each column of nothing but 0 and
    1: how labels are balanced. ``profile`` says how columns of data are distributed. ``dvc`` is the digest under which
    DVC keeps it, where no stage's entry says so.
    """

    sha256: Sha256
    size: int
    rows: int | None = None
    missing: Mapping[str, float] | None = None
    ones: Mapping[str, float] | None = None
    profile: Profile | None = None
    dvc: Annotated[str, Field(pattern=r"^md5:[0-9a-f]{32}(\.dir)?$")] | None = None


class Packages(_Part):
    """The environment that the stages ran in: the lock file with its SHA-256, the Python, and the GPUs of the machine
    with the release of their driver, where it had some."""

    path: str
    sha256: Sha256
    python: str
    gpus: tuple[str, ...] | None = None
    driver: str | None = None


def _is_entry(value: dict[str, Any]) -> dict[str, Any]:
    try:
        Entry.from_dict(value)
    except (KeyError, TypeError, AttributeError) as exc:
        raise ValueError(f"is no stage entry: {exc}") from exc
    return value


class Record(_Part):
    """One version. ``origin`` says who answers for it: ``local`` a laptop, ``ci`` a run on CI, ``external`` others."""

    format: Literal["gitml version 1"] = "gitml version 1"
    model: Annotated[str, Field(pattern=f"^{NAME.pattern}$")]
    version: Annotated[str, Field(pattern=f"^{VERSION.pattern.replace('?P<time>', '').replace('?P<digest>', '')}$")]
    digest: Sha256
    created: str
    origin: Literal["local", "ci", "external"]
    source: str | None = None
    commit: str | None = None
    dirty: tuple[str, ...] = ()
    artifact: str
    files: Mapping[str, File]
    metrics: Mapping[str, Metric] = {}
    signature: Mapping[str, Any] | None = None
    packages: Packages | None = None
    roles: Mapping[str, str] = {}
    stages: Mapping[str, Annotated[dict[str, Any], AfterValidator(_is_entry)]] = {}

    @model_validator(mode="after")
    def _holds_together(self) -> Record:
        expected = name_of(self.digest, self.created)
        if self.version != expected:
            raise ValueError(f"version is {self.version}, but its time and digest say {expected}")
        if self.artifact not in self.files:
            raise ValueError(f"files lacks the artifact {self.artifact}")
        if self.origin == "external":
            self._external_holds_together()
        elif self.digest != lineage_digest(self.model, self.entries()):
            raise ValueError("digest does not match the stages: the record was edited")
        return self

    def _external_holds_together(self) -> None:
        if self.stages:
            raise ValueError("an external model has no stages")
        if not self.source:
            raise ValueError("source is missing: where did the model come from?")
        if self.digest != external_digest(self.model, self.files[self.artifact].sha256, self.source):
            raise ValueError("digest does not match the artifact and the source: the record was edited")

    def contents(self) -> dict[str, Content]:
        """What DVC keeps of this version, by path."""
        outs = {c.path: c for entry in self.entries().values() for c in entry.outs}
        own = {path: Content(path, file.dvc, file.size) for path, file in self.files.items() if file.dvc}
        return {**outs, **own}

    def entries(self) -> dict[str, Entry]:
        return {name: Entry.from_dict(raw) for name, raw in self.stages.items()}

    @property
    def reference(self) -> str:
        return f"{self.model}@{self.digest[:8]}"

    def to_json(self) -> str:
        """Indented and ordered, so that two records diff well; ends with a newline. A column's profile is one line."""
        return _indented(self.model_dump(mode="json", exclude_none=True), ()) + "\n"


def _indented(value: Any, place: tuple[str, ...]) -> str:
    """What ``json.dumps`` gives with an indent of one, but for the parts that are one line each."""
    is_line = place[:1] == ("files",) and place[2:4] == ("profile", "columns") and len(place) == 5
    if is_line or not value or not isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict):
        parts = [f"{json.dumps(k, ensure_ascii=False)}: {_indented(v, (*place, k))}" for k, v in value.items()]
    else:
        parts = [_indented(v, (*place, "")) for v in value]
    start, end = "{}" if isinstance(value, dict) else "[]"
    gap = "\n" + " " * (len(place) + 1)
    return f"{start}{gap}{f',{gap}'.join(parts)}{gap[:-1]}{end}"


def name_of(digest: str, created: str) -> str:
    """``<time>-<digest8>``: sorts by time. Raises ValueError if ``created`` is not UTC to the second."""
    moment = datetime.strptime(created, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    return f"{moment:%Y%m%dT%H%M%SZ}-{digest[:8]}"


def parse_record(text: str | bytes) -> Record:
    """Read a record. Raises ValueError with all that is wrong, a line each."""
    try:
        record = Record.model_validate_json(text)
    except ValidationError as exc:
        if newer := newer_format(_format_of(exc)):
            raise ValueError(newer) from exc
        lines = [f"{'.'.join(str(p) for p in e['loc']) or 'record'}: {e['msg']}" for e in exc.errors()]
        raise ValueError("\n".join(lines)) from exc
    # pydantic takes the last of two values, and people who review a record may read the first.
    json.loads(text, object_pairs_hook=once_each)
    return record


def _format_of(exc: ValidationError) -> int | None:
    """The format that a record which cannot be read says it has."""
    said = next((str(e["input"]) for e in exc.errors() if e["loc"] == ("format",)), "")
    number = said.removeprefix("gitml version ")
    return int(number) if number != said and number.isdecimal() else None
