"""A recorded file that another one takes the place of: sample rows of which an erasure took some out.

A record is never edited. What takes a file's place is said by a signed statement (evidence ``erased``), of the sample
rows of a version and of nothing else: an artifact, a metric or a signature is what was recorded, or is not used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gitml.refs import NAME, VERSION
from gitml.registry.record import File, Record, Sha256

KIND, DETAIL, ROLE = "erased", "replaced", "samples"
_MOST = 1000
_VERSION = VERSION.pattern.replace("?P<time>", "").replace("?P<digest>", "")


class ReplacedFile(BaseModel):
    """``old`` and ``new`` are SHA-256, ``dvc`` the digest under which DVC keeps the new file, ``size`` its bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    model: Annotated[str, Field(pattern=f"^{NAME.pattern}$")]
    version: Annotated[str, Field(pattern=f"^{_VERSION}$")]
    path: Annotated[str, Field(min_length=1, max_length=1000)]
    old: Sha256
    new: Sha256
    dvc: Annotated[str, Field(pattern=r"^md5:[0-9a-f]{32}$")]
    size: Annotated[int, Field(ge=1)]

    @property
    def file(self) -> File:
        return File(sha256=self.new, size=self.size, dvc=self.dvc)


def replacements_in(details: Mapping[str, Any]) -> tuple[ReplacedFile, ...]:
    """What the details of a statement say. Raises ValueError for what is none."""
    told = details.get(DETAIL, [])
    if not isinstance(told, list | tuple) or len(told) > _MOST:
        raise ValueError(f"{DETAIL} is no list of at most {_MOST} files")
    try:
        return tuple(ReplacedFile.model_validate(dict(one)) for one in told)
    except (ValidationError, TypeError, ValueError) as exc:
        raise ValueError(f"{DETAIL} names what is no file: {str(exc).splitlines()[0]}") from None


def replacements_of(details: Iterable[Mapping[str, Any]]) -> tuple[ReplacedFile, ...]:
    """Of several believed statements, oldest first; one that cannot be read says nothing."""
    found: dict[ReplacedFile, None] = {}
    for one in details:
        try:
            found |= dict.fromkeys(replacements_in(one))
        except ValueError:
            continue
    return tuple(found)


def with_replaced(record: Record, replaced: Iterable[ReplacedFile]) -> Record:
    """The record with its sample rows as they are now. Whatever else a statement names stays as it was recorded."""
    path = record.roles.get(ROLE, "")
    if path not in record.files or path in {record.artifact, *(p for r, p in record.roles.items() if r != ROLE)}:
        return record
    file = record.files[path]
    for one in replaced:
        if (one.model, one.version, one.path, one.old) == (record.model, record.version, path, file.sha256):
            file = one.file
    return record if file is record.files[path] else record.model_copy(update={"files": {**record.files, path: file}})
