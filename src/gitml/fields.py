"""The small types that keys of gitml.yaml and policy.yaml are made of, with errors in plain words."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, date, datetime, time, timedelta
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, Strict, WithJsonSchema

from gitml.kinds import KINDS
from gitml.refs import NAME, why_no_environment

# As libraries of all kinds call them: ndcg@10, precision/recall, hits@1+, top-5 accuracy (%).
_METRIC = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.@/+%:()=, -]{0,98}[A-Za-z0-9_@+%)])?")
_LOGIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,98}[A-Za-z0-9])?")
_TEAM = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}(?:/[A-Za-z0-9][A-Za-z0-9_.-]{0,99})+")
_PYTHON = re.compile(r"3\.\d{1,2}")
_GITML = re.compile(r"gitml(==[0-9A-Za-z.!+]+| @ [!-~]+)")
_BRANCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}")
_WEB = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~:/?#&=+%,;$!*-]*)?")
_SECRET = re.compile(r"[A-Z_][A-Z0-9_]{0,99}")
_DURATION = re.compile(r"(\d{1,9})\s*(s|m|h|d|w)")
_SIZE = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)\s*(B|kB|KB|MB|GB|TB)")
_RATE = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)\s*/\s*(s|min|h)")
_LATENCY = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)\s*(us|ms|s)")

# Names that Windows keeps for devices: a folder of such a name cannot be checked out there.
_DEVICES = frozenset({"con", "prn", "aux", "nul"})
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_BYTES = {"B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


class WrongValueError(ValueError):
    """Why a value is refused, and what to write instead."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class FileSection(BaseModel):
    """A part of a file: frozen, and unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


def shown(value: Any) -> str:
    """A value as it may stand in a message: short, and no more than its kind when it is large."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def newer_format(found: Any, reads: int = 1) -> str:
    """Why a file of the format ``found`` cannot be read, or "" if it can. A file that does not say has format 1.

    >>> newer_format(None), newer_format(1), newer_format(2)
    ('', '', 'has format 2, and this gitml reads format 1: upgrade gitml')
    """
    if not isinstance(found, int) or found <= reads:
        return ""  # anything but a number is wrong in itself, and the model says so
    return f"has format {found}, and this gitml reads format {reads}: upgrade gitml"


def check_name(name: str) -> str:
    """A name of a model, role or hardware: it becomes a folder, a branch and a word of references."""
    if not NAME.fullmatch(name):
        hint = "use small letters, digits, '.', '_' and '-', at most 64, with a letter or digit at both ends"
        raise WrongValueError(f"{shown(name)} is no name", hint)
    if ".." in name or name.endswith(".lock") or name.split(".")[0] in _DEVICES:
        raise WrongValueError(
            f"{shown(name)} cannot be the name of a branch or folder everywhere", "choose another name"
        )
    return name


def check_environment(name: str) -> str:
    """A name of an environment: also not a word, digest or time that could follow the @ of a reference."""
    check_name(name)
    why = why_no_environment(name)
    if why:
        raise WrongValueError(why, f"choose another name, such as {name}-env")
    return name


_METRIC_HINT = "begin with a letter or digit; letters, digits, spaces and _ . @ / + % : ( ) = , - may follow"


def check_metric(name: str) -> str:
    if not _METRIC.fullmatch(name):
        raise WrongValueError(f"{shown(name)} is no name of a metric", _METRIC_HINT)
    return name


def check_path(text: str) -> str:
    """A path inside the repository, relative to the folder of gitml.yaml, with forward slashes."""
    parts = PurePosixPath(text).parts
    if "\\" in text:
        raise WrongValueError(f"{shown(text)} has a backslash", "write paths with '/'")
    if text.startswith(("/", "~")) or re.match(r"[A-Za-z]:", text):
        raise WrongValueError(f"{shown(text)} is not relative", "write it relative to the folder of gitml.yaml")
    if ".." in parts:
        raise WrongValueError(f"{shown(text)} leads out of the folder", "paths stay inside the folder of gitml.yaml")
    if any(part.lower().rstrip(". ") in {".git", ".dvc"} for part in parts):
        raise WrongValueError(f"{shown(text)} is a place of Git or DVC", "choose a folder of your own")
    if not parts or str(PurePosixPath(text)) != text or not text.isprintable() or len(text) > 1000:
        raise WrongValueError(f"{shown(text)} is no path of a file", "write it plainly, such as artifacts/model.skops")
    return text


def check_label(text: str) -> str:
    """A label of a runner. CI systems fill in expressions wherever they stand, so a label holds none."""
    if not text.isprintable() or text != text.strip() or "${{" in text:
        raise WrongValueError(f"{shown(text)} is no label of a runner", "write it plainly, such as self-hosted")
    return text


