"""The charts that trainings drew: fetched by digest, held against the record, and drawn once for all roles.

Only of versions that run and of the newest ones: a picture takes a tenth of a second. No chart is taken from anywhere
but DVC's cache and remotes, and none whose SHA-256 is not the record's.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gitml.dvc.lockentries import Content
from gitml.dvc.manifest import fingerprint
from gitml.errors import GitmlError, IntegrityError
from gitml.reports.charts import SECONDS, ChartError, read_spec, svgs
from gitml.reports.charttitle import title_of
from gitml.reports.stillsvg import size_of
from gitml.site.versionfacts import ChartFolder, SiteModel, TrainingChart, VersionDetail

if TYPE_CHECKING:
    from gitml.dvc.remotes import Depot

_SUFFIX = ".vl.json"
# Of each model, besides those that run; charts of a version; pictures of a site; bytes of a version's charts.
_NEWEST, _MOST, _MOST_DRAWN, _LARGEST = 3, 12, 100, 4_000_000
_NOT_DRAWN = "Charts are drawn of versions that run and of the newest ones."


@dataclass(frozen=True)
class ChartSpec:
    """A chart of a version before it is drawn; ``refused`` says why it will not be."""

    name: str
    spec: Mapping[str, Any]
    refused: str = ""

    @property
    def told(self) -> str:
        """All that it says."""
        return json.dumps(self.spec, ensure_ascii=False)


@dataclass
class ChartPlaces:
    """Where charts may be. ``depots`` are opened when the first version has charts; one that is out of reach is not
    asked again. ``why`` is the last thing that went wrong."""

    depots: Sequence[Callable[[], Depot]]
    opened: list[Depot] = field(default_factory=list)
    why: str = ""

    def fetch(self, folder: ChartFolder, target: Path) -> bool:
        """False where it is not to be had."""
        self._open()
        for depot in list(self.opened):
            try:
                if depot.fetch(Content(folder.path, folder.dvc, folder.size), target):
                    return True
            except IntegrityError as exc:
                self.why = _first_line(exc)
            except GitmlError as exc:
                self.opened.remove(depot)
                self.why = _first_line(exc)
        return False

    def _open(self) -> None:
        for make in self.depots:
            try:
                self.opened.append(make())
            except GitmlError as exc:
                self.why = _first_line(exc)
        self.depots = ()


# Model and version of each version that is asked for → its specs, or why there are none.
_Specs = Mapping[tuple[str, str], tuple[ChartSpec, ...] | str]
# Model, version and name of each chart → its picture, or why there is none.
_Pictures = Mapping[tuple[str, str, str], TrainingChart | str]


def with_charts(models: Sequence[SiteModel], places: ChartPlaces) -> tuple[SiteModel, ...]:
    """The models with the charts of their versions, or with the reason why there are none."""
    specs = {
        (model.name, version): _read(detail.chart_folder, places)
        for model in models
        for version, detail in model.details.items()
        if detail.chart_folder and version in _wanted(model)
    }
    pictures = _drawn(specs)
    return tuple(replace(model, details=dict(_details(model, specs, pictures))) for model in models)


def _wanted(model: SiteModel) -> set[str]:
    newest = [v.version for v in model.versions if v.has_page][:_NEWEST]
    return {*newest, *(v.version for v in model.versions if v.places)}


def _details(model: SiteModel, specs: _Specs, pictures: _Pictures) -> Iterator[tuple[str, VersionDetail]]:
    for version, detail in model.details.items():
        found = specs.get((model.name, version), _NOT_DRAWN)
        if detail.chart_folder is None:
            yield version, detail
        elif isinstance(found, str):
            yield version, replace(detail, charts_note=found)
        else:
            told = [pictures[model.name, version, one.name] for one in found]
            charts = tuple(one for one in told if isinstance(one, TrainingChart))
            note = " ".join(one for one in told if isinstance(one, str))
            yield version, replace(detail, charts=charts, charts_note=note)


def _read(folder: ChartFolder, places: ChartPlaces) -> tuple[ChartSpec, ...] | str:
    """The specs of a version in the order of their names, or why there are none to draw."""
    if folder.size > _LARGEST:
        return f"The charts are {folder.size:,} bytes, and at most {_LARGEST:,} are drawn."
    with tempfile.TemporaryDirectory(prefix="gitml-charts-") as scratch:
        place = Path(scratch, "charts")
        if not places.fetch(folder, place):
            why = f": {places.why}" if places.why else ""
            return f"The charts are neither in DVC's cache here nor on a remote that was asked{why}."
        if fingerprint(place).sha256 != folder.sha256:
            return "The charts are not what the version's record says, so they are not shown."
        return tuple(_specs(place))


def _specs(place: Path) -> Iterator[ChartSpec]:
    for path in sorted(p for p in place.glob(f"*{_SUFFIX}") if p.is_file())[:_MOST]:
        name = path.name.removesuffix(_SUFFIX)
        try:
            yield ChartSpec(name, read_spec(path.read_bytes()))
        except ChartError as exc:
            yield ChartSpec(name, {}, _first_line(exc))


def _drawn(specs: _Specs) -> _Pictures:
    """By one process, as starting it takes longer than a picture; a spec that several versions have is drawn once."""
    wanted = [(*key, one) for key, found in specs.items() if not isinstance(found, str) for one in found]
    unique = {one.told: one.spec for _, _, one in wanted if not one.refused}
    chosen = list(unique)[:_MOST_DRAWN]
    try:
        made = svgs([unique[told] for told in chosen], seconds=SECONDS + 2 * len(chosen)) if chosen else []
    except GitmlError as exc:
        why = f"{_first_line(exc)}: {exc.hint}." if exc.hint else f"{_first_line(exc)}."
        return {(model, version, one.name): why for model, version, one in wanted}
    drawn = dict(zip(chosen, made, strict=True))
    return {(model, version, one.name): _picture(one, drawn.get(one.told)) for model, version, one in wanted}


def _picture(one: ChartSpec, made: bytes | ChartError | None) -> TrainingChart | str:
    if one.refused:
        return f"{one.name}: {one.refused}."
    if made is None:
        return f"{one.name}: the site draws {_MOST_DRAWN} others."
    if isinstance(made, ChartError):
        return f"{one.name}: {_first_line(made)}."
    return TrainingChart(one.name, title_of(one.spec) or one.name, made, *size_of(made), f"{one.name} {one.told}")


def _first_line(exc: GitmlError) -> str:
    return exc.message.splitlines()[0][:200]
