"""A recorded file that another one takes the place of: rows or counts of people, of which an erasure took some out.

A record is never edited. What takes a file's place is said by a signed statement (evidence ``erased``), of files that
hold rows or a reference and of nothing else: an artifact, a metric or a signature is what was recorded, or is not used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gitml.refs import NAME, VERSION
from gitml.registry.record import File, Record, Sha256

KIND, DETAIL = "erased", "replaced"
# Files with rows, and the one with counts.
OF_ROWS, OF_COUNTS = ("samples", "reference_rows", "evaluated"), "reference"
REPLACEABLE = (*OF_ROWS, OF_COUNTS)
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


def role_of(record: Record, path: str) -> str:
    """As what the version has a file that may be replaced; '' where it has it as something else too, or not at all."""
    roles = [role for role, name in record.roles.items() if name == path]
    may_be = len(roles) == 1 and roles[0] in REPLACEABLE and path in record.files and path != record.artifact
    return roles[0] if may_be else ""


def with_replaced(record: Record, replaced: Iterable[ReplacedFile]) -> Record:
    """The record with its rows and reference as they are now. Whatever else a statement names stays as recorded.

    In whatever order they were signed: of two that replace the same file the first one counts.
    """
    links: dict[tuple[str, str], ReplacedFile] = {}
    for one in replaced:
        if (one.model, one.version) == (record.model, record.version) and role_of(record, one.path):
            links.setdefault((one.path, one.old), one)
    if not links:
        return record
    files = {path: _newest(path, file, dict(links)) for path, file in record.files.items()}
    return record if files == record.files else record.model_copy(update={"files": files})


def _newest(path: str, file: File, links: dict[tuple[str, str], ReplacedFile]) -> File:
    while (one := links.pop((path, file.sha256), None)) is not None:
        file = one.file
    return file
