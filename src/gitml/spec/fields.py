"""The small types that keys of gitml.yaml and policy.yaml are made of, with errors in plain words."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, Strict, WithJsonSchema

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?")
_METRIC = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,99}")
_DIGEST_LIKE = re.compile(r"[0-9a-f]{4,}")
_TIME_LIKE = re.compile(r"\d{4}[-0-9t:.]*z?")
_DURATION = re.compile(r"(\d{1,9})\s*(s|m|h|d|w)")
_SIZE = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)\s*(B|kB|KB|MB|GB|TB)")
_LATENCY = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)\s*(us|ms|s)")

# Names that Windows keeps for devices: a folder of such a name cannot be checked out there.
_DEVICES = frozenset({"con", "prn", "aux", "nul"})
# Words that references use after the @, now or later: an environment of that name would hide them.
# fmt: off
RESERVED = frozenset({
    "all", "any", "base", "best", "canary", "challenger", "champion", "current", "head", "here",
    "latest", "live", "local", "main", "new", "newest", "none",
    "oldest", "previous", "shadow", "stable", "versions",
})
# fmt: on
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_BYTES = {"B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


class WrongValueError(ValueError):
    """Why a value is refused, and what to write instead."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Record(BaseModel):
    """A part of a file: frozen, and unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=False)


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


def check_name(name: str) -> str:
    """A name of a model, role or hardware: it becomes a folder, a branch and a word of references."""
    if not _NAME.fullmatch(name):
        hint = "use small letters, digits, '.', '_' and '-', at most 63, with a letter or digit at both ends"
        raise WrongValueError(f"{shown(name)} is no name", hint)
    if ".." in name or name.endswith(".lock") or name.split(".")[0] in _DEVICES:
        raise WrongValueError(
            f"{shown(name)} cannot be the name of a branch or folder everywhere", "choose another name"
        )
    return name


def check_environment(name: str) -> str:
    """A name of an environment: also not a word, digest or time that could follow the @ of a reference."""
    check_name(name)
    if name in RESERVED:
        raise WrongValueError(
            f"{name!r} is a word that references use", f"choose another name, such as {name}-env"
        )
    if _DIGEST_LIKE.fullmatch(name):
        raise WrongValueError(
            f"{name!r} looks like the digest of a version", f"choose another name, such as {name}-env"
        )
    if _TIME_LIKE.fullmatch(name):
        raise WrongValueError(
            f"{name!r} looks like the time of a version", f"choose another name, such as env-{name}"
        )
    return name


def check_metric(name: str) -> str:
    if not _METRIC.fullmatch(name):
        raise WrongValueError(
            f"{shown(name)} is no name of a metric", "use letters, digits, '_', '.' and '-'"
        )
    return name


def check_path(text: str) -> str:
    """A path inside the repository, relative to the folder of gitml.yaml, with forward slashes."""
    parts = PurePosixPath(text).parts
    if "\\" in text:
        raise WrongValueError(f"{shown(text)} has a backslash", "write paths with '/'")
    if text.startswith(("/", "~")) or re.match(r"[A-Za-z]:", text):
        raise WrongValueError(
            f"{shown(text)} is not relative", "write it relative to the folder of gitml.yaml"
        )
    if ".." in parts:
        raise WrongValueError(
            f"{shown(text)} leads out of the folder", "paths stay inside the folder of gitml.yaml"
        )
    if any(part.lower().rstrip(". ") in {".git", ".dvc"} for part in parts):
        raise WrongValueError(f"{shown(text)} is a place of Git or DVC", "choose a folder of your own")
    if not parts or str(PurePosixPath(text)) != text or not text.isprintable() or len(text) > 1000:
        raise WrongValueError(
            f"{shown(text)} is no path of a file", "write it plainly, such as artifacts/model.skops"
        )
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
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    number, unit = _parse(value, _SIZE, "size", "800kB, 50MB or 2GB").groups()
    return round(float(number) * _BYTES[unit])


def parse_latency(value: Any) -> float:
    """Milliseconds.

    >>> parse_latency("20ms")
    20.0
    """
    if isinstance(value, float):
        return value
    number, unit = _parse(value, _LATENCY, "time", "500us, 20ms or 1s").groups()
    return float(number) * _MILLISECONDS[unit]


def _text(pattern: str, *examples: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": f"^{pattern}$", "examples": list(examples)})


Flag = Annotated[bool, Strict()]
Number = Annotated[float, Strict()]
Count = Annotated[int, Strict(), Field(ge=1)]
Text = Annotated[str, Field(min_length=1, max_length=2000)]
Name = Annotated[str, AfterValidator(check_name), _text(_NAME.pattern, "delay")]
EnvironmentName = Annotated[str, AfterValidator(check_environment), _text(_NAME.pattern, "staging")]
MetricName = Annotated[str, AfterValidator(check_metric), _text(_METRIC.pattern, "auc")]
RepoPath = Annotated[
    str, AfterValidator(check_path), WithJsonSchema({"type": "string", "examples": ["artifacts/m.skops"]})
]
Duration = Annotated[timedelta, BeforeValidator(parse_duration), _text(_DURATION.pattern, "30m", "90d")]
Size = Annotated[int, BeforeValidator(parse_size), Field(gt=0), _text(_SIZE.pattern, "50MB")]
Latency = Annotated[float, BeforeValidator(parse_latency), Field(gt=0), _text(_LATENCY.pattern, "20ms")]
