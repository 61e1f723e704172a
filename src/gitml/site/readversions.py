"""Models and versions of main: every version in its list, and in full those that somebody is likely to open."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pydantic_core

from gitml.control.mainline import Mainline
from gitml.dvc.lockentries import Content
from gitml.errors import GitmlError
from gitml.refs import NAME, VERSION
from gitml.registry.difference import DiffLine, lineage_changes
from gitml.registry.record import Packages, Record, parse_record
from gitml.registry.resolve import Deployed, deployed
from gitml.registry.store import Found, record_path
from gitml.site.versionfacts import (
    ChartFolder,
    SiteColumn,
    SiteMetric,
    SiteModel,
    SiteSlice,
    SiteStageRun,
    SiteTable,
    SiteVersion,
    VersionDetail,
)
from gitml.spec import Application
from gitml.spec.application import Model

# Of each model; of versions that were deployed there are pages besides, however old they are.
PAGES_PER_MODEL = 12
_MOST_COLUMNS, _MOST_SLICES, _MOST_TEXT = 500, 400, 2000
# The end of a day is the beginning of the next.
_MOMENT = timedelta(seconds=1)
_UNKNOWN = Model(artifact="model.onnx", metrics="metrics.json")


def models(
    main: Mainline,
    application: Application | None,
    wanted: Collection[str],
    successions: Collection[tuple[str, str, str]],
    newest: int = PAGES_PER_MODEL,
) -> tuple[SiteModel, ...]:
    """In the order of gitml.yaml, then those that it no longer names.

    ``wanted``: versions that are shown in full, beside the ``newest`` of each model. ``successions``:
    model, champion before, champion since.
    """
    declared = application.models if application else {}
    names = dict.fromkeys([*declared, *(name for name in main.models() if NAME.fullmatch(name))])
    pairs: dict[str, list[tuple[str, str]]] = {}
    for name, old, new in successions:
        pairs.setdefault(name, []).append((old, new))
    return tuple(
        _model(main, name, declared.get(name, _UNKNOWN), wanted, pairs.get(name, []), newest) for name in names
    )


def _model(
    main: Mainline, name: str, model: Model, wanted: Collection[str], pairs: list[tuple[str, str]], most: int
) -> SiteModel:
    raw = dict(_records(main, name))
    places = _places(main, name)
    newest = list(raw)[::-1]
    shown = [v for number, v in enumerate(newest) if number < most or v in wanted]
    records = _Records(name, raw)
    details = _details(main, model, records, shown)
    versions = tuple(_version(v, raw[v], places, has_page=v in details) for v in newest)
    return SiteModel(
        name=name,
        description=model.description,
        owner=model.owner or "",
        purpose=model.purpose or "",
        tier=model.tier or "",
        users=(model.card and model.card.users) or "",
        limits=(model.card and model.card.limits) or "",
        vendor=model.vendor or "",
        retire_by=f"{model.retire_by - _MOMENT:%Y-%m-%d}" if model.retire_by else "",
        better=model.better,
        artifact="" if model is _UNKNOWN else model.artifact,
        versions=versions,
        details=details,
        between={pair: found for pair in pairs if (found := records.changes(*pair))},
    )


def _places(main: Mainline, name: str) -> tuple[Deployed, ...]:
    """Nothing where a deployment file cannot be read: what it says is told with its environment."""
    try:
        return deployed(main.tree, name)
    except GitmlError:
        return ()


def _records(main: Mainline, model: str) -> Iterator[tuple[str, bytes]]:
    """Each version's record as it stands in main, oldest first, in one call of Git."""
    found = main.tree.entries(f"models/{model}/versions")
    files = [e for e in found if e.is_file and e.name.endswith(".json") and VERSION.fullmatch(e.name[:-5])]
    contents = main.git.repository.contents([e.id for e in files]) if files else ()
    for entry, content in zip(files, contents, strict=True):
        yield entry.name[:-5], content


