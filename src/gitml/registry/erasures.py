"""``erasures/REQUEST.json``: that somebody asked to be erased, and what held them, without saying who it was.

The file comes to main by a pull request and is never edited. `gitml reproduce`, `gitml retrain` and the job that erases
in the traffic all read it. It holds an HMAC of the person under the request's own name, and names of objects of DVC.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gitml.errors import Problem, SpecError, UsageError
from gitml.git.repository import FILE
from gitml.git.tree import Tree
from gitml.registry.record import Record

ERASURES = "erasures"
_REQUEST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_Oid = Annotated[str, Field(pattern=r"^[0-9a-f]{32}(\.dir)?$")]
_Digest = Annotated[str, Field(pattern=r"^md5:[0-9a-f]{32}(\.dir)?$")]


class Erasure(BaseModel):
    """``subject``: the token of the person, made with the key called ``key``. ``data``: digests of the versions of data
    that held them, with their paths; ``objects``: the files among them that did. ``filed``: when it was asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Literal["gitml erasure 1"] = "gitml erasure 1"
    request: Annotated[str, Field(pattern=f"^{_REQUEST.pattern}$")]
    key: Annotated[str, Field(pattern=r"^[a-z0-9]{1,30}$")]
    subject: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    filed: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
    retrain_by: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d$")]
    data: Mapping[_Digest, str] = {}
    objects: Mapping[_Oid, str] = {}

    @property
    def path(self) -> str:
        return path_of(self.request)

    @property
    def moment(self) -> datetime:
        return datetime.fromisoformat(self.filed).astimezone(UTC)

    @property
    def due(self) -> date:
        return date.fromisoformat(self.retrain_by)

    def content(self) -> bytes:
        """The file: sorted, so that the same request gives the same bytes."""
        told = self.model_dump(mode="json")
        told |= {"data": dict(sorted(self.data.items())), "objects": dict(sorted(self.objects.items()))}
        return (json.dumps(told, indent=1, ensure_ascii=False) + "\n").encode()

    def held_by(self, digests: Iterable[str]) -> bool:
        """Whether one of these versions of data held the person."""
        return any(digest in self.data for digest in digests)


def path_of(request: str) -> str:
    return f"{ERASURES}/{check_request(request)}.json"


def check_request(text: str) -> str:
    """Raises UsageError for what cannot name a request."""
    if not _REQUEST.fullmatch(text) or text.endswith((".", ".lock")) or ".." in text:
        raise UsageError(
            f"{text[:80]!r} cannot name a request", "use letters, digits, dots and hyphens: a number of your register"
        )
    return text


def parse_erasure(content: bytes, file: str) -> Erasure:
    """Raises SpecError with all that is wrong."""
    try:
        found = Erasure.model_validate_json(content)
        found.moment, found.due  # noqa: B018 - a day that no calendar has
    except ValidationError as exc:
        lines = [f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in exc.errors(include_input=False)]
        raise SpecError([Problem(file, 0, "", line, _HINT) for line in lines]) from None
    except ValueError as exc:
        raise SpecError([Problem(file, 0, "", str(exc), _HINT)]) from None
    if file != found.path:
        raise SpecError([Problem(file, 0, "request", f"is {found.request}, but the file is called otherwise", _HINT)])
    return found


_HINT = "`gitml subject erase` writes it; restore it from the commit that brought it"


def erasures(tree: Tree) -> tuple[Erasure, ...]:
    """All requests that ``tree`` has, by name. Raises SpecError for one that cannot be read."""
    files = [e.path for e in tree.entries(ERASURES) if e.mode == FILE and e.name.endswith(".json")]
    return tuple(parse_erasure(tree.read(path) or b"", path) for path in files)


def erased_objects(tree: Tree) -> frozenset[str]:
    """Objects of DVC that all requests together end."""
    return frozenset(oid for one in erasures(tree) for oid in one.objects)


def remembered(found: Iterable[Erasure], record: Record) -> tuple[Erasure, ...]:
    """Those of the requests whose person was in the data that the version was made of."""
    digests = {c.digest for entry in record.entries().values() for c in (*entry.deps, *entry.outs)}
    return tuple(one for one in found if one.held_by(digests))
