"""A Vega-Lite spec as a picture, without letting the spec reach anything: no address, no file, no endless work."""

from __future__ import annotations

import base64
import importlib.util
import json
import struct
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from gitml.errors import FailedError, OutsideError, UsageError
from gitml.process import run
from gitml.reports import draw
from gitml.reports.stillsvg import still_svg

MAX_SPEC = 2_000_000
SECONDS = 30.0
MAX_PNG, MAX_SVG = 4_000_000, 400_000
MAX_SIDE = 2400
SCALE = 2.0
_MAX_DEPTH = 60
_MAX_NODES = 200_000
# Keys under which Vega-Lite fetches something, and those under which rows of data stand, which may have any names.
_REACHING = frozenset({"url", "topojson", "geojson", "loader"})
_ROWS = frozenset({"values", "datasets"})
_MAX_STEPS = 100_000

PictureForm = Literal["png", "svg"]


class ChartError(FailedError):
    """A chart that is not drawn, and why."""


def read_spec(raw: bytes) -> dict[str, Any]:
    """The spec of a chart file. Raises ChartError unless it holds all its data and reaches for nothing."""
    if len(raw) > MAX_SPEC:
        raise ChartError(f"the chart is {len(raw):,} bytes long, at most {MAX_SPEC:,} are drawn")
    try:
        spec = json.loads(raw)
    except (ValueError, RecursionError) as exc:
        raise ChartError(f"the chart is no JSON: {exc}") from exc
    check(spec)
    found: dict[str, Any] = spec
    return found


def check(spec: object) -> None:
    """Raise ChartError with the first thing in the spec that is refused, by its place."""
    if not isinstance(spec, dict):
        raise ChartError("the chart is no JSON object")
    schema = spec.get("$schema", "")
    if "vega-lite" not in str(schema):
        raise ChartError("the chart is no Vega-Lite spec", "its $schema must name vega-lite")
    for count, (place, key, value) in enumerate(_walk(spec)):
        if count > _MAX_NODES:
            raise ChartError(f"the chart has more than {_MAX_NODES:,} values")
        why = _refused(key, value)
        if why:
            raise ChartError(f"the chart is not drawn: {place} {why}", "put the data into the spec itself")


def _refused(key: str, value: object) -> str | None:
    if key in _REACHING:
        return "would fetch something"
    if key == "type" and value in ("image", "geoshape"):
        return f"is a mark of type {value}"
    if key == "mark" and value in ("image", "geoshape"):
        return f"is a mark of type {value}"
    if key in ("graticule", "sphere", "sequence"):
        return "makes data of its own"
    if key in ("width", "height") and isinstance(value, int | float) and not 0 <= value <= MAX_SIDE:
        return f"is {value:g}, at most {MAX_SIDE} is drawn"
    if key in ("maxbins", "density", "steps") and isinstance(value, int | float) and value > _MAX_STEPS:
        return f"is {value:g}"
    return None


def _walk(spec: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Each key and value with its place; the rows of inline data are left out."""
    todo: list[tuple[str, Any, int]] = [("chart", spec, 0)]
    while todo:
        place, value, depth = todo.pop()
        if depth > _MAX_DEPTH:
            raise ChartError(f"the chart is not drawn: it is nested deeper than {_MAX_DEPTH}")
        pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, inner in pairs:
            yield f"{place}.{key}"[:120], str(key), inner
            if isinstance(inner, dict | list) and key not in _ROWS:
                todo.append((f"{place}.{key}", inner, depth + 1))


def png(spec: object, *, seconds: float = SECONDS) -> bytes:
    """The chart as a picture, twice as dense as a screen. Raises ChartError when it is refused, fails or takes longer.

    It is drawn by a process of its own: what runs away is ended, and what crashes takes nothing along.
    """
    found = pngs([spec], seconds=seconds)[0]
    if isinstance(found, ChartError):
        raise found
    return found


def pngs(specs: Sequence[object], *, seconds: float = SECONDS) -> list[bytes | ChartError]:
    """Several charts, by one process while none of them fails: starting it takes longer than a picture."""
    return _pictures(specs, seconds, "png")


def svgs(specs: Sequence[object], *, seconds: float = SECONDS) -> list[bytes | ChartError]:
    """The same as SVG that stands still: shapes and text, and nothing that leads anywhere."""
    return _pictures(specs, seconds, "svg")


def _pictures(specs: Sequence[object], seconds: float, form: PictureForm) -> list[bytes | ChartError]:
    require()
    found: list[bytes | ChartError | None] = [_why_refused(spec) for spec in specs]
    wanted = [place for place, refused in enumerate(found) if refused is None]
    try:
        drawn = _drawn([specs[place] for place in wanted], seconds, form) if wanted else []
    except OutsideError as exc:
        if len(wanted) == 1:
            drawn = [ChartError(f"the chart is not drawn: {exc.message.splitlines()[0][:200]}")]
        else:
            drawn = [_pictures([specs[place]], min(seconds, SECONDS), form)[0] for place in wanted]
    for place, picture in zip(wanted, drawn, strict=True):
        found[place] = picture
    return [picture for picture in found if picture is not None]


def _why_refused(spec: object) -> ChartError | None:
    try:
        check(spec)
    except ChartError as exc:
        return exc
    return None


def _drawn(specs: Sequence[object], seconds: float, form: PictureForm) -> list[bytes | ChartError]:
    script = Path(draw.__file__)
    command: list[str | Path] = [sys.executable, "-I", script, form, repr(SCALE)]
    done = run(command, cwd=script.parent, stdin=json.dumps(specs).encode(), timeout=seconds)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    if len(answers) != len(specs):
        raise OutsideError("the process that draws charts ended early")
    return [_checked(answer) for answer in answers]


def _checked(answer: Mapping[str, str]) -> bytes | ChartError:
    if "error" in answer:
        return ChartError(f"the chart is not drawn: {answer['error']}")
    if "svg" in answer:
        return _still(answer["svg"])
    picture = base64.b64decode(answer["png"])
    try:
        width, height = size(picture)
    except ChartError as exc:
        return exc
    if len(picture) > MAX_PNG or max(width, height) > 2 * MAX_SIDE * SCALE:
        return ChartError(f"the chart is not kept: {width} × {height} points in {len(picture):,} bytes are too large")
    return picture


def _still(text: str) -> bytes | ChartError:
    try:
        picture = still_svg(text)
    except ValueError as exc:
        return ChartError(f"the chart is not kept: {exc}")
    if len(picture) > MAX_SVG:
        return ChartError(f"the chart is not kept: {len(picture):,} bytes of SVG, at most {MAX_SVG:,} are")
    return picture


def require() -> None:
    """Raise UsageError unless what draws charts is installed."""
    if importlib.util.find_spec("vl_convert") is None:
        raise UsageError("charts need the package vl-convert-python", "pip install 'gitml[report]'")


def size(png: bytes) -> tuple[int, int]:
    """Width and height of a PNG, in pixels. Raises ChartError if it is none."""
    if png[:8] != b"\x89PNG\r\n\x1a\n" or len(png) < 24:
        raise ChartError("no PNG came out")
    width, height = struct.unpack(">II", png[16:24])
    return width, height