def _version(version: str, raw: bytes, places: tuple[Deployed, ...], *, has_page: bool) -> SiteVersion:
    data = _json(raw)
    told = data.get("metrics")
    metrics = {n: v for n, m in told.items() if (v := _value(m)) is not None} if isinstance(told, dict) else {}
    return SiteVersion(
        version=version,
        created=Found(version, "").time,
        origin=str(data.get("origin", "")),
        metrics=metrics,
        places=tuple(p for p in places if p.version == version),
        has_page=has_page,
        readable=bool(data),
    )


def _json(raw: bytes) -> dict[str, Any]:
    try:
        data = pydantic_core.from_json(raw, allow_inf_nan=False)
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def _value(metric: Any) -> float | None:
    value = metric.get("value") if isinstance(metric, dict) else None
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


@dataclass
class _Records:
    """The records of one model, each parsed once and only if somebody asks. ``raw`` is oldest first."""

    model: str
    raw: Mapping[str, bytes]
    parsed: dict[str, Record | None] = field(default_factory=dict)

    def get(self, version: str) -> Record | None:
        """None for a record that does not hold together, or is another one's."""
        if version not in self.parsed:
            self.parsed[version] = _record(self.model, version, self.raw[version]) if version in self.raw else None
        return self.parsed[version]

    def changes(self, old: str, new: str) -> dict[str, tuple[DiffLine, ...]]:
        before, after = self.get(old), self.get(new)
        if before is None or after is None:
            return {}
        return {kind: lines for kind, lines in lineage_changes(before, after).items() if lines}


def _details(main: Mainline, model: Model, records: _Records, shown: list[str]) -> dict[str, VersionDetail]:
    """Of the versions that are ``shown``; one whose record is not what its name says has none."""
    order = list(records.raw)
    before = dict(zip(order[1:], order, strict=False))
    champion = next((p for p in reversed(_ordered(main, records.model)) if p.role == "champion"), None)
    pinned = {place.version for place in _places(main, records.model)}
    found = {}
    for version in shown:
        this = records.get(version)
        if this is None:
            continue
        old = before.get(version, "")
        detail = _detail(this, records.get(old), model, records.changes(old, version))
        other = records.get(champion.version) if champion else None
        if champion and other:
            detail = _against(detail, other, champion.environment)
        found[version] = replace(detail, slices=_slices(main, this, is_deployed=version in pinned))
    return found


def _ordered(main: Mainline, name: str) -> list[Deployed]:
    """In the order of promotion, where policy.yaml says it."""
    places = list(_places(main, name))
    try:
        order = list(main.policy().environments)
    except GitmlError:
        return places
    return sorted(places, key=lambda p: order.index(p.environment) if p.environment in order else -1)


def _record(model: str, version: str, raw: bytes) -> Record | None:
    try:
        record = parse_record(raw)
    except ValueError:
        return None
    return record if (record.model, record.version) == (model, version) else None


def _detail(
    record: Record, before: Record | None, model: Model, changes: Mapping[str, tuple[DiffLine, ...]]
) -> VersionDetail:
    artifact = record.files[record.artifact]
    packages = record.packages
    signature = record.signature or {}
    return VersionDetail(
        model=record.model,
        version=record.version,
        digest=record.digest,
        created=record.created,
        origin=record.origin,
        source=record.source or "",
        commit=record.commit or "",
        dirty=record.dirty[:50],
        artifact=record.artifact,
        artifact_sha256=artifact.sha256,
        artifact_size=artifact.size,
        packages=_packages(packages) if packages else "",
        before=before.version if before else "",
        metrics=tuple(_metrics(record, before, model)),
        stages=tuple(_stages(record)),
        columns=tuple(_columns(record))[:_MOST_COLUMNS],
        data=tuple(_tables(record)),
        data_until=str(signature.get("data_until") or ""),
        changes=changes,
        chart_folder=_chart_folder(record),
    )


def _chart_folder(record: Record) -> ChartFolder | None:
    path = record.roles.get("charts", "")
    kept, file = record.contents().get(path), record.files.get(path)
    return ChartFolder(path, kept.digest, file.sha256, file.size) if kept and file else None


def _packages(told: Packages) -> str:
    driver = f"driver {told.driver}" if told.driver else ""
    parts = f"{told.path} {told.sha256[:8]}", f"Python {told.python}", *(told.gpus or ()), driver
    return ", ".join(part for part in parts if part)[:_MOST_TEXT]