def check_python(value: Any) -> str:
    """
    >>> check_python("3.12")
    '3.12'
    """
    if isinstance(value, float):
        raise WrongValueError(
            f"{value} is a number, and 3.10 would be the same one as 3.1", 'write it in quotes, such as "3.12"'
        )
    return _parse(value, _PYTHON, "version of Python", '"3.12"').group()


def check_secret(text: str) -> str:
    """The name of a secret, which becomes an environment variable."""
    if not _SECRET.fullmatch(text):
        raise WrongValueError(f"{shown(text)} is no name of a secret", "use capital letters, digits and '_'")
    if text.startswith(("GITHUB_", "GITML_", "ACTIONS_", "RUNNER_")) or text in {"CI", "PATH", "HOME"}:
        raise WrongValueError(f"{text} belongs to the CI system or to gitml", "give the secret another name")
    return text


def check_branch(text: str) -> str:
    """The name of a branch, without what a pattern of branches gives another meaning to."""
    if not _BRANCH.fullmatch(text) or ".." in text or "//" in text or text.endswith((".lock", "/", ".")):
        raise WrongValueError(f"{shown(text)} is no name of a branch", "such as main")
    return text


def check_gitml(text: str) -> str:
    """What pip installs gitml from: one version, or a place."""
    if not _GITML.fullmatch(text) or "${{" in text:
        hint = "such as gitml==0.1.0, or gitml @ git+https://git.example.org/gitml@v0.1.0"
        raise WrongValueError(f"{shown(text)} does not say which gitml to install", hint)
    return text


def _parse(value: Any, pattern: re.Pattern[str], what: str, example: str) -> re.Match[str]:
    match = pattern.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise WrongValueError(f"{shown(value)} is no {what}", f"write it like {example}")
    return match


def parse_duration(value: Any) -> timedelta:
    """
    >>> parse_duration("90d").days
    90
    """
    if isinstance(value, timedelta):
        return value
    number, unit = _parse(value, _DURATION, "duration", "30s, 30m, 12h, 90d or 2w").groups()
    seconds = int(number) * _SECONDS[unit]
    if not 0 < seconds <= 36_500 * 86_400:
        raise WrongValueError(f"{shown(value)} is not between one second and a hundred years")
    return timedelta(seconds=seconds)


def parse_size(value: Any) -> int:
    """Bytes; kB, MB, GB are powers of 1000.

    >>> parse_size("50MB")
    50000000
    """
    number, unit = _parse(value, _SIZE, "size", "800kB, 50MB or 2GB").groups()
    return round(float(number) * _BYTES[unit])


def parse_latency(value: Any) -> float:
    """Milliseconds.

    >>> parse_latency("20ms")
    20.0
    """
    number, unit = _parse(value, _LATENCY, "time", "500us, 20ms or 1s").groups()
    return float(number) * _MILLISECONDS[unit]


def parse_rate(value: Any) -> float:
    """So many in a second.

    >>> parse_rate("500/s"), parse_rate("90/min")
    (500.0, 1.5)
    """
    number, unit = _parse(value, _RATE, "rate", "500/s or 90/min").groups()
    return float(number) / {"s": 1, "min": 60, "h": 3600}[unit]


def check_login(text: str) -> str:
    if not _LOGIN.fullmatch(text):
        raise WrongValueError(f"{shown(text)} is no login", "write it as the forge does, without @")
    return text


def check_team(text: str) -> str:
    if not _TEAM.fullmatch(text):
        raise WrongValueError(f"{shown(text)} is no team", "write it as organisation/team")
    return text


def person(value: Any) -> Any:
    """A login alone stands for a person of that login."""
    return {"login": value} if isinstance(value, str) else value


