"""What evidence says: in-toto statements, https://github.com/in-toto/attestation/tree/main/spec/v1."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal, NoReturn, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from gitml.evidence.predicates import standard
from gitml.fields import EvidenceKind, newer_format
from gitml.jsontext import canonical, once_each
from gitml.kinds import predicate_of
from gitml.refs import NAME, VERSION

TYPE = "https://in-toto.io/Statement/v1"
# Extensions of a predicate begin with a vendor's name, as SLSA asks; the first format had none for the binding.
BINDINGS, DETAILS = {1: "gitml", 2: "gitml_binding"}, "gitml_details"
FORMAT: Literal[2] = 2
MAX_PAYLOAD = 700_000
_OID = r"[0-9a-f]{40}|[0-9a-f]{64}"
_REPOSITORY = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}(/[A-Za-z0-9_.-]{1,100})+"
_HOST = r"[a-z0-9](?:[a-z0-9.-]{0,250}[a-z0-9])?"
_LOGIN = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,98}[A-Za-z0-9])?(\[bot\])?"


def _is_time(text: str) -> str:
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT([01]\d|2[0-3]):[0-5]\d:[0-5]\dZ", text, re.ASCII):
        raise ValueError("is no time in UTC such as 2026-01-31T08:00:00Z")
    datetime.fromisoformat(text)  # a tenth of the time of strptime
    return text


def _is_path(text: str) -> str:
    if not text.isprintable() or "\\" in text or any(part in ("", ".", "..") for part in text.split("/")):
        raise ValueError("is no path from the top of the repository")
    return text


def _is_printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("has characters that cannot be printed")
    return text


_Oid = Annotated[str, Field(pattern=f"^({_OID})?$")]
_Sha256 = Annotated[str, Field(pattern="^([0-9a-f]{64})?$")]
_Name = Annotated[str, Field(pattern=f"^({NAME.pattern})?$")]
_Line = Annotated[str, Field(max_length=1000), AfterValidator(_is_printable)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class SignedChange(_Part):
    """What a file becomes: Git's names of its old and new content, empty where there is no file.

    ``path`` counts from the top of the repository.
    """

    path: Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_is_path)]
    old: _Oid
    new: _Oid

    @model_validator(mode="after")
    def _changes(self) -> Self:
        if self.old == self.new:
            raise ValueError("old and new are the same")
        return self


class Binding(_Part):
    """What a statement is about and bound to, so that it says nothing anywhere else.

    ``artifact`` is the model file's SHA-256, ``policy`` the SHA-256 of policy.yaml as ``base`` has it, ``head`` and
    ``base`` are commits, ``run`` is the URL of the CI run or ``local``, ``by`` the login behind it. ``host`` is the
    forge's, ``localhost`` for this machine, empty where nobody knew it. ``ledger`` is the newest commit of the ledger
    that the signer had read, empty where there was none.
    """

    # What does not say has format 1, whose bytes do not change; new statements have the newest.
    format: Literal[1, 2] = FORMAT
    host: Annotated[str, Field(pattern=f"^({_HOST})?$")] = ""
    kind: EvidenceKind
    repository: Annotated[str, Field(pattern=f"^{_REPOSITORY}$", max_length=250)]
    time: Annotated[str, AfterValidator(_is_time)]
    model: _Name = ""
    environment: _Name = ""
    version: Annotated[str, Field(pattern=f"^({re.sub(r'[?]P<[a-z]+>', '', VERSION.pattern)})?$")] = ""
    artifact: _Sha256 = ""
    change: SignedChange | None = None
    pull: Annotated[int, Field(ge=1)] | None = None
    head: _Oid = ""
    base: _Oid = ""
    policy: _Sha256 = ""
    run: _Line = ""
    by: Annotated[str, Field(pattern=f"^({_LOGIN})?$")] = ""
    ledger: _Oid = ""
    result: Literal["passed", "failed", "inconclusive"] = "passed"

    @model_validator(mode="after")
    def _is_about_something(self) -> Self:
        if not (self.artifact or self.change or self.head):
            raise ValueError("names no artifact, no change and no head: it is about nothing")
        if self.format == 1 and (self.host or self.ledger):
            raise ValueError(f"names a {'host' if self.host else 'ledger'}, which format 1 did not have")
        return self

    def to_dict(self) -> dict[str, Any]:
        """As it is written."""
        absent = {"format", "host"} if self.format == 1 else set()
        return self.model_dump(mode="json", exclude=absent | (set() if self.ledger else {"ledger"}))

    @property
    def moment(self) -> datetime:
        return datetime.fromisoformat(self.time)


@dataclass(frozen=True)
class Statement:
    """One piece of evidence. ``details``: what its kind knows beyond the binding, as JSON has it."""

    binding: Binding
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def predicate_type(self) -> str:
        """The in-toto predicate that says this."""
        return predicate_of(self.binding.kind)


def to_payload(statement: Statement) -> bytes:
    """The statement as JSON, the same bytes for the same statement.

    Raises ValueError for details that are no JSON (NaN, bytes, keys that are no text) or too many.
    """
    payload = {
        "_type": TYPE,
        "subject": _subjects(statement.binding),
        "predicateType": statement.predicate_type,
        "predicate": {
            **standard(statement.predicate_type, statement.binding, statement.details),
            BINDINGS[statement.binding.format]: statement.binding.to_dict(),
            DETAILS: _checked(statement.details),
        },
    }
    try:
        raw = canonical(payload)
    except (TypeError, RecursionError) as exc:
        raise ValueError(f"the details are no JSON: {exc}") from exc
    if len(raw) > MAX_PAYLOAD:
        raise ValueError(f"the statement has {len(raw):,} bytes, more than {MAX_PAYLOAD:,}")
    return raw


def _checked(details: Any) -> Any:
    """``details`` as plain containers; json itself would write a key that is no text as one."""
    if isinstance(details, Mapping):
        if wrong := [key for key in details if not isinstance(key, str)]:
            raise ValueError(f"the details have a key that is no text: {wrong[0]!r}")
        return {key: _checked(value) for key, value in details.items()}
    return [_checked(value) for value in details] if isinstance(details, list | tuple) else details


def _subjects(about: Binding) -> list[dict[str, Any]]:
    """What in-toto's tools match on: the artifact and the file; if there is neither, the commit."""
    found: list[dict[str, Any]] = []
    if about.artifact:
        found.append({"name": f"{about.model}@{about.version}", "digest": {"sha256": about.artifact}})
    if about.change and about.change.new:
        found.append({"name": about.change.path, "digest": {"gitBlob": about.change.new}})
    if not found:
        commit = about.head or (about.change.old if about.change else "")
        found.append({"name": about.repository, "digest": {"gitCommit": commit}})
    return found