def _metrics(record: Record, before: Record | None, model: Model) -> Iterator[SiteMetric]:
    order = dict.fromkeys([*(n for n in model.better if n in record.metrics), *record.metrics])
    for name in order:
        metric = record.metrics[name]
        old = before.metrics.get(name) if before else None
        better = model.better.get(name, "")
        yield SiteMetric(name, metric.value, metric.low, metric.high, old.value if old else None, None, better)


def _against(detail: VersionDetail, champion: Record, environment: str) -> VersionDetail:
    known = {name: metric.value for name, metric in champion.metrics.items()}
    metrics = tuple(replace(metric, champion=known.get(metric.name)) for metric in detail.metrics)
    return replace(detail, metrics=metrics, champion=champion.version, champion_in=environment)


def _stages(record: Record) -> Iterator[SiteStageRun]:
    for name, entry in record.entries().items():
        told = ((key, json.dumps(value, ensure_ascii=False)) for key, value in entry.single_params())
        params = tuple((key, value[:_MOST_TEXT]) for key, value in told)
        command = " && ".join(entry.cmd)[:_MOST_TEXT]
        yield SiteStageRun(name, command, _contents(entry.deps), params, _contents(entry.outs))


def _contents(found: tuple[Content, ...]) -> tuple[tuple[str, str, int], ...]:
    return tuple((c.path, c.digest.partition(":")[2][:8], c.size) for c in found)


def _columns(record: Record) -> Iterator[SiteColumn]:
    sides = record.signature or {}
    for side in ("inputs", "outputs"):
        told = sides.get(side)
        for column in told if isinstance(told, list) else ():
            if isinstance(column, dict) and "name" in column:
                known = column.get("categories")
                notes = [f"{len(known)} categories"] if isinstance(known, list) else []
                notes += ["may be missing"] if column.get("nullable") else []
                yield SiteColumn(str(column["name"]), str(column.get("type", "")), side[:-1], ", ".join(notes))


def _tables(record: Record) -> Iterator[SiteTable]:
    """What has rows, and what the stages hand on to each other without describing the model."""
    own = {record.artifact, *record.roles.values()}
    digests = {path: content.digest.partition(":")[2][:8] for path, content in record.contents().items()}
    for path, file in record.files.items():
        if path in own or (file.rows is None and file.profile is None):
            continue
        missing = {column: share for column, share in (file.missing or {}).items() if share}
        columns = tuple(file.profile.columns) if file.profile else tuple(file.missing or ())
        yield SiteTable(path, digests.get(path, file.sha256[:8]), file.rows, file.size, missing, columns)


def _slices(main: Mainline, record: Record, *, is_deployed: bool) -> tuple[SiteSlice, ...]:
    """Of the newest version from main's own tree. For one that is deployed the commit that brought it is looked up;
    for all others that would be a walk through history each."""
    path = record.roles.get("slices", "")
    if path not in record.files:
        return ()
    content = main.file(path)
    if is_deployed and not _is_of(record, path, content):
        try:
            content = main.original(record_path(record.model, record.version)).read(path)
        except GitmlError:
            return ()
    if content is None or not _is_of(record, path, content):
        return ()
    try:
        told = pydantic_core.from_json(content, allow_inf_nan=False)
    except ValueError:
        return ()
    rows = (row for row in (told if isinstance(told, list) else ()) if isinstance(row, dict))
    return tuple(_slice(row) for row in rows)[:_MOST_SLICES]


def _is_of(record: Record, path: str, content: bytes | None) -> bool:
    return content is not None and hashlib.sha256(content).hexdigest() == record.files[path].sha256


def _slice(row: Mapping[str, Any]) -> SiteSlice:
    told = row.get("metrics")
    metrics = {str(n): v for n, m in told.items() if (v := _plain(m)) is not None} if isinstance(told, dict) else {}
    rows = row.get("rows")
    count = rows if isinstance(rows, int) else 0
    return SiteSlice(str(row.get("column", "")), str(row.get("value", "")), count, metrics)


def _plain(metric: Any) -> float | None:
    return _value(metric if isinstance(metric, dict) else {"value": metric})