def check_digest(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise WrongValueError(f"{shown(text)} is no SHA-256", "write its 64 digits, 0-9 and a-f")
    return text


def check_public_key(text: str) -> str:
    """An ed25519 key in OpenSSH's form (RFC 8709): type, base64 of type and 32 bytes, and maybe a comment."""
    if "PRIVATE" in text:
        raise WrongValueError("this is a private key", "it is known now: make a new pair, and put the .pub file here")
    words = text.split()
    try:
        blob = base64.b64decode(words[1], validate=True) if len(words) >= 2 else b""
    except binascii.Error:
        blob = b""
    if words[:1] != ["ssh-ed25519"] or len(blob) != 51 or not blob.startswith(b"\0\0\0\x0bssh-ed25519\0\0\0 "):
        hint = "paste the line of the .pub file that 'ssh-keygen -t ed25519' writes"
        raise WrongValueError(f"{shown(text)} is no ed25519 public key", hint)
    return text


def check_web_address(text: str) -> str:
    """Without a user's name, and with nothing that could end a link."""
    if len(text) > 500 or not _WEB.fullmatch(text):
        raise WrongValueError(f"{shown(text)} is no address of the web", "such as https://grafana.example.org/d/1")
    return text


def _moment(value: Any, *, end: bool) -> datetime:
    if isinstance(value, datetime):
        return value
    hint = "write a day such as 2026-01-31, or a time such as 2026-01-31T08:00:00Z"
    try:
        if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value):
            day = date.fromisoformat(value) + timedelta(days=end)
            return datetime.combine(day, time(), UTC)
        parsed = datetime.fromisoformat(value)
        if parsed.tzinfo is None:
            raise WrongValueError(
                f"{shown(value)} does not say its time zone",
                "end it with Z, or with an offset such as +01:00",
            )
        return parsed.astimezone(UTC)
    except (TypeError, ValueError, OverflowError) as exc:
        if isinstance(exc, WrongValueError):
            raise
        raise WrongValueError(f"{shown(value)} is no day or time", hint) from exc


def parse_moment(value: Any) -> datetime:
    """A day starts at 00:00 UTC.

    >>> parse_moment("2026-01-31").isoformat()
    '2026-01-31T00:00:00+00:00'
    """
    return _moment(value, end=False)


def parse_until(value: Any) -> datetime:
    """A day is included: it ends at the next midnight UTC.

    >>> parse_until("2026-01-31").isoformat()
    '2026-02-01T00:00:00+00:00'
    """
    return _moment(value, end=True)


def _text(pattern: str, *examples: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": f"^{pattern}$", "examples": list(examples)})


Format = Literal["skops", "safetensors", "onnx", "pickle", "ensemble"]
Flag = Annotated[bool, Strict()]
Number = Annotated[float, Strict()]
Count = Annotated[int, Strict(), Field(ge=1)]
Text = Annotated[str, Field(min_length=1, max_length=2000)]
Name = Annotated[str, AfterValidator(check_name), _text(NAME.pattern)]
_NAME_OR_NAMES = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
Names = Annotated[
    tuple[Name, ...],
    BeforeValidator(lambda value: (value,) if isinstance(value, str) else value),
    Field(min_length=1),
    WithJsonSchema({**_NAME_OR_NAMES, "examples": ["github"]}),
]
EnvironmentName = Annotated[str, AfterValidator(check_environment), _text(NAME.pattern, "staging")]
MetricName = Annotated[str, AfterValidator(check_metric), _text(_METRIC.pattern, "auc")]
RepoPath = Annotated[
    str, AfterValidator(check_path), WithJsonSchema({"type": "string", "examples": ["artifacts/m.skops"]})
]
Label = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(check_label)]
Python = Annotated[str, BeforeValidator(check_python), _text(_PYTHON.pattern, "3.12")]
WebAddress = Annotated[str, AfterValidator(check_web_address), _text(_WEB.pattern, "https://grafana.example.org/d/1")]
SecretName = Annotated[str, AfterValidator(check_secret), _text(_SECRET.pattern, "AWS_ACCESS_KEY_ID")]
BranchName = Annotated[str, AfterValidator(check_branch), _text(_BRANCH.pattern, "main")]
GitmlSource = Annotated[str, AfterValidator(check_gitml), _text(_GITML.pattern, "gitml==0.1.0")]
Duration = Annotated[timedelta, BeforeValidator(parse_duration), _text(_DURATION.pattern, "30m", "90d")]
Size = Annotated[int, BeforeValidator(parse_size), Field(gt=0), _text(_SIZE.pattern, "50MB")]
Rate = Annotated[float, BeforeValidator(parse_rate), Field(gt=0), _text(_RATE.pattern, "500/s")]
Latency = Annotated[float, BeforeValidator(parse_latency), Field(gt=0), _text(_LATENCY.pattern, "20ms")]

_DAY = r"\d{4}-\d\d-\d\d([Tt ].+)?"
Login = Annotated[str, AfterValidator(check_login), _text(_LOGIN.pattern, "ada")]
TeamName = Annotated[str, AfterValidator(check_team), _text(_TEAM.pattern, "acme/operations")]
PublicKey = Annotated[str, AfterValidator(check_public_key), _text("ssh-ed25519 .+", "ssh-ed25519 AAAA…")]
Moment = Annotated[datetime, BeforeValidator(parse_moment), _text(_DAY, "2026-01-31")]
Until = Annotated[datetime, BeforeValidator(parse_until), _text(_DAY, "2026-01-31")]

if TYPE_CHECKING:
    EvidenceKind = str
else:
    # A Literal, so that an error names the valid words, and editors offer them.
    EvidenceKind = Literal[tuple(KINDS)]
