"""The plain JSON interface: named columns in, named columns out.

``{"rows": [{"carrier": "UA", …}, …]}`` or ``{"columns": {"carrier": ["UA", …], …}}``, with an optional ``id`` and
``unit``; the answer is ``{"id", "model", "version", "variant", "outputs": {"p_late": [0.2, …]}}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from gitml.models.model import Answers
from gitml.models.signature import Rows, Signature, said_unknown
from gitml.serving.limits import Limits
from gitml.serving.wire import RequestError, mapping, parse_json

_KEYS = {"rows", "columns", "id", "unit"}


class AskedRows(NamedTuple):
    """Rows or columns as the caller wrote them, one of the two; ``unit`` and ``id`` if the caller gave any."""

    rows: list[Any] | None
    columns: Mapping[str, Any] | None
    unit: str
    id: object
    extra: Any = None

    @property
    def length(self) -> int:
        """How many rows were asked for."""
        return len(self.rows) if self.rows is not None else max(map(len, (self.columns or {}).values()), default=0)

    def encoded(self, signature: Signature, *, narrow: bool = False) -> Rows:
        """As the signature encodes them; ``narrow`` leaves out what it does not name. Raises InputError."""
        names = {f.name for f in signature.inputs} if narrow else set[str]()
        if self.rows is not None:
            rows = [{k: v for k, v in r.items() if k in names} for r in self.rows] if narrow else self.rows
            return signature.rows(rows)
        columns = self.columns or {}
        return signature.columns({k: v for k, v in columns.items() if k in names} if narrow else columns)

    def raw(self, signature: Signature) -> dict[str, list[Any]]:
        """Columns as the caller wrote them, of rows that were encoded without error."""
        if self.rows is not None:
            return {f.name: [row.get(f.name) for row in self.rows] for f in signature.inputs}
        columns = self.columns or {}
        length = len(next(iter(columns.values()), ()))
        return {f.name: list(columns.get(f.name, [None] * length)) for f in signature.inputs}


def asked(body: bytes, limits: Limits) -> AskedRows:
    """The request in ``body``. Raises HttpError 400 or 413."""
    found = mapping(parse_json(body))
    rows, columns, unit = found.get("rows"), found.get("columns"), found.get("unit")
    if not _KEYS.issuperset(found):
        strange = min(set(found) - _KEYS)
        raise RequestError(
            400, "json", f"the body has no key {strange[:60]!r}", hint='write {"rows": [{…}]} or {"columns": {…}}'
        )
    if (rows is None) == (columns is None):
        raise RequestError(
            400, "json", "the body needs either rows or columns", hint='write {"rows": [{"input": value}]}'
        )
    if rows is not None and not isinstance(rows, list):
        raise RequestError(400, "json", "rows is no list of objects")
    if columns is not None and (
        not isinstance(columns, dict) or not all(isinstance(c, list) for c in columns.values())
    ):
        raise RequestError(400, "json", "columns is no object of lists")
    count = len(rows) if rows is not None else max((len(c) for c in (columns or {}).values()), default=0)
    bounded(count, limits)
    return AskedRows(rows, columns, unit_of(unit), found.get("id"))


def unit_of(value: object) -> str:
    """The unit as text, empty for none. Raises HttpError 400: one that is not understood would be drawn each time."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise RequestError(400, "json", "unit is neither text nor a whole number", hint="send it as text")


def bounded(count: int, limits: Limits) -> None:
    """Raises HttpError 413 if there are too many rows, 400 if there are none."""
    if count > limits.rows:
        words = f"{count:,} rows are more than the {limits.rows:,} that one request may have"
        raise RequestError(413, "rows", words, hint="split them, or score files with gitml score")
    if count == 0:
        raise RequestError(400, "json", "the request holds no row")


def answer(
    head: Mapping[str, str], signature: Signature, answers: Answers, unknown: Mapping[str, int] | None = None
) -> bytes:
    """The body of the answer; ``warnings`` name the inputs with ``unknown`` words."""
    warnings = {"warnings": said_unknown(unknown)} if unknown else {}
    return orjson.dumps({**head, "outputs": outputs(signature, answers), **warnings})


def outputs(signature: Signature, answers: Answers) -> dict[str, list[Any]]:
    """The answers' columns by name."""
    return {name: values.tolist() for name, values in signature.named(answers).items()}
