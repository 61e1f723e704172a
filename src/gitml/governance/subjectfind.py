"""One person's way from versions of data to the models that were trained on them, and to where these run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gitml.git.tree import Tree
from gitml.governance.dataversions import DataVersion, Looked, SubjectData, current_data, data_of, records_on
from gitml.governance.subjectids import KeyRing, SoughtPerson, entry_of
from gitml.registry.resolve import Deployed, deployed
from gitml.spec.subjects import Subjects
from gitml.traffic.reader import Window, events, rows_once
from gitml.verdict import Phase, Verdict


@dataclass(frozen=True)
class TrainedOn:
    """A version of a model that was trained on data with the person, and what it runs as now."""

    model: str
    version: str
    data: tuple[DataVersion, ...]
    runs: tuple[Deployed, ...] = ()


@dataclass(frozen=True)
class LoggedAnswers:
    """Rows about the person in the traffic: of one model, version and environment, from the first to the last day."""

    model: str
    version: str
    environment: str
    rows: int
    first: str
    last: str


@dataclass(frozen=True)
class SubjectFound:
    """``data``: versions of data with the person, and their files; ``current`` are those among them that main has now.
    ``unknown``: what could not be looked into, and why."""

    data: tuple[Looked, ...] = ()
    current: tuple[DataVersion, ...] = ()
    versions: tuple[TrainedOn, ...] = ()
    traffic: tuple[LoggedAnswers, ...] = ()
    events: int = 0
    unknown: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Successful only if everything was looked into: not found is an answer, not known is none."""
        counts = {
            "data_versions": len(self.data), "model_versions": len(self.versions),
            "predictions": sum(one.rows for one in self.traffic), "events": self.events, "unknown": len(self.unknown),
        }  # fmt: skip
        if self.unknown:
            return Verdict(Phase.INCONCLUSIVE, f"not everything was looked into: {self.unknown[0]}", counts)
        running = sum(bool(one.runs) for one in self.versions)
        said = f"in {len(self.data)} versions of data and {len(self.versions)} of models, of which {running} run now"
        return Verdict(Phase.SUCCESSFUL, said if counts["data_versions"] else "in no version of any data", counts)


@dataclass(frozen=True)
class TrafficCall:
    """``folder`` of the traffic and where a server gathers; ``models`` are looked at."""

    folder: str
    spool: Path | None = None
    models: Sequence[str] = field(default=())


def find_subject(
    tree: Tree, data: SubjectData, wanted: SoughtPerson, traffic: TrafficCall | None = None
) -> SubjectFound:
    """Everything that ``tree`` has is looked at, with the indexes beside the data; data themselves are not read."""
    subjects, records = data.subjects, [*records_on(tree)]
    used = {(record.model, record.version): data_of(record, subjects) for record in records}
    current = current_data(tree, subjects)
    every = sorted({*current, *(one for found in used.values() for one in found)})
    looked = [data.look(one, wanted) for one in every]
    held = {one.data: one for one in looked if one.files}
    external = [f"{r.reference} was made elsewhere: on whom is not known" for r in records if r.origin == "external"]
    logged: tuple[LoggedAnswers, ...] = ()
    happened = 0
    if traffic is not None:
        logged = tuple(_logged(traffic, subjects, data.ring, wanted))
        happened = _events(traffic, subjects, data.ring, wanted)
    return SubjectFound(
        data=tuple(held.values()),
        current=tuple(one for one in current if one in held),
        versions=tuple(_trained_on(tree, used, held.keys())),
        traffic=logged,
        events=happened,
        unknown=tuple(dict.fromkeys([*(text for one in looked for text in one.unknown), *external])),
    )


def _trained_on(tree: Tree, used: Any, held: Any) -> Iterator[TrainedOn]:
    runs = {model: deployed(tree, model) for model, _ in used}
    for (model, version), data in used.items():
        mine = tuple(one for one in data if one in held)
        if mine:
            yield TrainedOn(model, version, mine, tuple(one for one in runs[model] if one.version == version))


def _logged(call: TrafficCall, subjects: Subjects, ring: KeyRing, wanted: SoughtPerson) -> Iterator[LoggedAnswers]:
    names = [f"feature_{name}" for name in subjects.traffic.features]
    columns = [*(["unit"] if subjects.traffic.unit else []), *names]
    told = _Told(subjects, ring, wanted)
    for model in call.models:
        found: dict[tuple[str, str], list[str]] = {}
        kept = [*columns, "version", "environment", "arrived"]
        for batch in rows_once(call.folder, model, Window(), spool=call.spool, columns=kept) if columns else ():
            for row in told.rows(batch, columns):
                days = found.setdefault((row["version"] or "", row["environment"] or ""), [])
                days.append(f"{row['arrived']:%Y-%m-%d}")
        for (version, environment), days in sorted(found.items()):
            yield LoggedAnswers(model, version, environment, len(days), min(days), max(days))


def _events(call: TrafficCall, subjects: Subjects, ring: KeyRing, wanted: SoughtPerson) -> int:
    told = _Told(subjects, ring, wanted)
    batches = events(call.folder, spool=call.spool) if subjects.traffic.unit else ()
    return sum(sum(1 for _ in told.rows(batch, ["unit"])) for batch in batches)


@dataclass(frozen=True)
class _Told:
    subjects: Subjects
    ring: KeyRing
    wanted: SoughtPerson

    def rows(self, batch: Any, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
        """The rows of the person. Values are hashed once each."""
        test = SubjectTest(self.subjects, self.ring, self.wanted)
        there = [name for name in columns if name in batch.schema.names]
        mine = {name: {v for v in batch[name].unique().to_pylist() if test(v)} for name in there}
        if any(mine.values()):
            yield from (row for row in batch.to_pylist() if any(row[name] in mine[name] for name in there))


@dataclass(frozen=True)
class SubjectTest:
    """Whether a value of a column is an id of the person."""

    subjects: Subjects
    ring: KeyRing
    wanted: SoughtPerson

    def __call__(self, value: Any) -> bool:
        key = self.ring.named(self.wanted.key) if self.wanted.token else self.ring.current
        entry = entry_of(key, value, self.subjects.form)
        return entry is not None and self.wanted.is_entry(key, entry)