def parse_payload(payload: bytes) -> Statement:
    """Read a statement. Raises ValueError with all that is wrong, a line each.

    The parts that in-toto's own tools read must say the same as the binding.
    """
    return read_payload(payload)[0]


def read_payload(payload: bytes) -> tuple[Statement, bool]:
    """The same, and whether ``payload`` is in the one form, as ``to_payload`` writes it."""
    if len(payload) > MAX_PAYLOAD:
        raise ValueError(f"the statement has {len(payload):,} bytes, more than {MAX_PAYLOAD:,}")
    data = strict_json(payload)
    predicate = data.get("predicate") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(predicate, dict):
        raise ValueError("is no in-toto statement: there is no predicate")
    key = next((key for key in BINDINGS.values() if key in predicate), BINDINGS[FORMAT])
    statement = Statement(_binding(key, predicate.get(key)), predicate.get(DETAILS, {}))
    # In the one form all of it follows from binding and details, so nothing contradicts them.
    if isinstance(statement.details, dict) and _is_canonical(statement, payload):
        return statement, True
    wrong = _contradictions(data, statement)
    if wrong:
        raise ValueError("\n".join(wrong))
    return statement, False


def _is_canonical(statement: Statement, payload: bytes) -> bool:
    try:
        return to_payload(statement) == payload
    except ValueError:  # what is written shorter than in the one form may be too long in it
        return False


def _binding(key: str, value: Any) -> Binding:
    if newer := newer_format(value.get("format") if isinstance(value, dict) else None, FORMAT):
        raise ValueError(newer)
    try:
        found = Binding.model_validate({"format": 1, **value} if isinstance(value, dict) else value)
    except ValidationError as exc:
        lines = [f"{'.'.join(str(p) for p in e['loc']) or key}: {e['msg']}" for e in exc.errors()]
        raise ValueError("\n".join(lines)) from None
    if BINDINGS[found.format] != key:
        raise ValueError(f"{key}: is not where format {found.format} has its binding")
    return found


def _contradictions(data: Mapping[str, Any], statement: Statement) -> list[str]:
    expected = {
        "_type": TYPE,
        "subject": _subjects(statement.binding),
        "predicateType": statement.predicate_type,
    }
    wrong = [f"{key}: is not what the binding says" for key, value in expected.items() if data.get(key) != value]
    wrong += [f"{key}: unknown key" for key in data if key not in {*expected, "predicate"}]
    if not isinstance(statement.details, dict):
        return [*wrong, f"{DETAILS}: is no mapping"]
    given = {k: v for k, v in data["predicate"].items() if k not in (BINDINGS[statement.binding.format], DETAILS)}
    if given != standard(statement.predicate_type, statement.binding, statement.details):
        wrong.append("predicate: is not what the binding says")
    return wrong


def strict_json(raw: bytes) -> Any:
    """JSON in which a key stands once and every number is finite. Raises ValueError."""
    try:
        text = raw.decode("utf-8")
        value = json.loads(text, object_pairs_hook=once_each, parse_constant=_no_number, parse_float=_finite)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    # A lone surrogate is valid in JSON's escapes and nowhere else.
    if "\\u" in text:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    return value


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]} is too large for a number")
    return value
